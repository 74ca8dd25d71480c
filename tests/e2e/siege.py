"""The bot's session under attack: real Synapse, a lying proxy before it, and one honest officer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from bot.demo.homeserver import EmbeddedHomeserver
from bot.kernel import clock
from bot.matrix.account import Account
from bot.matrix.session import Session
from bot.matrix.trust import Circle, EnrolledCircle
from storage.inbox import Received
from storage.members import Member
from storage.transaction import Database
from tests.e2e.hostile import Hostile
from tests.e2e.meddler import Meddler

PASSWORD = "correct horse"
DEADLINE = 20.0  # seconds


class Siege:
    """`bot` talks to Synapse through `meddler`; `anna` is an enrolled admin with a real client."""

    def __init__(self, homeserver: EmbeddedHomeserver, folder: Path, patience: timedelta) -> None:
        self.homeserver = homeserver
        self._folder = folder
        self._patience = patience
        self._stack = AsyncExitStack()
        self._tag = clock.token(6).lower().replace("_", ".")
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.rows: list[Received] = []
        self.meddler = Meddler(homeserver.url)
        self.circle: Circle = EnrolledCircle()
        self.bot: Session
        self.anna: Session
        self.room_id = ""
        self.direct = False

    @classmethod
    async def begin(
        cls,
        homeserver: EmbeddedHomeserver,
        folder: Path,
        patience: timedelta = timedelta(seconds=1),
        *,
        direct: bool = False,
    ) -> Self:
        """Both signed in, in step, and together in an encrypted room; `direct`: with nobody in between."""
        self = cls(homeserver, folder, patience)
        self.direct = direct
        try:
            await self._begin()
        except BaseException:
            await self.end()
            raise
        return self

    async def _begin(self) -> None:
        await self._stack.enter_async_context(self.meddler)
        bot, anna = await self.register("bot"), await self.register("anna")
        self.bots = await self.database("bot")
        await self.enrol(anna, "admin")
        await self.start(bot)
        database = await self.database("anna")
        self.anna = await Session.open(database, Account(self.homeserver.url, anna, PASSWORD), Circle())
        self._stack.push_async_callback(self.anna.close)
        self.annas_loop = asyncio.create_task(self.anna.run())  # noqa: TID251  # `end` ends it
        self._stack.push_async_callback(_stop, self.annas_loop)
        await self.anna.synced()
        self.room_id = await self.anna.create_room("Ops", [bot])
        await self.until(lambda: self.anna.members(self.room_id).get(bot) == "join", "the bot to join")
        await self.expect("joined")

    async def end(self) -> None:
        """Stop all."""
        try:
            await self.stop()
        finally:
            await self._stack.aclose()

    async def register(self, name: str) -> str:
        """A new account; its user id."""
        return await self.homeserver.register(f"{name}-{self._tag}", PASSWORD)

    async def database(self, name: str) -> Database:
        """A database of its own."""
        database = Database(f"sqlite+aiosqlite:///{self._folder / name}.sqlite", clock.random_bytes)
        self._stack.push_async_callback(database.close)
        await database.create()
        await database.unlock(b"k" * 32, clock.now())
        return database

    async def enrol(self, user_id: str, role: str = "officer") -> None:
        """Make someone an active member; the identity is pinned at first sight."""
        now = clock.now()
        async with self.bots.transaction() as tx:
            member = Member(user_id, "RCMP", None, None, None, "active", None, None, None, user_id, now)
            await tx.members.enrol(member)
            await tx.members.grant(user_id, role, "RCMP", by=user_id, now=now)

    async def enrol_role(self, user_id: str, role: str) -> None:
        """Give a member one more role."""
        async with self.bots.transaction() as tx:
            await tx.members.grant(user_id, role, "RCMP", by=user_id, now=clock.now())

    async def token(self) -> str:
        """The bot's access token, as its database keeps it."""
        async with self.bots.transaction() as tx:
            token = await tx.crypto.value("token")
        assert token is not None
        return token.decode()

    async def ended(self) -> None:
        """Wait for the bot's loop to end; raises what ended it."""
        assert self._task is not None
        async with asyncio.timeout(DEADLINE):
            await self._task

    async def start(self, bot: str | None = None) -> None:
        """Start the bot, anew after `stop`."""
        url = self.homeserver.url if self.direct else self.meddler.url
        account = Account(url, bot or self.bot.user_id, PASSWORD)
        self.bot = await Session.open(self.bots, account, self.circle, self._patience)
        self.bot.on_received = self._arrived.set
        self._task = asyncio.create_task(self.bot.run())  # noqa: TID251  # `stop` ends it
        await self.bot.synced()

    async def stop(self) -> None:
        """Stop the bot; its database stays."""
        if self._task is not None:
            task, self._task = self._task, None
            await _stop(task)
            await self.bot.close()

    async def hostile(
        self, name: str = "mallory", *, enrolled: bool = True, join: bool = True, keys: bool = True
    ) -> Hostile:
        """A hostile client, by default of an enrolled, cross-signed member who is in the room."""
        user_id = await self.register(name)
        if enrolled:
            await self.enrol(user_id)
        hostile = await Hostile.open(self.homeserver.url, user_id, PASSWORD, keys=keys)
        self._stack.push_async_callback(hostile.close)
        if join:
            await self.anna.invite(self.room_id, user_id)
            await hostile.join(self.room_id)
            await self.until(lambda: self.bot.members(self.room_id).get(user_id) == "join", "the join")
        return hostile

    async def device_of(self, user_id: str, *, keys: bool = True, signed: bool = False) -> Hostile:
        """One more device on somebody's account, by default not cross-signed."""
        device = await Hostile.open(self.homeserver.url, user_id, PASSWORD, keys=keys, signed=signed)
        self._stack.push_async_callback(device.close)
        return device

    async def still_works(self) -> None:
        """The loop lives, and an honest command arrives and is answered."""
        body = f"!ping {clock.token(4)}"
        content = {"msgtype": "m.text", "body": body}
        event_id = await self.anna.send(self.room_id, content, clock.token())
        row = await self.row(event_id)
        assert (row.kind, row.sender, row.content.get("body")) == ("message", self.anna.user_id, body), row
        await self.bot.send(self.room_id, {"msgtype": "m.notice", "body": "pong"}, clock.token())
        assert self._task is not None
        assert not self._task.done()

    async def row(self, event_id: str) -> Received:
        """The inbox row of this event, when it is there."""
        return await self.expect(event_id=event_id)

    async def expect(
        self,
        kind: str | None = None,
        *,
        room_id: str | None = None,
        event_id: str | None = None,
        **content: Any,
    ) -> Received:
        """The first row of this kind, place and content, now or when it comes."""

        def wanted(row: Received) -> bool:
            same = all(row.content.get(name) == value for name, value in content.items())
            here = room_id in (None, row.room_id) and event_id in (None, row.event_id)
            return kind in (None, row.kind) and here and same

        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    await self._collect()
                    for row in self.rows:
                        if wanted(row):
                            return row
                    await self._arrived.wait()
                    self._arrived.clear()
        except TimeoutError:
            raise AssertionError(f"no {kind} {content} among {self.rows}") from None

    async def refused(self, event_id: str, *reasons: str) -> None:
        """The event was refused for one of these reasons, and nothing of what it said is kept."""
        row = await self.row(event_id)
        assert row.kind == "refused", row
        assert row.content["reason"] in reasons, row
        assert set(row.content) == {"reason", "device_id", "event_type"}

    async def _collect(self) -> None:
        async with self.bots.transaction() as tx:
            fresh = await tx.inbox.unhandled(1000)
            for row in fresh:
                await tx.inbox.mark_handled(row.event_id, clock.now())
        self.rows += fresh

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for something that a sync brings, on either side."""
        try:
            async with asyncio.timeout(DEADLINE):
                while not is_so():  # noqa: ASYNC110  # neither client tells of every round; we look often
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}") from None


Scene = Callable[[], Awaitable[Siege]]


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
