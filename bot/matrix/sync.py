"""Keeping in step: one supervised loop; what a round changes commits together with its token (R16)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from bot.kernel import clock
from bot.kernel.cancellation import heed
from bot.matrix.api import Homeserver
from bot.matrix.devices import Devices
from bot.matrix.errors import MatrixError, Rejected, SignedOut, Unreachable
from bot.matrix.olm import OlmMachine
from bot.matrix.receive import Receiver
from bot.matrix.rooms import Rooms
from bot.matrix.steps import Step
from bot.matrix.timeline import Timeline
from bot.matrix.trust import Circle
from bot.matrix.wire import Json, need, number, obj, objects, text, texts
from storage.members import ACTIVE
from storage.transaction import Database, Transaction

log = logging.getLogger(__name__)

SINCE = "since"
LONG_POLL_MS = 30_000
LONGEST_PAUSE = 60.0  # seconds between two rounds while the homeserver is down
PAGE, MOST_PAGES = 100, 100  # of a gap: ten thousand events
SENDERS_A_ROUND = 500


class Sync:
    """The sync loop and what one round does."""

    def __init__(
        self,
        database: Database,
        server: Homeserver,
        machine: OlmMachine,
        devices: Devices,
        rooms: Rooms,
        receiver: Receiver,
        circle: Circle,
    ) -> None:
        self._database = database
        self._server = server
        self._machine = machine
        self._devices = devices
        self._rooms = rooms
        self._receiver = receiver
        self._circle = circle
        self._timeline = Timeline(machine.user_id, rooms, receiver, circle)
        self._since: str | None = None
        self._loaded = self._in_step = False
        self.state = "starting"
        self.last_at: datetime | None = None
        self.one_time_keys: int | None = None
        self.fallback_published = False
        self.round_done = asyncio.Condition()
        self.rounds = 0
        self.on_received: Callable[[], None] = lambda: None
        self.on_steps: Callable[[Iterable[Step]], None] = lambda steps: None
        self.on_own_devices: Callable[[], Awaitable[None]] | None = None

    async def load(self) -> None:
        """Take up where the database says we were."""
        async with self._database.transaction() as tx:
            since = await tx.crypto.value(SINCE)
            await self._rooms.load(tx)
        self._since = since.decode() if since is not None else None
        self._loaded = True

    async def run(self) -> None:
        """Round after round; ends by cancellation or when the homeserver has signed us out."""
        failures = 0
        while True:
            asked: float | None = None
            try:
                await self.round()
                failures = 0
                continue
            except SignedOut:
                self.state = "ended"
                raise
            except MatrixError as error:
                asked = error.retry_after if isinstance(error, Unreachable) else None
                log.warning("sync.failed error=%s", type(error).__name__)
            except Exception as error:  # the rim: whatever it was, the loop lives (R17)
                log.error(
                    "sync.failed error=%s", type(error).__name__, exc_info=log.isEnabledFor(logging.DEBUG)
                )
            heed()
            self.state, failures = "unreachable", failures + 1
            pause = asked if asked is not None else 0.5 * 2 ** min(failures, 8)
            await asyncio.sleep(min(pause, LONGEST_PAUSE) * clock.jitter(0.8, 1.3))

    async def round(self) -> None:
        """One request and all that follows from its answer."""
        if not self._loaded:
            await self.load()
        answer = await self._server.sync(self._since, LONG_POLL_MS if self._in_step else 0)
        await self._handle(answer)
        self._in_step, self.state, self.last_at = True, "syncing", clock.now()
        async with self.round_done:
            self.rounds += 1
            self.round_done.notify_all()
        await self._publish_keys(answer)

    async def _handle(self, answer: Json) -> None:
        batch = need(answer.get("next_batch"), 4096)
        senders = await self._ask_for_devices(answer)
        gaps = await self._fill_gaps(answer)
        before = self._receiver.added
        try:
            async with self._machine.lock, self._database.transaction() as tx:
                await self._take(tx, answer, gaps, senders, batch)
                await tx.crypto.set_value(SINCE, batch.encode())
        except BaseException:
            self._loaded = False  # nothing of the round is kept; nor may memory keep any of it
            self._receiver.verification.forget()
            raise
        self._since = batch
        self.on_steps(self._receiver.verification.take())
        if self._receiver.added != before:
            self.on_received()

    async def _take(
        self, tx: Transaction, answer: Json, gaps: dict[str, list[Json]], senders: set[str], batch: str
    ) -> None:
        opened: set[tuple[str, str]] = set()
        receiver, first = self._receiver, self._since is None
        for event in objects(obj(answer.get("to_device")).get("events")):
            await receiver.safely(tx, "to_device", receiver.to_device(tx, event, opened))
        rooms = obj(answer.get("rooms"))
        for room_id, section in obj(rooms.get("invite")).items():
            await receiver.safely(tx, "room", self._timeline.invited(tx, room_id, obj(section), batch))
        for room_id, section in obj(rooms.get("join")).items():
            gap = gaps.get(room_id, [])
            await receiver.safely(tx, "room", self._timeline.joined(tx, room_id, obj(section), gap, first))
        for room_id, section in obj(rooms.get("leave")).items():
            await receiver.safely(tx, "room", self._timeline.left(tx, room_id, obj(section), batch))
        await receiver.retry(tx, opened, senders)
        await self._rooms.save(tx)

    async def _ask_for_devices(self, answer: Json) -> set[str]:
        """Bring the lists up to date of those whose word may count in this round; who they are (R9)."""
        lists = obj(answer.get("device_lists"))
        changed = [*texts(lists.get("changed")), *texts(lists.get("left"))]
        # Those who changed too: a new identity is an alarm at once, not when its owner next speaks.
        senders = (_senders(answer) | set(texts(lists.get("changed")))) - {self._machine.user_id}
        if not senders and not changed and not self._receiver.may_await:
            return set()
        async with self._database.transaction() as tx:
            if changed:
                await self._devices.mark_changed(tx, changed)
            senders |= {text(each.event.get("sender")) or "" for each in await tx.crypto.awaited()}
            standings = await self._circle.standings(tx, senders) if senders else {}
        present = {user for room in self._rooms.all() for user in room.members}
        known = sorted(
            user
            for user, standing in standings.items()
            if standing.state == ACTIVE and (standing.needs_pin or user in present)
        )
        try:
            await self._devices.refresh(known[:SENDERS_A_ROUND])
        except SignedOut:
            raise
        except MatrixError as error:
            # What these users said waits for a later round; everyone else's is taken now.
            log.warning("devices.unanswered error=%s", type(error).__name__)
        if self._machine.user_id in changed and self.on_own_devices is not None:
            await self.on_own_devices()
        return set(known)

    async def _fill_gaps(self, answer: Json) -> dict[str, list[Json]]:
        """For rooms we are in, the events between our token and the timeline that the answer left out."""
        gaps: dict[str, list[Json]] = {}
        for room_id, section in obj(obj(answer.get("rooms")).get("join")).items():
            timeline = obj(obj(section).get("timeline"))
            start = text(timeline.get("prev_batch"), 4096)
            limited = timeline.get("limited") is True and self._rooms.joined(room_id) is not None
            if limited and start is not None and self._since is not None:
                gaps[room_id] = await self._fill_gap(room_id, start, self._since)
        return gaps

    async def _fill_gap(self, room_id: str, start: str, end: str) -> list[Json]:
        events: list[Json] = []
        for _ in range(MOST_PAGES):
            try:
                page = await self._server.messages(room_id, start, end, PAGE)
            except SignedOut:
                raise
            except Rejected:
                break  # no longer in the room
            chunk = objects(page.get("chunk"))
            events += chunk
            following = text(page.get("end"), 4096)
            if not chunk or following is None or following == start:
                break
            start = following
        else:
            log.error("gap.too_long room=%s events=%s", room_id, len(events))
        log.info("gap.filled room=%s events=%s", room_id, len(events))
        return events[::-1]

    async def _publish_keys(self, answer: Json) -> None:
        """Refill one-time keys, also from none at all, and replace a used fallback key (R6)."""
        counts, unused = (
            answer.get("device_one_time_keys_count"),
            answer.get("device_unused_fallback_key_types"),
        )
        if isinstance(counts, dict):
            self.one_time_keys = number(counts.get("signed_curve25519")) or 0
        if isinstance(unused, list):
            self.fallback_published = "signed_curve25519" in unused
        try:
            await self.publish_keys(fallback_used=isinstance(unused, list) and not self.fallback_published)
        except SignedOut:
            raise
        except MatrixError as error:
            log.error("keys.unpublished error=%s", type(error).__name__)  # tried again with the next round

    async def publish_keys(self, *, fallback_used: bool) -> None:
        """Upload what is missing on the homeserver."""
        if self.one_time_keys is None or (self.one_time_keys >= 25 and not fallback_used):
            return
        async with self._machine.lock, self._database.transaction() as tx:
            body = await self._machine.keys_to_publish(tx, self.one_time_keys, fallback_used)
        answer = await self._server.keys_upload(body)
        async with self._machine.lock, self._database.transaction() as tx:
            await self._machine.keys_were_published(tx)
        self.one_time_keys = number(obj(answer.get("one_time_key_counts")).get("signed_curve25519"))
        self.fallback_published = self.fallback_published or fallback_used
        log.info("keys.published count=%s", self.one_time_keys)

    async def expire(self) -> None:
        """Give up on waiting events as their time comes; runs beside the loop."""
        while True:
            before, left = self._receiver.added, None
            if self._receiver.may_await:
                async with self._machine.lock, self._database.transaction() as tx:
                    left = await self._receiver.expire(tx)
                self._receiver.may_await = left is not None
            if self._receiver.added != before:
                self.on_received()
            if left is not None:
                await asyncio.sleep(max(left.total_seconds(), 0.01))
                continue
            async with self.round_done:
                await self.round_done.wait()


def _senders(answer: Json) -> set[str]:
    """Who sent something encrypted in this round."""
    events = objects(obj(answer.get("to_device")).get("events"))
    for section in obj(obj(answer.get("rooms")).get("join")).values():
        events += objects(obj(obj(section).get("timeline")).get("events"))
    senders = {text(event.get("sender")) for event in events if event.get("type") == "m.room.encrypted"}
    return {sender for sender in senders if sender is not None}
