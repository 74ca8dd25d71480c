"""Who gets the key of a room: our own routine, which fails closed and leaves no lock behind."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.devices import Devices
from bot.matrix.errors import MatrixError, SendRefused
from bot.matrix.identities import MEGOLM
from bot.matrix.megolm import Megolm, is_within
from bot.matrix.olm import OlmMachine
from bot.matrix.rooms import Room
from bot.matrix.together import one_ahead, together
from bot.matrix.trust import Circle, Device, Identity, Standing, withhold
from bot.matrix.wire import Json
from storage.crypto import OutboundSession
from storage.members import ACTIVE
from storage.transaction import Database, Transaction

log = logging.getLogger(__name__)

RECIPIENTS = 125  # in one request; R21 demands 100. Small enough that the last batch keeps nobody waiting
SILENT_FOR = timedelta(minutes=5)  # a device without one-time keys is not asked again before
NO_OLM = "m.no_olm"
TOLD = ("shared_with", "withheld_from")
SHARED = (*TOLD, "offered")
ROUNDS = 3  # of asking for devices that change while they are asked for


@dataclass(frozen=True)
class Audience:
    """The devices that may read a room's next message, and those that may not, with the code why."""

    allowed: list[Device]
    refused: list[tuple[Device, str]]

    def keys(self) -> dict[str, dict[str, str]]:
        """The allowed ones as `{user: {device: curve25519}}`."""
        return _and({}, self.allowed)


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

    async def prepare(self, room: Room, own_master: str) -> OutboundSession:
        """A session that all who may read have; MatrixError if one could not be given it.

        The caller holds the room's lock, and keeps the columns of `SHARED`. Who may have it is on record
        before any key leaves: a device that got one unseen must count when it may no longer read.
        """
        for _ in range(ROUNDS):
            async with self._machine.lock, self._database.transaction() as tx:
                users = self._users(room)  # somebody may have left while the lock was waited for
                stale = await self._devices.outdated(tx, users)
                if not stale:
                    audience = await self._audience(tx, users, own_master)
                    session = await self._megolm.current(tx, room.room_id, audience.keys(), room.limits)
                    missing = [each for each in audience.allowed if not self._is_served(session, each)]
                    known = await tx.crypto.with_olm_session([each.curve25519 for each in missing])
                    if missing:
                        session = replace(session, offered=_and(session.offered, missing))
                        await tx.crypto.change_outbound(session, "offered")
                    break
            await self._devices.refresh(stale)
        else:
            raise SendRefused("devices_changing", permanent=False)
        untold = [pair for pair in audience.refused if _name(pair[0]) not in session.withheld_from]
        return await self._hand_over(session, missing, known, untold)

    async def is_fit(self, tx: Transaction, session: OutboundSession, room: Room, own_master: str) -> bool:
        """Whether all who have the session may read the room's next message, by what is known now."""
        users = self._users(room)
        if await self._devices.outdated(tx, users):
            return False
        return is_within(session, (await self._audience(tx, users, own_master)).keys())

    def _users(self, room: Room) -> list[str]:
        return sorted({*room.audience(), self._machine.user_id})

    async def _audience(self, tx: Transaction, users: list[str], own_master: str) -> Audience:
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

    async def _hand_over(
        self,
        session: OutboundSession,
        missing: list[Device],
        known: set[str],
        untold: list[tuple[Device, str]],
    ) -> OutboundSession:
        """Give the session to those who lack it; what was given is noted if another part of it fails."""
        if not missing and not untold:
            return session
        shared = _and(session.shared_with, [])
        told = list(session.withheld_from)
        try:
            async with together() as group:
                group.create_task(self._withhold(session, untold, told))
                batches = (missing[at : at + RECIPIENTS] for at in range(0, len(missing), RECIPIENTS))
                give = partial(self._give, group, session, shared)
                await one_ahead((self._claim(batch, known) for batch in batches), give)
        except MatrixError:
            async with self._machine.lock, self._database.transaction() as tx:
                given = replace(session, shared_with=shared, withheld_from=told)
                await tx.crypto.change_outbound(given, *TOLD)
            raise
        return replace(session, shared_with=shared, withheld_from=told, offered={})

    def _is_served(self, session: OutboundSession, device: Device) -> bool:
        """Whether it has the session, or offered no one-time key a short while ago."""
        if session.shared_with.get(device.user_id, {}).get(device.device_id) == device.curve25519:
            return True
        now = clock.now()
        return self._silent_until.get(device.curve25519, now) > now

    async def _claim(self, batch: list[Device], known: set[str]) -> tuple[list[Device], Json]:
        strangers = [device for device in batch if device.curve25519 not in known]
        return batch, await self._machine.claim(self._server, strangers)

    async def _give(
        self,
        group: asyncio.TaskGroup,
        session: OutboundSession,
        shared: dict[str, dict[str, str]],
        claimed: tuple[list[Device], Json],
    ) -> None:
        """Encrypt for one batch, and have it delivered while the next one is under way."""
        batch, answer = claimed
        content = self._megolm.room_key(session)
        sealed = await self._machine.encrypt(self._database, batch, "m.room_key", content, answer)
        pairs = list(zip(batch, sealed, strict=True))
        group.create_task(self._deliver([(each, body) for each, body in pairs if body], shared))
        silent = [(each, NO_OLM) for each, body in pairs if not body]
        for each, _ in silent:
            self._silent_until[each.curve25519] = clock.now() + SILENT_FOR
        group.create_task(self._withhold(session, silent, []))

    async def renew(self, devices: list[Device]) -> None:
        """Begin a new Olm session with each, and use it once, so that the other side takes it up."""
        answer = await self._machine.claim(self._server, devices)
        sealed = await self._machine.encrypt(self._database, devices, "m.dummy", {}, answer, anew=True)
        pairs = zip(devices, sealed, strict=True)
        await self._deliver([(device, content) for device, content in pairs if content], {})

    async def _deliver(self, messages: list[tuple[Device, Json]], shared: dict[str, dict[str, str]]) -> None:
        if not messages:
            return
        await self._server.send_to_device("m.room.encrypted", _by_device(messages), clock.token())
        for device, _ in messages:
            shared.setdefault(device.user_id, {})[device.device_id] = device.curve25519

    async def _withhold(
        self, session: OutboundSession, refused: list[tuple[Device, str]], told: list[str]
    ) -> None:
        """Say to devices that they get no key, and why; `told` is added to."""
        if not refused:
            return
        for device, code in refused:
            log.info("key.withheld room=%s device=%s code=%s", session.room_id, _name(device), code)
        notices = [(device, self._notice(session, code)) for device, code in refused]
        try:
            await self._server.send_to_device("m.room_key.withheld", _by_device(notices), clock.token())
        except MatrixError as error:
            # A courtesy: that it failed must not keep the message from those who may read it.
            log.warning("withheld.unsent room=%s error=%s", session.room_id, type(error).__name__)
            return
        told += [_name(device) for device, _ in refused]

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


def _and(known: dict[str, dict[str, str]], devices: list[Device]) -> dict[str, dict[str, str]]:
    """A copy of `{user: {device: curve25519}}` with these devices in it."""
    keys = {user: dict(theirs) for user, theirs in known.items()}
    for device in devices:
        keys.setdefault(device.user_id, {})[device.device_id] = device.curve25519
    return keys


def _name(device: Device) -> str:
    return f"{device.user_id}/{device.device_id}"


def _by_device(messages: list[tuple[Device, Json]]) -> Json:
    """As /sendToDevice wants them: `{user: {device: content}}`."""
    sorted_out: Json = {}
    for device, content in messages:
        sorted_out.setdefault(device.user_id, {})[device.device_id] = content
    return sorted_out
