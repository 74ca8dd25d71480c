"""An officer's client: a real cross-signed device that speaks, listens and waits for answers."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from bot.demo.conversation import Change, Conversations, Heard
from bot.kernel import clock
from bot.matrix.account import Account
from bot.matrix.errors import SendRefused
from bot.matrix.session import Session
from bot.matrix.trust import Circle
from storage.encryption import KEY_BYTES
from storage.inbox import Received
from storage.transaction import Database, Transaction

PATIENCE_SECONDS = 30.0
RESEND_SECONDS = 0.2
LARGEST_DOWNLOAD = 1024 * 1024  # bytes

T = TypeVar("T")


class Unanswered(Exception):
    """What was waited for did not come. Nothing that was said is in the text; `in_full` has it as well."""

    def __init__(self, text: str, heard: str) -> None:
        super().__init__(text)
        self.add_note(heard)
        self.in_full = f"{text}\n{heard}"


class Welcoming(Circle):
    """Who counts for an officer's own client: any cross-signed device. She follows every invite."""

    async def may_invite(self, tx: Transaction, user_id: str, direct: bool) -> bool | None:
        """Always."""
        return True


class Officer:
    """A signed-in officer; `open` one, `close` her at the end, or use her as an async context manager."""

    def __init__(self, session: Session, database: Database) -> None:
        """Use `open`."""
        self.user_id = session.user_id
        self.session = session
        self.conversations = Conversations()
        self.patience = PATIENCE_SECONDS
        # Called with each thing that comes in, after it was taken in.
        self.on_change: Callable[[Change], None] = lambda change: None
        self._database = database
        self._arrived = asyncio.Event()
        self._arrived.set()
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        session.on_received = self._arrived.set
        # No task group: a client is opened and closed, which no block of code encloses. `close` ends them.
        self._tasks = [
            asyncio.create_task(session.run()),  # noqa: TID251  # see above
            asyncio.create_task(self._take_in()),  # noqa: TID251  # see above
        ]

    @classmethod
    async def open(
        cls, folder: Path, homeserver: str, user: str, password: str, device_name: str = "Tandem officer"
    ) -> Self:
        """Sign in as the device kept in `folder`, or as a new one; returns once the client is in step."""
        database = await _database(folder)
        try:
            account = Account(homeserver, user, password, device_name)
            officer = cls(await Session.open(database, account, Welcoming()), database)
        except BaseException:
            await database.close()
            raise
        try:
            await officer.meanwhile(officer.session.synced())
        except BaseException:
            await officer.close()
            raise
        return officer

    async def close(self) -> None:
        """Stop listening and end the connections. Closing twice is fine."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.session.close()
        await self._database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def create_room(self, name: str, *invite: str, encrypted: bool = True) -> str:
        """Make a room, encrypted unless said otherwise, and invite these people; returns its id."""
        return await self.session.create_room(name, invite, encrypted=encrypted)

    async def say(self, room_id: str, body: str, reply_to: str | None = None, **extra: Any) -> str:
        """Say something, as a reply if `reply_to` names an event; returns the event id."""
        content: dict[str, Any] = {"msgtype": "m.text", "body": body, **extra}
        if reply_to is not None:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
        return await self._send(room_id, content)

    async def edit(self, room_id: str, event_id: str, body: str) -> str:
        """Replace an own message; returns the id of the edit."""
        new = {"msgtype": "m.text", "body": body}
        relation = {"rel_type": "m.replace", "event_id": event_id}
        content = {"msgtype": "m.text", "body": f"* {body}", "m.new_content": new, "m.relates_to": relation}
        return await self._send(room_id, content)

    async def _send(self, room_id: str, content: dict[str, Any]) -> str:
        """Send, and try again while it is only put off, as any client does."""
        txn_id = clock.token()
        async with asyncio.timeout(self.patience):
            while True:
                try:
                    return await self.session.send(room_id, content, txn_id)
                except SendRefused as refused:
                    if refused.permanent:
                        raise
                await asyncio.sleep(RESEND_SECONDS)

    async def react(self, room_id: str, event_id: str, key: str) -> str:
        """React to a message, in clear as all clients do; returns the event id."""
        return await self.session.react(room_id, event_id, key, clock.token())

    async def download(self, heard: Heard) -> bytes:
        """The file of a message, decrypted."""
        return await self.session.download(heard.file or {}, LARGEST_DOWNLOAD)

    def heard(self, room_id: str) -> list[Heard]:
        """What others said in this room since this client was opened, oldest first."""
        return self.conversations.in_room(room_id)

    async def answer(self, event_id: str, containing: str = "") -> Heard:
        """The reply to this event with this text, now or when it comes; Unanswered if none comes in time."""

        def fits(heard: Heard) -> bool:
            return heard.reply_to == event_id and containing in heard.body

        return await self.hear(fits, f"a reply with “{containing}”" if containing else "a reply")

    async def ask(self, room_id: str, body: str, reply_to: str | None = None, *, answer: str = "") -> Heard:
        """Say something and wait for the reply to it, the first one that contains `answer`."""
        return await self.answer(await self.say(room_id, body, reply_to), answer)

    async def hear(self, fits: Callable[[Heard], bool], what: str) -> Heard:
        """The first message that fits, now or when it comes; Unanswered if none does in time."""
        found: list[Heard] = []

        def is_there() -> bool:
            found.extend(filter(fits, self.conversations.all()))
            return bool(found)

        await self.until(is_there, what)
        return found[0]

    async def hear_text(self, room_id: str, text: str, sender: str | None = None) -> Heard:
        """The first message of the room that contains this text, by anyone unless a sender is named."""

        def fits(heard: Heard) -> bool:
            return heard.room_id == room_id and text in heard.body and sender in (None, heard.sender)

        return await self.hear(fits, f"“{text}”")

    async def see_joined(self, room_id: str, user_id: str) -> None:
        """Wait until someone, perhaps oneself, is in this room."""

        def is_in() -> bool:
            return self.session.members(room_id).get(user_id) == "join"

        await self.until(is_in, f"{user_id} to join {room_id}")

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something is so that only what comes in can change; Unanswered if it takes too long."""
        try:
            async with asyncio.timeout(self.patience):
                while not is_so():
                    await self._wait(self._news)
        except TimeoutError:
            waited = f"{self.user_id} waited in vain for {self.patience:g} s; the bot's log says more"
            raise Unanswered(waited, self._missed(what)) from None

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing has come in for this long."""
        while True:
            try:
                await asyncio.wait_for(asyncio.shield(self._news), seconds)
            except TimeoutError:
                return

    async def meanwhile(self, wish: Coroutine[Any, Any, T]) -> T:
        """Do something; fails with what ended the client, should that happen first."""
        doing = asyncio.ensure_future(wish)  # noqa: TID251  # awaited below, or cancelled with the client
        try:
            await self._wait(doing)
        finally:
            if not doing.done():
                doing.cancel()
        return await doing

    async def _wait(self, wish: asyncio.Future[Any]) -> None:
        await asyncio.wait({wish, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()

    def _missed(self, what: str) -> str:
        last = [f"  {heard.sender}: {heard.body}" for heard in self.conversations.all()[-5:]]
        refused = [f"  not shown: {each.sender} {each.content}" for each in self.conversations.refused[-5:]]
        return "\n".join((f"Waited for: {what}. Last heard:", *last, *refused))

    async def _take_in(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            async with self._database.transaction() as tx:
                fresh = await tx.inbox.unhandled(limit=1000)
                for received in fresh:
                    await tx.inbox.mark_handled(received.event_id, clock.now())
            await self._show(fresh)

    async def _show(self, fresh: list[Received]) -> None:
        for received in fresh:
            change = self.conversations.take(received)
            if change is not None:
                self.on_change(change)
        told, self._news = self._news, asyncio.get_running_loop().create_future()
        told.set_result(None)


async def _database(folder: Path) -> Database:
    """The client's own database in its folder, both for this user's eyes only."""
    master_key = _master_key(folder)
    database = Database(f"sqlite+aiosqlite:///{folder / 'officer.db'}", clock.random_bytes)
    await database.upgrade()
    await database.unlock(master_key, clock.now())
    return database


def _master_key(folder: Path) -> bytes:
    """The key of the database in this folder; both are made if missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "master.key"
    if not file.exists():
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "wb") as stream:
            stream.write(clock.random_bytes(KEY_BYTES))
    return file.read_bytes()
