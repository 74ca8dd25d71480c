"""Stories: officers speak with the whole bot, on a real database, in fake rooms, with a turned clock."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from bot.kernel.vocabulary import Capability, Role
from bot.runtime.courier import Courier
from bot.runtime.dispatcher import Dispatcher, Settings
from bot.runtime.ticker import Ticker
from storage.agencies import Agency
from storage.audit import Entry, audit
from storage.inbox import Received
from storage.members import ACTIVE, Member
from storage.rooms import Room
from storage.transaction import Database
from tests.fakes import FakeClock, FakeMessenger, Sent

BOT = "@tandem:agency.example"
CODE = "4821"  # every confirmation code of a story

AGENCIES = (
    Agency("RCMP", "Royal Canadian Mounted Police", "Gendarmerie royale du Canada", "CA"),
    Agency("CBP", "U.S. Customs and Border Protection", "Service des douanes des États-Unis", "US"),
    Agency("OPP", "Ontario Provincial Police", "Police provinciale de l'Ontario", "CA"),
)


class Said(str):
    """The body of a message of the bot, as it reads now; with where and how it was said."""

    html: str
    event_id: str
    room_id: str
    rings: bool
    mentions: tuple[str, ...]
    reply_to: str | None
    thread: str | None
    edited: bool
    file: bytes | None = None


class Officer:
    """A person with a verified device."""

    def __init__(self, story: "Story", user_id: str, device_id: str) -> None:
        self.story = story
        self.user_id = user_id
        self.device_id = device_id

    def with_device(self, device_id: str) -> "Officer":
        """The same person on another device."""
        return Officer(self.story, self.user_id, device_id)

    async def says(self, room: str, body: str, *, reply_to: str | None = None, **content: Any) -> Said:
        """Type a message; the bot's last reply to it, wherever it was given (empty: none)."""
        message = {"body": body, "msgtype": "m.text", "device_id": self.device_id, "reply_to": reply_to}
        return await self.story.receive("message", room, self.user_id, message | {"thread": None} | content)

    async def replies(self, room: str, card: str, body: str) -> Said:
        """Reply to a message of the bot."""
        return await self.says(room, body, reply_to=_event_id(card))

    async def reacts(self, room: str, card: str, key: str) -> Said:
        """React to a message of the bot, in clear."""
        content = {"target": _event_id(card), "key": key, "unsigned": True}
        return await self.story.receive("reaction", room, self.user_id, content)

    async def edits(self, room: str, event_id: str, body: str) -> Said:
        """Edit an own message."""
        content = {"target": event_id, "body": body, "device_id": self.device_id}
        return await self.story.receive("edit", room, self.user_id, content)

    async def redacts(self, room: str, event_id: str) -> Said:
        """Take an own message or reaction back."""
        return await self.story.receive("redaction", room, self.user_id, {"target": event_id})


