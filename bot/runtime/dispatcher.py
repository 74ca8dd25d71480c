"""The dispatcher: each received event has its whole effect in one transaction, once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot.kernel import clock
from bot.kernel.arguments import Kind, Reader, is_ref, letter_of
from bot.kernel.card import Card, Strong, card, line
from bot.kernel.errors import BotError, NotUnderstood
from bot.kernel.health import Health
from bot.kernel.language import ToType, Voice, t
from bot.kernel.vocabulary import Answer, Call, Capability, Command, Ref
from bot.runtime import confirm, pages
from bot.runtime.authority import NotServed, may, refusal
from bot.runtime.failure import described
from bot.runtime.help import help_for
from bot.runtime.holding import holding
from bot.runtime.incidents import Incidents
from bot.runtime.incoming import words_of
from bot.runtime.lines import command_start
from bot.runtime.matching import Parsed, grammar
from bot.runtime.parser import Table, UnknownNoun, UnknownVerb
from bot.runtime.posting import Origin, Poster
from bot.runtime.refusal import Asked, refused
from storage.audit import ERROR, OK, REFUSED, Entry
from storage.inbox import Received
from storage.members import ACTIVE, SUSPENDED, Grant, Member
from storage.rooms import Room
from storage.transaction import Database, Transaction

NOISE = timedelta(minutes=1)  # domain section 0: an unknown noun is answered once per user and minute

log = structlog.get_logger()


@dataclass(frozen=True)
class Settings:
    """Who the bot is, and where its randomness comes from."""

    user_id: str
    name: str = "Tandem"
    digits: Callable[[int], str] = clock.digits
    token: Callable[[], str] = clock.token
    reference: Callable[[], str] = field(default=lambda: clock.random_bytes(2).hex().upper())
    health: Callable[[], Health] | None = None
    on_owed: Callable[[], None] = field(default=lambda: None)
    pins_at_sight: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """What it answers to, besides the prefix."""
        return (self.user_id, self.name, self.user_id[1:].partition(":")[0])


@dataclass
class Attempt:
    """A message on its way; what is known of it outlives a rollback, for the refusal."""

    row: Received
    now: datetime
    member: Member
    room: Room
    grants: tuple[Grant, ...]
    origin: Origin
    typed: str
    start: int
    reader: Reader
    parsed: Parsed | None = None
    reply: Ref | None = None
    confirmed: bool = False
    shown: bytes | None = None  # what it was confirmed for

    @property
    def voice(self) -> Voice:
        """How the asker is spoken to first."""
        return self.origin.voices[0]


def complete(capabilities: Iterable[Capability]) -> tuple[tuple[Capability, ...], Table]:
    """These capabilities and the runtime's own (help, pages, confirmation), and the commands of all."""
    helping = help_for(lambda: table)
    everything = (*capabilities, helping, pages.paging, confirm.confirmations, holding)
    table = Table(command for each in everything for command in each.commands)
    return everything, table


