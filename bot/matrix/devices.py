"""Whose devices we know: asked for one query at a time, kept in the database, checked against the pins."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.identities import merge, read_identity
from bot.matrix.rooms import Rooms
from bot.matrix.trust import Circle, Identity, Reason, distrust
from bot.matrix.wire import Json, obj
from storage.crypto import DeviceList
from storage.inbox import Received
from storage.transaction import Database, Transaction

log = logging.getLogger(__name__)

USERS_A_QUERY = 250  # as matrix-sdk-crypto
RETRY = timedelta(seconds=60)  # before a user whose homeserver did not answer is asked for again
VANISHED = "none"


class Devices:
    """Device lists of other users."""

    def __init__(
        self, database: Database, server: Homeserver, circle: Circle, rooms: Rooms, ratchets: asyncio.Lock
    ) -> None:
        self._database = database
        self._ratchets = ratchets
        self._server = server
        self._circle = circle
        self._rooms = rooms
        self._asking = asyncio.Lock()
        self._changes: dict[str, int] = {}
        self._not_before: dict[str, datetime] = {}

    async def mark_changed(self, tx: Transaction, users: list[str]) -> None:
        """The homeserver says that these users' devices are not what they were."""
        for user in users:
            # An answer that was asked for before this mark must not clear it.
            self._changes[user] = self._changes.get(user, 0) + 1
            self._not_before.pop(user, None)
        await tx.crypto.outdate_devices(users)

    async def refresh(self, users: Iterable[str]) -> bool:
        """Ask for every one of these users who is new to us or has changed; True if inbox rows were added.

        A user whose homeserver does not answer keeps the devices known so far and is asked for later.
        """
        added = False
        async with self._asking:
            wanted = await self._outdated(sorted(set(users)))
            for start in range(0, len(wanted), USERS_A_QUERY):
                chunk = wanted[start : start + USERS_A_QUERY]
                before = {user: self._changes.get(user, 0) for user in chunk}
                answer = await self._server.keys_query(chunk)
                async with self._ratchets, self._database.transaction() as tx:
                    added |= await self._learn(tx, before, answer)
        return added

    async def _outdated(self, users: list[str]) -> list[str]:
        async with self._database.transaction() as tx:
            known = await tx.crypto.device_lists(users)
        now = clock.now()
        return [
            user
            for user in users
            if (user not in known or known[user].outdated) and self._not_before.get(user, now) <= now
        ]

    async def _learn(self, tx: Transaction, before: dict[str, int], answer: Json) -> bool:
        known = await tx.crypto.device_lists(list(before))
        added = False
        for position, (user, changes) in enumerate(before.items()):
            if user not in obj(answer.get("device_keys")) and user not in obj(answer.get("master_keys")):
                self._not_before[user] = clock.now() + RETRY
                log.warning("devices.unanswered user=%s", user)
                continue
            old = known.get(user)
            new = read_identity(user, answer)
            if old is not None:
                new = merge(Identity.of(user, old.document), new)
            violation = await self._violation(tx, new)
            outdated = self._changes.get(user, 0) != changes
            await tx.crypto.save_device_list(DeviceList(user, outdated, new.document(), violation))
            if violation is not None and (old is None or old.violation != violation):
                added |= await self._report(tx, new, violation)
            if position % 20 == 19:
                await asyncio.sleep(0)
        return added

    async def _violation(self, tx: Transaction, identity: Identity) -> str | None:
        standing = await self._circle.see(tx, identity)
        if distrust(standing, identity) is not Reason.IDENTITY_CHANGED:
            return None
        return identity.master or VANISHED

    async def _report(self, tx: Transaction, identity: Identity, violation: str) -> bool:
        user, now = identity.user_id, clock.now()
        log.warning("identity.changed user=%s", user)
        rooms = [room.room_id for room in self._rooms.all() if user in room.members]
        await tx.crypto.end_outbound(rooms)
        standing = await self._circle.standing(tx, user)
        content = {"user_id": user, "old": standing.pin, "new": identity.master}
        event_id = f"violation:{user}:{violation}:{now.isoformat()}"
        return await tx.inbox.add(Received(event_id, "", user, "violation", content, now, now))
