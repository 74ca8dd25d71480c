"""The courier: delivers what is owed, in order within a room, until the homeserver has it."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from bot.kernel import clock
from bot.kernel.errors import DeliveryRefused
from bot.runtime.holding import is_held
from storage.audit import ERROR, Entry
from storage.outbox import EDIT, FAILED, SENT, Owed
from storage.transaction import Database, Transaction

AT_ONCE = 8
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)
# Synapse remembers transaction ids for about half an hour; a later retry first asks for the message.
REMEMBERED = timedelta(minutes=25)

log = structlog.get_logger()


class Messenger(Protocol):
    """What delivers a message; each of these may raise DeliveryRefused."""

    async def send(self, room_id: str, content: dict[str, Any], txn_id: str) -> str:
        """Send an m.room.message; its event id. The same `txn_id` is delivered once."""
        ...

    async def upload(self, content: bytes) -> dict[str, Any]:
        """Encrypt a file and put it on the homeserver: what a message says of it, its key among that."""
        ...

    async def direct_room(self, user_id: str) -> str:
        """The direct room with this person, made if there is none."""
        ...

    async def find_sent(self, room_id: str, txn_id: str) -> str | None:
        """The event that was sent under this transaction id, if it is in the room."""
        ...


class Courier:
    """Delivers outbox rows; one per process."""

    def __init__(
        self,
        database: Database,
        messenger: Messenger,
        now: Callable[[], datetime] = clock.now,
        jitter: Callable[[float, float], float] = clock.jitter,
    ) -> None:
        self._database = database
        self._messenger = messenger
        self._now = now
        self._jitter = jitter
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something new to deliver."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver for ever; woken by `wake`, and by the time of the next attempt."""
        while True:
            self._woken.clear()
            await self.drain()
            async with self._database.transaction() as tx:
                next_try = await tx.outbox.next_try()
            pause = None if next_try is None else max((next_try - self._now()).total_seconds(), 0.05)
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def drain(self) -> None:
        """Try everything that is due, rooms side by side, one message of a room after the other."""
        running: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                for owed in await self._claim(AT_ONCE - len(running), set(running)):
                    running[_destination(owed)] = group.create_task(self._deliver(owed))
                if not running:
                    return
                await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
                running = {where: task for where, task in running.items() if not task.done()}

    async def _claim(self, count: int, busy: set[str]) -> list[Owed]:
        """Rows to try now, their attempt counted first: what is on its way is no longer changed."""
        if count <= 0:
            return []
        async with self._database.transaction() as tx:
            due = [owed for owed in await tx.outbox.due(self._now()) if _destination(owed) not in busy]
            while due and await self._hold_back(tx, due[:count]):
                due = [owed for owed in await tx.outbox.due(self._now()) if _destination(owed) not in busy]
            return [owed for owed in due[:count] if await tx.outbox.mark_tried(owed)]

    async def _hold_back(self, tx: Transaction, due: list[Owed]) -> bool:
        """Hold what must not be said now: somebody may have come since it was written. Whether any was."""
        held = [owed.id for owed in due if await is_held(tx, owed.room_id, owed.about)]
        for row_id in held:
            await tx.outbox.hold(row_id)
        return bool(held)

    async def _deliver(self, owed: Owed) -> None:
        room_id = owed.room_id
        try:
            content = await self._content(owed)
            room_id = room_id or await self._messenger.direct_room(owed.to_user or "")
            event_id = await self._found(owed, room_id) or await self._messenger.send(
                room_id, content, owed.txn_id
            )
        except DeliveryRefused as refused:
            await self._put_off(owed, refused.reason, permanent=refused.permanent)
        except Exception as error:  # the rim: whatever a messenger raises, the message stays owed
            log.warning("delivery.failed", id=owed.id, error=type(error).__name__)
            await self._put_off(owed, type(error).__name__, permanent=False)
        else:
            async with self._database.transaction() as tx:
                await tx.outbox.mark_sent(owed.id, event_id, room_id, self._now())
                await self._forget_file(tx, owed)

    async def _content(self, owed: Owed) -> dict[str, Any]:
        """What is sent: an edit names the event of its card, which must be in the room by now."""
        if _carries_file(owed):
            return owed.content | {"file": await self._uploaded(owed)}
        if owed.kind != EDIT or owed.replaces is None:
            return owed.content
        async with self._database.transaction() as tx:
            edited = await tx.outbox.find(owed.replaces)
        if edited is None or edited.state == FAILED:
            raise DeliveryRefused("card_failed", permanent=True)
        if edited.state != SENT or edited.event_id is None:
            raise DeliveryRefused("card_not_sent", permanent=False)
        return owed.content | {"m.relates_to": {"rel_type": "m.replace", "event_id": edited.event_id}}

    async def _uploaded(self, owed: Owed) -> dict[str, Any]:
        """Where the message's file lies: uploaded once, however often the message is tried."""
        async with self._database.transaction() as tx:
            attached = await tx.attachments.find(owed.id)
        if attached is None:
            raise DeliveryRefused("file_lost", permanent=True)
        if attached.file is not None:
            return attached.file
        file = await self._messenger.upload(attached.content)
        async with self._database.transaction() as tx:
            await tx.attachments.mark_uploaded(owed.id, file)
        return file

    async def _forget_file(self, tx: Transaction, owed: Owed) -> None:
        if _carries_file(owed):
            await tx.attachments.remove(owed.id)

    async def _found(self, owed: Owed, room_id: str) -> str | None:
        """The event of an earlier attempt, where the homeserver may have forgotten the transaction."""
        if owed.attempts == 0 or self._now() - owed.created_at < REMEMBERED:
            return None
        return await self._messenger.find_sent(room_id, owed.txn_id)

    async def _put_off(self, owed: Owed, reason: str, *, permanent: bool) -> None:
        now = self._now()
        async with self._database.transaction() as tx:
            if permanent:
                log.error("message.failed", id=owed.id, room=owed.room_id, user=owed.to_user, reason=reason)
                await tx.outbox.mark_failed(owed.id, reason)
                await self._forget_file(tx, owed)
                await tx.audit.add(
                    Entry(
                        now,
                        "system",
                        "message.deliver",
                        ERROR,
                        room_id=owed.room_id,
                        object=owed.about,
                        reason_code=reason,
                    )
                )
                return
            pause = min(FIRST_PAUSE * 2 ** min(owed.attempts, 20), LONGEST_PAUSE) * self._jitter(0.5, 1.0)
            log.info(
                "message.put_off", id=owed.id, room=owed.room_id, reason=reason, attempts=owed.attempts + 1
            )
            await tx.outbox.mark_retry(owed.id, reason, now + pause)


def _carries_file(owed: Owed) -> bool:
    return "filename" in owed.content


def _destination(owed: Owed) -> str:
    return owed.room_id or owed.to_user or ""