@dataclass
class Story:
    """One bot with its rooms and people. `last_event` is the id of what was received last."""

    database: Database
    clock: FakeClock
    messenger: FakeMessenger
    dispatcher: Dispatcher
    courier: Courier
    ticker: Ticker
    last_event: str = ""

    @classmethod
    async def begin(
        cls,
        database: Database,
        capabilities: Iterable[Capability] | None = None,
        agencies: Sequence[str] = ("RCMP", "CBP", "OPP"),
        **changed: Any,
    ) -> "Story":
        """A bot that knows some agencies, nobody and no room; with every capability unless some are named.

        `changed` are settings of the dispatcher that are not as usual.
        """
        if capabilities is None:
            from commands import CAPABILITIES

            capabilities = CAPABILITIES
        clock, messenger, token = FakeClock(), FakeMessenger(), _counted("txn")
        settings = Settings(
            BOT, "Tandem", digits=lambda count: CODE[:count], token=token, reference=lambda: "7F3A", **changed
        )
        dispatcher = Dispatcher(database, capabilities, clock.now, settings)
        courier = Courier(database, messenger, clock.now, lambda low, high: high)
        ticker = Ticker(database, dispatcher.capabilities, clock.now, token)
        story = cls(database, clock, messenger, dispatcher, courier, ticker)
        story._events = _counted("$event")
        async with database.transaction() as tx:
            for agency in AGENCIES:
                if agency.code in agencies:
                    await tx.agencies.add(agency)
        return story

    _events: Callable[[], str] = lambda: ""

    async def member(
        self,
        name: str,
        *roles: Role,
        agency: str = "RCMP",
        role: Role | None = None,
        language: str | None = None,
        zone: str | None = None,
        state: str = ACTIVE,
    ) -> Officer:
        """Enrol a person, with these roles for her agency, and give her a direct room with the bot."""
        user_id = f"@{name}:{agency.lower()}.example"
        async with self.database.transaction() as tx:
            await tx.members.enrol(
                Member(
                    user_id,
                    agency,
                    name.capitalize(),
                    language,
                    zone,
                    state,
                    f"key-{name}",
                    "admin",
                    self.clock.at,
                    "@root:agency.example",
                    self.clock.at,
                )
            )
            for each in (*roles, *([role] if role else [])):
                await tx.members.grant(
                    user_id, each.value, agency, by="@root:agency.example", now=self.clock.at
                )
        return await self._person(name, user_id)

    async def stranger(self, name: str) -> Officer:
        """A person who is not enrolled."""
        return Officer(self, f"@{name}:elsewhere.example", f"{name.upper()}DEV")

    async def _person(self, name: str, user_id: str) -> Officer:
        direct = await self.messenger.direct_room(user_id)
        async with self.database.transaction() as tx:
            await tx.rooms.join(direct, user_id)
            await tx.rooms.settle(direct, [user_id])
        return Officer(self, user_id, f"{name.upper()}DEV")

    async def room(
        self,
        name: str,
        tags: Sequence[str] = (),
        members: Sequence[Officer] = (),
        *,
        served: bool = True,
        language: str = "en",
        zone: str = "UTC",
        reactions: bool = False,
        prefix: str = "!",
    ) -> str:
        """A room that the bot is in; its id."""
        room_id = f"!{name}:agency.example"
        async with self.database.transaction() as tx:
            await tx.rooms.join(room_id)
            await tx.rooms.change(
                room_id,
                name=name,
                tags=tags,
                served=served,
                language=language,
                zone=zone,
                reactions=reactions,
                prefix=prefix,
            )
            await tx.rooms.settle(room_id, [each.user_id for each in members])
        return room_id

    def direct_room(self, officer: Officer) -> str:
        """The id of the direct room of the bot and this person."""
        return self.messenger.direct_rooms[officer.user_id]

    async def receive(self, kind: str, room_id: str, sender: str, content: dict[str, Any]) -> Said:
        """Take an event in and let the bot finish with it; its last reply to it (empty: none)."""
        event_id = self._events()
        self.last_event = event_id
        now = self.clock.at
        async with self.database.transaction() as tx:
            await tx.inbox.add(Received(event_id, room_id, sender, kind, content, now, now))
        before = len(self.messenger.sent)
        await self.settle()
        new = [sent for sent in self.messenger.sent[before:] if "m.new_content" not in sent.content]
        replies = [sent for sent in new if sent.room_id == room_id]
        return self._read(replies[-1]) if replies else _nothing()

    async def settle(self) -> None:
        """Let the bot handle and deliver everything that waits now."""
        await self.dispatcher.drain()
        await self.courier.drain()

    async def pass_time(self, step: timedelta = timedelta(seconds=5), **length: float) -> None:
        """Turn the clock on by `timedelta(**length)`; jobs that come due meanwhile run at their time."""
        end = self.clock.at + timedelta(**length)
        while self.clock.at < end:
            # Long stretches are walked in larger steps: what comes due meanwhile is a little late.
            stride = max(step, (end - self.clock.at) / 40)
            self.clock.turn(min(stride, end - self.clock.at))
            await self.ticker.run_jobs()
            await self.settle()

    def said(self, room_id: str) -> list[Said]:
        """All messages of the bot in a room, as they read now."""
        return [
            self._read(sent)
            for sent in self.messenger.in_room(room_id)
            if "m.new_content" not in sent.content
        ]

    def direct(self, officer: Officer) -> list[Said]:
        """All messages of the bot in the direct room with this person."""
        return self.said(self.direct_room(officer))

    def now_reads(self, message: Said) -> Said:
        """The message with its edits up to now."""
        sent = next(each for each in self.messenger.sent if each.event_id == message.event_id)
        return self._read(sent)

    async def audit(self) -> list[Entry]:
        """The audit record, oldest first."""
        columns = [audit.c[name] for name in Entry.__dataclass_fields__]
        async with self.database.transaction() as tx:
            rows = await tx.connection.execute(select(*columns).order_by(audit.c.id))
            return [Entry(*row) for row in rows]

    async def find_room(self, room_id: str) -> Room:
        """A room as it is stored."""
        async with self.database.transaction() as tx:
            room = await tx.rooms.find(room_id)
        assert room is not None
        return room

    def _read(self, sent: Sent) -> Said:
        edits = [
            each.content["m.new_content"]
            for each in self.messenger.sent
            if each.content.get("m.relates_to", {}).get("rel_type") == "m.replace"
            and each.content["m.relates_to"]["event_id"] == sent.event_id
        ]
        shown = edits[-1] if edits else sent.content
        relation = sent.content.get("m.relates_to", {})
        said = Said(shown["body"])
        said.html = shown["formatted_body"]
        said.event_id, said.room_id, said.edited = sent.event_id, sent.room_id, bool(edits)
        said.rings = sent.content["msgtype"] == "m.text"
        said.mentions = tuple(sent.content["m.mentions"].get("user_ids", ()))
        said.file = self.messenger.files.get(sent.content.get("file", {}).get("url"))
        said.reply_to = relation.get("m.in_reply_to", {}).get("event_id")
        said.thread = relation.get("event_id") if relation.get("rel_type") == "m.thread" else None
        return said


def _nothing() -> Said:
    said = Said("")
    said.html, said.event_id, said.room_id, said.edited = "", "", "", False
    said.rings, said.mentions, said.reply_to, said.thread = False, (), None, None
    return said


def _event_id(message: str) -> str:
    return message.event_id if isinstance(message, Said) else message


def _counted(prefix: str) -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers)}"


def at(text: str) -> datetime:
    """An instant from ISO 8601, for stories."""
    return datetime.fromisoformat(text)
