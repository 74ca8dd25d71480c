"""Whose devices we know: asked for one query at a time, kept, and checked against the pins."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.identities import merge, read_identity
from bot.matrix.rooms import Rooms
from bot.matrix.together import one_ahead
from bot.matrix.trust import Circle, Device, Identity, Reason, Standing, distrust
from bot.matrix.wire import Json, obj
from storage.crypto import DeviceList
from storage.inbox import Received
from storage.members import ACTIVE
from storage.transaction import Database, Transaction

log = logging.getLogger(__name__)

USERS_A_QUERY = 25  # while one answer is checked, the homeserver works on the next
RETRY = timedelta(seconds=60)  # before a user whose homeserver did not answer is asked for again
VANISHED = "none"


class Devices:
    """Device lists of other users."""

    def __init__(
        self,
        database: Database,
        server: Homeserver,
        circle: Circle,
        rooms: Rooms,
        ratchets: asyncio.Lock,
        voucher: tuple[str, str] | None = None,
    ) -> None:
        """`voucher` is our own user id and user-signing key."""
        self._database = database
        self._ratchets = ratchets
        self._server = server
        self._circle = circle
        self._rooms = rooms
        self._voucher = voucher
        self._asking = asyncio.Lock()
        self._changes: dict[str, int] = {}
        self._not_before: dict[str, datetime] = {}
        self.on_received: Callable[[], None] = lambda: None

    async def mark_changed(self, tx: Transaction, users: list[str]) -> None:
        """The homeserver says that these users' devices are not what they were."""
        for user in users:
            # An answer that was asked for before this mark must not clear it.
            if user in self._changes:
                self._changes[user] += 1
            self._not_before.pop(user, None)
        await tx.crypto.outdate_devices(users)
        self._rooms.touch(users)

    async def refresh(self, users: Iterable[str]) -> None:
        """Ask for every one of these users who is new to us or has changed.

        A user whose homeserver does not answer keeps the devices known so far and is asked for later.
        """
        added = False

        async def learn(asked: tuple[dict[str, int], Json]) -> None:
            nonlocal added
            before, answer = asked
            shown = await asyncio.to_thread(_identities, list(before), answer, self._voucher)
            async with self._ratchets, self._database.transaction() as tx:
                added |= await self._learn(tx, before, shown)

        async with self._asking:
            async with self._database.transaction() as tx:
                wanted = await self.outdated(tx, sorted(set(users)))
            starts = range(0, len(wanted), USERS_A_QUERY)
            try:
                await one_ahead((self._ask(wanted[at : at + USERS_A_QUERY]) for at in starts), learn)
            finally:
                self._changes.clear()  # counted only while an answer is on its way
        if added:
            self.on_received()

    async def outdated(self, tx: Transaction, users: Sequence[str]) -> list[str]:
        """Those of these users who must be asked for before their devices may count."""
        fresh = await tx.crypto.fresh_device_lists(users)
        now = clock.now()
        return [user for user in users if user not in fresh and self._not_before.get(user, now) <= now]

    async def _ask(self, users: list[str]) -> tuple[dict[str, int], Json]:
        """What the homeserver says of these users, with how often each was said to have changed before it."""
        before = {user: self._changes.setdefault(user, 0) for user in users}
        return before, await self._server.keys_query(users)

    async def _learn(self, tx: Transaction, before: dict[str, int], shown: list[Identity]) -> bool:
        known = await tx.crypto.device_lists([identity.user_id for identity in shown])
        views = [_view(known.get(new.user_id), new) for new in shown]
        merged = [view.now for view in views]
        users = [identity.user_id for identity in merged]
        pinned = {user for user, each in (await self._circle.standings(tx, users)).items() if each.pin}
        standings = await self._circle.see(tx, merged)
        # Who is pinned only now, or vouched for, has an inbox row that tells of it.
        added = any(each.pin and user not in pinned for user, each in standings.items())
        added |= any(now.vouched for now in merged)
        lists: list[DeviceList] = []
        for user, view in zip(users, views, strict=True):
            violation = _violation(standings[user], view.now)
            outdated = self._changes[user] != before[user]
            lists.append(DeviceList(user, outdated, view.now.document(), violation))
            added |= await self._follow_up(tx, view, standings[user], violation)
        await tx.crypto.save_device_lists(lists)
        for user in before.keys() - {identity.user_id for identity in shown}:
            self._not_before[user] = clock.now() + RETRY
            log.warning("devices.unanswered user=%s", user)
        return added

    async def _follow_up(
        self, tx: Transaction, view: "_View", standing: Standing, violation: str | None
    ) -> bool:
        """Rotate where a device lost our trust, and report what is odd; True if inbox rows were added."""
        added = False
        if _trusted(view.old) - _trusted(view.now):
            await tx.crypto.end_outbound(
                self._rooms_of(view.now.user_id)
            )  # also what is just being sent (S20)
        if violation is not None and violation != view.violation:
            added |= await self._report(tx, view.now, violation)
        if standing.state == ACTIVE and standing.needs_pin:
            added |= await self._report_devices(tx, view.old, view.shown)
        return added

    async def _report(self, tx: Transaction, identity: Identity, violation: str) -> bool:
        user, now = identity.user_id, clock.now()
        log.warning("identity.changed user=%s", user)
        await tx.crypto.end_outbound(self._rooms_of(user))
        standing = await self._circle.standing(tx, user)
        content = {"user_id": user, "old": standing.pin, "new": identity.master}
        event_id = f"violation:{user}:{violation}:{now.isoformat()}"
        return await tx.inbox.add(Received(event_id, "", user, "violation", content, now, now))

    async def _report_devices(self, tx: Transaction, old: Identity, new: Identity) -> bool:
        """A row for each device of a member that came up unsigned, or with other keys under its old id."""
        now, added = clock.now(), False
        for device_id, device in new.devices.items():
            reason = _suspicion(old.devices.get(device_id), device)
            if reason is None:
                continue
            content = {"user_id": new.user_id, "device_id": device_id, "reason": reason.value}
            event_id = f"device:{reason}:{new.user_id}:{device_id}:{device.ed25519}:{device.curve25519}"
            row = Received(event_id, "", new.user_id, "device", content, now, now)
            if await tx.inbox.add(row):
                added = True
                log.warning("device.suspected user=%s device=%s reason=%s", new.user_id, device_id, reason)
        return added

    def _rooms_of(self, user: str) -> list[str]:
        return [room.room_id for room in self._rooms.all() if user in room.members]