class Dispatcher:
    """Handles what is in the inbox, in order."""

    def __init__(
        self,
        database: Database,
        capabilities: Iterable[Capability],
        now: Callable[[], datetime],
        settings: Settings,
    ) -> None:
        self._database = database
        self._now = now
        self._settings = settings
        self.capabilities, self.table = complete(capabilities)
        self._incidents = Incidents(self.capabilities, settings.user_id, settings.names, self._poster)

    async def drain(self) -> None:
        """Handle everything that waits."""
        while True:
            async with self._database.transaction() as tx:
                waiting = await tx.inbox.unhandled()
            if not waiting:
                return
            for row in waiting:
                await self._handle(row)
                self._settings.on_owed()

    async def _handle(self, row: Received) -> None:
        now = self._now()
        attempts: list[Attempt] = []
        try:
            try:
                async with self._database.transaction() as tx:
                    if await tx.inbox.mark_handled(row.event_id, now):
                        await self._effect(tx, row, now, attempts)
            except BotError as error:
                await self._refuse(row, now, attempts, error)
        except Exception as error:  # the rim: the officer is told, the log has the place
            await self._fail(row, now, attempts, error)

    async def _effect(self, tx: Transaction, row: Received, now: datetime, attempts: list[Attempt]) -> None:
        if row.kind != "message":
            await self._incidents.handle(tx, row, now)
            return
        attempt = await self._attempt(tx, row, now)
        if attempt is None:
            return
        attempts.append(attempt)
        await self._command(tx, attempt)

    async def _attempt(self, tx: Transaction, row: Received, now: datetime) -> Attempt | None:
        """What is known of a message; None if it is not a command, or nobody's who may give one."""
        member = await tx.members.find(row.sender)
        room = await tx.rooms.find(row.room_id)
        typed = words_of(row.content)
        start = command_start(typed, room.prefix if room else "!", self._settings.names)
        if member is None or member.state != ACTIVE or room is None:
            reason = "unknown_room" if member and member.state == ACTIVE else "not_enrolled"
            reason = member.state if member and member.state != ACTIVE else reason
            await tx.audit.add(_entry(row, now, "message", REFUSED, reason_code=reason))
            return None
        voices = self._poster(tx, now).voices(member, room)
        origin = Origin(room, row.sender, row.event_id, voices, row.content.get("thread"))
        if start is None:
            await self._hint(tx, now, origin)
            return None
        reply = await self._replied(tx, row)
        people = await self._people(tx, typed, start)
        reader = Reader(now, voices[0].zone, people, reply, voices[0].language)
        grants = tuple(await tx.members.grants(row.sender, now))
        return Attempt(row, now, member, room, grants, origin, typed, start, reader, reply=reply)

    async def _hint(self, tx: Transaction, now: datetime, origin: Origin) -> None:
        """Say how commands begin to who speaks with the bot alone."""
        if await _is_private(tx, origin.room, origin.user_id):
            prefix, command = origin.room.prefix, ToType("!help")
            hint = t("Commands begin with {prefix}; {command} shows them", prefix=prefix, command=command)
            await self._poster(tx, now).say(hint, origin)

    async def _people(self, tx: Transaction, typed: str, start: int) -> dict[str, str | None]:
        """Who is known by which name, where the command names anyone."""
        command = self.table.command(typed, start)
        if command is None or all(each.kind is not Kind.USER for each in grammar(command)):
            return {}
        return {each.user_id: each.name for each in await tx.members.all(ACTIVE, SUSPENDED)}

    async def _replied(self, tx: Transaction, row: Received) -> Ref | None:
        """The object of the card that was replied to, or whose thread this is."""
        for event_id in (row.content.get("reply_to"), row.content.get("thread")):
            about = await tx.outbox.about(event_id, row.room_id) if event_id else None
            if about and is_ref(about):
                return Ref(about)
        return None

    async def _command(self, tx: Transaction, attempt: Attempt) -> None:
        try:
            attempt.parsed = self.table.parse(attempt.typed, attempt.start, attempt.reader)
        except NotUnderstood as wrong:
            self._check_may(attempt, wrong)
            raise
        error = refusal(attempt.parsed.command, attempt.member, attempt.grants, attempt.room)
        if error:
            raise error
        handler, values = attempt.parsed.command.handler, attempt.parsed
        call = self._call(tx, attempt)
        if handler is confirm.confirm:
            await self._confirmed(tx, attempt, call)
        elif handler is pages.show_more:
            await self._next_page(tx, attempt, call)
        elif (asked := await self._asks(attempt, values, call)) is not None:
            await self._answer(tx, attempt, asked, reason="awaiting_code")
        else:
            answer = await handler(call, *values.positional, **values.named)
            await self._answer(tx, attempt, answer, reason="confirmed" if attempt.confirmed else None)

    async def _asks(self, attempt: Attempt, parsed: Parsed, call: Call) -> Card | None:
        """What is shown before the command is run; None if it is run now.

        A code counts for what its owner saw: where that has changed meanwhile, she sees it anew.
        """
        preview = parsed.command.preview
        shown = await preview(call, *parsed.positional, **parsed.named) if preview else None
        if shown is None or (attempt.confirmed and confirm.seen(call, shown) == attempt.shown):
            return None
        asked = await confirm.ask(call, shown, self._settings.digits(4))
        if not attempt.confirmed:
            return asked
        changed = line(Strong(t("This has changed since I showed it to you. Look again:")))
        return card(changed, asked.blocks)

    def _check_may(self, attempt: Attempt, error: NotUnderstood) -> None:
        """Nobody is taught how to type what she may not do; a wrong verb may have been meant for another."""
        command = self.table.command(attempt.typed, attempt.start)
        if command and not isinstance(error, UnknownVerb):
            refused_ = refusal(command, attempt.member, attempt.grants, attempt.room)
            if refused_:
                raise refused_ from error

    def _call(self, tx: Transaction, attempt: Attempt) -> Call:
        row = attempt.row
        return Call(
            tx,
            attempt.member,
            attempt.grants,
            attempt.room,
            attempt.now,
            attempt.voice,
            row.event_id,
            str(row.content.get("device_id")),
            attempt.typed,
            reply=attempt.reply,
            sent_at=row.sent_at,
            health=self._settings.health,
            pins_at_sight=self._settings.pins_at_sight,
        )

    async def _confirmed(self, tx: Transaction, attempt: Attempt, call: Call) -> None:
        """Run the command that waited for this code, in place of `!yes`."""
        assert attempt.parsed is not None  # noqa: S101  # parsed before it came here
        redeemed = await confirm.redeem(call, str(attempt.parsed.named["code"]))
        if isinstance(redeemed, BotError):
            # Not raised: the wrong try stays counted.
            await self._say_refusal(tx, attempt, redeemed)
            return
        reply = Ref(redeemed.reply) if redeemed.reply else None
        start = command_start(redeemed.typed, attempt.room.prefix, self._settings.names) or 0
        people = await self._people(tx, redeemed.typed, start)
        reader = replace(attempt.reader, reply=reply, members=people)
        attempt.typed, attempt.start, attempt.reply, attempt.reader = redeemed.typed, start, reply, reader
        attempt.confirmed, attempt.shown = True, redeemed.shown
        await self._command(tx, attempt)

    async def _next_page(self, tx: Transaction, attempt: Attempt, call: Call) -> None:
        turned = await pages.turn(call)
        if turned is None:
            await pages.show_more(call)
            return
        page, kept = turned
        await self._poster(tx, attempt.now).page(page, kept.about, attempt.origin)
        await tx.audit.add(self._acted(attempt, OK, kept.about, None))

    async def _answer(self, tx: Transaction, attempt: Attempt, answer: Answer, reason: str | None) -> None:
        # The command may have changed how she, or the room, is to be spoken to.
        member = await tx.members.find(attempt.member.user_id)
        room = await tx.rooms.find(attempt.room.room_id)
        poster = self._poster(tx, attempt.now)
        origin = replace(attempt.origin, voices=poster.voices(member, room))
        spoken = await poster.say(answer, origin)
        if not spoken.answered:
            await poster.say(t("Done."), origin)
        about = next(iter(spoken.about), None) or _ref_in(attempt.parsed)
        await tx.audit.add(self._acted(attempt, OK, about, reason))

    # what went wrong

    async def _refuse(self, row: Received, now: datetime, attempts: list[Attempt], error: BotError) -> None:
        async with self._database.transaction() as tx:
            if not await tx.inbox.mark_handled(row.event_id, now):
                return
            for attempt in attempts:
                await _spend_code(tx, attempt)
                await self._say_refusal(tx, attempt, error)
            if not attempts:
                await tx.audit.add(_entry(row, now, row.kind, REFUSED, reason_code=error.code))

    async def _say_refusal(self, tx: Transaction, attempt: Attempt, error: BotError) -> None:
        await tx.audit.add(self._acted(attempt, REFUSED, _ref_in(attempt.parsed), error.code))
        poster = self._poster(tx, attempt.now)
        if isinstance(error, NotServed):
            await poster.say(error.said, attempt.origin)
            return
        recent = {
            letter_of(ref): ref for ref in await tx.outbox.spoken_of(attempt.room.room_id) if is_ref(ref)
        }
        prefix, may_here = attempt.room.prefix, partial(self._may, attempt)
        asked = Asked(attempt.typed, attempt.start, prefix, attempt.reader, attempt.parsed, recent, may_here)
        sender = attempt.row.sender
        if not isinstance(error, UnknownNoun) or await _is_private(tx, attempt.room, sender):
            await poster.say(refused(error, asked, self.table), attempt.origin)
        elif await tx.notices.claim(f"noun {sender}", attempt.now, NOISE):
            there = await poster.voices_to(sender)
            await poster.direct(refused(error, replace(asked, prefix=there[0].prefix), self.table), sender)

    def _may(self, attempt: Attempt, command: Command) -> bool:
        return may(command, attempt.member, attempt.grants, attempt.room)

    async def _fail(self, row: Received, now: datetime, attempts: list[Attempt], error: Exception) -> None:
        reference = self._settings.reference()
        log.error("event.failed", ref=reference, kind=row.kind, event_id=row.event_id, **described(error))
        async with self._database.transaction() as tx:
            if not await tx.inbox.mark_handled(row.event_id, now):
                return
            attempt = next(iter(attempts), None)
            if attempt is None:
                await tx.audit.add(_entry(row, now, row.kind, ERROR, reason_code=type(error).__name__))
                return
            await _spend_code(tx, attempt)
            await tx.audit.add(self._acted(attempt, ERROR, None, type(error).__name__))
            said = t("Something failed here (ref {ref}). Nothing was changed.", ref=reference)
            await self._poster(tx, now).say(card(said), attempt.origin)

    def _acted(self, attempt: Attempt, outcome: str, about: str | None, reason: str | None) -> Entry:
        command = attempt.parsed.command if attempt.parsed else None
        command = command or self.table.command(attempt.typed, attempt.start)
        return Entry(
            attempt.now,
            "command",
            ".".join(command.path) if command else "unknown",
            outcome,
            actor=attempt.row.sender,
            device_id=attempt.row.content.get("device_id"),
            device_verified=True,
            room_id=attempt.room.room_id,
            agency=attempt.member.agency,
            object=about,
            reason_code=reason,
            event_id=attempt.row.event_id,
        )

    def _poster(self, tx: Transaction, now: datetime) -> Poster:
        return Poster(tx, now, self._settings.token, self.table.spelled)


async def _is_private(tx: Transaction, room: Room, user_id: str) -> bool:
    """Whether nobody but this person reads what I say in the room, so that a hint is no noise."""
    if await tx.rooms.is_private(room, user_id):
        return True
    return room.served and await tx.rooms.present(room.room_id) == [user_id]


async def _spend_code(tx: Transaction, attempt: Attempt) -> None:
    """A code counts once, also where the rollback of what it confirmed has brought it back."""
    if attempt.confirmed:
        await confirm.void(tx, attempt.row.sender, attempt.room.room_id)


def _ref_in(parsed: Parsed | None) -> str | None:
    """The first reference, or person, among a command's arguments."""
    if parsed is None:
        return None
    refs = [each.name for each in grammar(parsed.command) if each.kind in (Kind.REF, Kind.USER)]
    return next((str(parsed.named[name]) for name in refs if parsed.named.get(name)), None)


def _entry(row: Received, now: datetime, action: str, outcome: str, **values: Any) -> Entry:
    return Entry(
        now,
        "event",
        action,
        outcome,
        actor=row.sender,
        device_id=row.content.get("device_id"),
        room_id=row.room_id,
        event_id=row.event_id,
        **values,
    )
