"""Who gets the key of a room: our own routine, which fails closed and leaves no lock behind."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.devices import Devices
from bot.matrix.errors import MatrixError
from bot.matrix.identities import MEGOLM
from bot.matrix.megolm import Megolm
from bot.matrix.olm import OlmMachine
from bot.matrix.rooms import Room
from bot.matrix.trust import Circle, Device, Identity, Standing, withhold
from bot.matrix.wire import Json
from storage.crypto import OutboundSession
from storage.members import ACTIVE
from storage.transaction import Database, Transaction

log = logging.getLogger(__name__)

RECIPIENTS = 250  # to-device messages in one request, as matrix-sdk-crypto; R21 demands at least 100
SILENT_FOR = timedelta(minutes=5)  # a device without one-time keys is not asked again before
NO_OLM = "m.no_olm"


@dataclass(frozen=True)
class Audience:
    """The devices that may read a room's next message, and those that may not, with the code why."""

    allowed: list[Device]
    refused: list[tuple[Device, str]]

    def keys(self) -> dict[str, dict[str, str]]:
        """The allowed ones as `{user: {device: curve25519}}`."""
        keys: dict[str, dict[str, str]] = {}
        for device in self.allowed:
            keys.setdefault(device.user_id, {})[device.device_id] = device.curve25519
        return keys


class Sharing:
    """Brings a room's session to every device that may read it."""

    def __init__(
        self,
        database: Database,
        server: Homeserver,
        machine: OlmMachine,
        megolm: Megolm,
        devices: Devices,
        circle: Circle,
    ) -> None:
        self._database = database
        self._server = server
        self._machine = machine
        self._megolm = megolm
        self._devices = devices
        self._circle = circle
        self._silent_until: dict[str, datetime] = {}

    async def prepare(self, room: Room, own_master: str) -> str:
        """The id of a session that all who may read have; MatrixError if one could not be given it.

        The caller holds the room's lock.
        """
        await self._devices.refresh([*room.audience(), self._machine.user_id])
        async with self._machine.lock, self._database.transaction() as tx:
            audience = await self._audience(tx, room, own_master)
            session = await self._megolm.current(tx, room.room_id, audience.keys(), room.limits)
        missing = [device for device in audience.allowed if not _has(session, device)]
        if missing:
            session = await self._share(session, missing)
        await self._withhold(session, audience.refused)
        return session.session_id

    async def _audience(self, tx: Transaction, room: Room, own_master: str) -> Audience:
        users = sorted({*room.audience(), self._machine.user_id})
        known = await tx.crypto.device_lists(users)
        standings = await self._circle.standings(tx, users)
        standings[self._machine.user_id] = Standing(ACTIVE, own_master)
        allowed: list[Device] = []
        refused: list[tuple[Device, str]] = []
        for user in users:
            if user not in known:
                continue
            identity = Identity.of(user, known[user].document)
            for device in identity.devices.values():
                if (user, device.device_id) == (self._machine.user_id, self._machine.device_id):
                    continue
                code = withhold(standings[user], identity, device)
                if code is None:
                    allowed.append(device)
                else:
                    refused.append((device, code.value))
        return Audience(allowed, refused)

    async def _share(self, session: OutboundSession, devices: list[Device]) -> OutboundSession:
        now = clock.now()
        willing = [each for each in devices if self._silent_until.get(each.curve25519, now) <= now]
        for start in range(0, len(willing), RECIPIENTS):
            session = await self._share_batch(session, willing[start : start + RECIPIENTS])
        return session

    async def _share_batch(self, session: OutboundSession, devices: list[Device]) -> OutboundSession:
        async with self._machine.lock, self._database.transaction() as tx:
            strangers = await self._machine.without_session(tx, devices)
        answer = await self._machine.claim(self._server, strangers)
        content = self._megolm.room_key(session)
        async with self._machine.lock, self._database.transaction() as tx:
            await self._machine.begin_sessions(tx, strangers, answer)
            sealed = await self._machine.encrypt(tx, [(device, "m.room_key", content) for device in devices])
        # Committed before it leaves: after a crash no ratchet step is used for a second message.
        messages: Json = {}
        shared = {user: dict(keys) for user, keys in session.shared_with.items()}
        silent = []
        for device, message in zip(devices, sealed, strict=True):
            if message is None:
                silent.append((device, NO_OLM))
                self._silent_until[device.curve25519] = clock.now() + SILENT_FOR
                continue
            messages.setdefault(device.user_id, {})[device.device_id] = message
            shared.setdefault(device.user_id, {})[device.device_id] = device.curve25519
        if messages:
            await self._server.send_to_device("m.room.encrypted", messages, clock.token())
        session = replace(session, shared_with=shared)
        async with self._machine.lock, self._database.transaction() as tx:
            await tx.crypto.mark_shared(session.room_id, session.session_id, shared, session.withheld_from)
        await self._withhold(session, silent)
        return session

    async def _withhold(self, session: OutboundSession, refused: list[tuple[Device, str]]) -> None:
        told = set(session.withheld_from)
        messages: Json = {}
        for device, code in refused:
            name = f"{device.user_id}/{device.device_id}"
            if name in told and code != NO_OLM:
                continue
            told.add(name)
            log.info("key.withheld room=%s device=%s code=%s", session.room_id, name, code)
            messages.setdefault(device.user_id, {})[device.device_id] = self._notice(session, code)
        if not messages:
            return
        try:
            await self._server.send_to_device("m.room_key.withheld", messages, clock.token())
        except MatrixError as error:
            # A courtesy: that it failed must not keep the message from those who may read it.
            log.warning("withheld.unsent room=%s error=%s", session.room_id, type(error).__name__)
            return
        async with self._machine.lock, self._database.transaction() as tx:
            await tx.crypto.mark_shared(
                session.room_id, session.session_id, session.shared_with, sorted(told)
            )

    def _notice(self, session: OutboundSession, code: str) -> Json:
        notice: Json = {
            "algorithm": MEGOLM,
            "code": code,
            "reason": "This bot gives keys to cross-signed devices of enrolled members only.",
            "sender_key": self._machine.curve25519,
        }
        if code == NO_OLM:
            notice["reason"] = "This device offered no one-time key."
            return notice
        return notice | {"room_id": session.room_id, "session_id": session.session_id}


def _has(session: OutboundSession, device: Device) -> bool:
    return session.shared_with.get(device.user_id, {}).get(device.device_id) == device.curve25519