def _identities(users: list[str], answer: Json, voucher: tuple[str, str] | None) -> list[Identity]:
    """Those of these users whose homeserver has answered; some milliseconds for a hundred devices."""
    devices, masters = obj(answer.get("device_keys")), obj(answer.get("master_keys"))
    return [read_identity(user, answer, voucher) for user in users if user in devices or user in masters]


@dataclass(frozen=True)
class _View:
    """A user as known before, as the homeserver shows her, and as she counts now."""

    old: Identity
    shown: Identity
    now: Identity
    violation: str | None  # before


def _view(known: DeviceList | None, shown: Identity) -> _View:
    if known is None:
        return _View(Identity(shown.user_id), shown, shown, None)
    old = Identity.of(shown.user_id, known.document)
    return _View(old, shown, merge(old, shown), known.violation)


def _trusted(identity: Identity) -> set[tuple[str, str]]:
    """The devices that its owner vouches for, with their keys."""
    return {(each.device_id, each.curve25519) for each in identity.devices.values() if each.signed}


def _suspicion(before: Device | None, device: Device) -> Reason | None:
    """What is odd about a device as it is shown now; None if nothing is, or it was known to be unsigned."""
    if before is not None and not before.has_keys_of(device):
        return Reason.DEVICE_CHANGED
    return Reason.UNVERIFIED_DEVICE if before is None and not device.signed else None


def _violation(standing: Standing, identity: Identity) -> str | None:
    if distrust(standing, identity) is not Reason.IDENTITY_CHANGED:
        return None
    return identity.master or VANISHED
