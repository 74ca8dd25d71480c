"""Beside the loop: keys go to served rooms ahead of need, and Olm channels that broke are begun anew."""

import logging
from datetime import datetime, timedelta

from bot.kernel import clock
from bot.matrix.devices import Devices
from bot.matrix.errors import MatrixError, SendRefused, SignedOut
from bot.matrix.receive import Receiver
from bot.matrix.rooms import Rooms
from bot.matrix.send import Sender
from bot.matrix.sharing import Sharing
from bot.matrix.trust import Circle, Device, Identity
from storage.transaction import Database

log = logging.getLogger(__name__)

# Matrix specification, "Recovering from undecryptable messages": at most one new session an hour.
RENEWED_EVERY = timedelta(hours=1)
# Somebody is enrolled by a command: for this long after one there may be somebody new.
NEWS = timedelta(minutes=1)
MET_A_ROUND = 100


class Upkeep:
    """Work that nobody waits for; each method does what is open, and is called again if it says False."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        receiver: Receiver,
        sender: Sender,
        sharing: Sharing,
        devices: Devices,
        circle: Circle,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._receiver = receiver
        self._sender = sender
        self._sharing = sharing
        self._devices = devices
        self._circle = circle
        self._renewed: dict[str, datetime] = {}
        self._taken_in, self._news_at = -1, clock.now()
        self._unmet = True

    async def meet_members(self) -> bool:
        """Ask for the identities of members who were enrolled and never heard of, with or without a room."""
        now = clock.now()
        if self._receiver.added != self._taken_in:
            self._taken_in, self._news_at = self._receiver.added, now
        if not self._unmet and now - self._news_at > NEWS:
            return True
        async with self._database.transaction() as tx:
            unseen = await self._circle.unseen(tx, MET_A_ROUND)
        self._unmet = bool(unseen)
        try:
            await self._devices.refresh(unseen)
        except SignedOut:
            raise
        except MatrixError as error:
            log.warning("members.unanswered error=%s", type(error).__name__)
            return False
        return True

    async def make_rooms_ready(self) -> bool:
        """Bring the next message's keys to all who may read it, in served rooms where that has changed."""
        touched, self._rooms.touched = self._rooms.touched, set()
        if not touched:
            return True
        async with self._database.transaction() as tx:
            served = {room.room_id for room in await tx.rooms.served()}
        for room_id in sorted(touched & served):
            try:
                await self._sender.make_ready(room_id)
            except SignedOut:
                raise
            except MatrixError as error:
                log.warning("room.unready room=%s error=%s", room_id, type(error).__name__)
                if not isinstance(error, SendRefused):
                    self._rooms.touched.add(room_id)
        return not self._rooms.touched & touched

    async def renew_channels(self) -> bool:
        """Begin a new Olm session with each device whose message did not open, and say so inside it."""
        broken, self._receiver.broken = self._receiver.broken, set()
        if not broken:
            return True
        devices = [device for device in await self._known(broken) if self._is_due(device)]
        if not devices:
            return True
        try:
            await self._sharing.renew(devices)
        except SignedOut:
            raise
        except MatrixError as error:
            log.warning("channel.not_renewed error=%s", type(error).__name__)
            self._receiver.broken |= broken
            return False
        now = clock.now()
        recent = {key: at for key, at in self._renewed.items() if now - at < RENEWED_EVERY}
        self._renewed = recent | {device.curve25519: now for device in devices}
        return True

    def _is_due(self, device: Device) -> bool:
        last = self._renewed.get(device.curve25519)
        return last is None or clock.now() - last >= RENEWED_EVERY

    async def _known(self, broken: set[tuple[str, str]]) -> list[Device]:
        """Those of these users and Curve25519 keys that are devices we know."""
        async with self._database.transaction() as tx:
            lists = await tx.crypto.device_lists(sorted({user for user, _ in broken}))
        known = [Identity.of(user, each.document) for user, each in lists.items()]
        return [
            device
            for identity in known
            for device in identity.devices.values()
            if (identity.user_id, device.curve25519) in broken
        ]
