"""The tour of `make demo`: officers with real clients play a script, and each answer is compared."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bot.demo.conversation import Heard
from bot.demo.officer import Officer, Unanswered
from bot.demo.script import CAST, ROOMS, SCRIPT, Act, Hears, Opens, Says, Tells, TimePasses
from bot.demo.shown import styled
from bot.kernel import clock

PATIENCE_SECONDS = 45.0  # for machines that do other things as well
EXCERPT_LINES = 3


@dataclass(frozen=True)
class Stage:
    """Where the tour is played: a throw-away homeserver and a bot that has `admin` as its only admin.

    `register` makes an account and gives its user id; `pass_time` moves the bot's clock ahead.
    `patience` is how many seconds each officer waits for what she expects.
    """

    folder: Path
    homeserver: str
    bot: str
    register: Callable[[str, str], Awaitable[str]]
    pass_time: Callable[[timedelta], None]
    patience: float = PATIENCE_SECONDS


class NotAsExpected(Exception):
    """A step came out differently; the text says how."""


async def play(stage: Stage, acts: Sequence[Act] = SCRIPT) -> int:
    """Play the script and write the transcript to stdout; the exit code is 0 if all was as expected."""
    transcript = Transcript(Console(file=sys.stdout, highlight=False, soft_wrap=True))
    began = clock.monotonic()
    async with AsyncExitStack() as clients:
        print("The officers sign in …", file=sys.stderr, flush=True)
        tour = Tour(stage, await _sign_in(stage, clients), transcript)
        for number, act in enumerate(acts, start=1):
            try:
                await tour.play(act)
            except NotAsExpected as problem:
                transcript.failed(number, len(acts), str(problem))
                return 1
            except Unanswered as problem:
                transcript.failed(number, len(acts), problem.in_full)
                return 1
    transcript.ended(tour.compared, clock.monotonic() - began)
    return 0


async def _sign_in(stage: Stage, clients: AsyncExitStack) -> dict[str, Officer]:
    async def one(name: str) -> Officer:
        localpart, password = name.lower(), clock.token()
        await stage.register(localpart, password)
        officer = await Officer.open(stage.folder / localpart, stage.homeserver, localpart, password)
        officer.patience = stage.patience
        return await clients.enter_async_context(officer)

    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(one(name)) for name in CAST}
    return {name: task.result() for name, task in tasks.items()}


class Tour:
    """Plays one act after the other; `compared` counts what was expected and came."""

    def __init__(self, stage: Stage, officers: dict[str, Officer], transcript: "Transcript") -> None:
        self.compared = 0
        self._stage = stage
        self._officers = officers
        self._transcript = transcript
        self._rooms: dict[str, str] = {}

    async def play(self, act: Act) -> None:
        """Do what the act says; NotAsExpected or Unanswered if it comes out differently."""
        match act:
            case Tells():
                self._transcript.tell(act.text)
            case Opens():
                await self._open(act)
            case Says():
                before = self._known(act.hears)
                await self._say(act)
                await self._hear(act.hears, before)
            case TimePasses():
                before = self._known(act.hears)
                self._stage.pass_time(act.span)
                self._transcript.time_passes(act.span)
                await self._hear(act.hears, before)

    async def _open(self, act: Opens) -> None:
        """Make the room, and wait until everyone is in it."""
        guests = [self._officers[name] for name in act.guests]
        who = self._officers[act.who]
        room_id = await who.create_room(ROOMS[act.room], self._stage.bot, *(each.user_id for each in guests))
        self._rooms[act.room] = room_id
        await who.see_joined(room_id, self._stage.bot)
        for guest in guests:
            await who.see_joined(room_id, guest.user_id)
            await guest.see_joined(room_id, self._stage.bot)
        self._transcript.opens(act)
        self.compared += 1

    async def _say(self, act: Says) -> None:
        officer, room_id = self._officers[act.who], self._rooms[act.room]
        text = act.text.format(**{name: each.user_id for name, each in self._officers.items()})
        reply_to = None
        if act.replies_to is not None:
            reply_to = (await officer.hear_text(room_id, act.replies_to, self._stage.bot)).event_id
        self._transcript.says(act, text)
        self._transcript.answered(await officer.ask(room_id, text, reply_to, answer=act.answer))
        self.compared += 1

    async def _hear(self, expected: Iterable[Hears], before: dict[str, set[Heard]]) -> None:
        for hears in expected:
            officer = self._officers[hears.who]
            where = hears.room or "a direct message"
            heard = await officer.hear(
                partial(self._fits, hears, before[hears.who]), f"“{hears.text}” in {where}"
            )
            self._transcript.hears(hears, heard)
            if hears.rings and not heard.rings(officer.user_id):
                raise NotAsExpected(f"It should have rung for {hears.who}, but did not.")
            self.compared += 1

    def _fits(self, hears: Hears, old: set[Heard], heard: Heard) -> bool:
        """Whether this is what should be heard, and new or changed."""
        if heard in old or heard.sender != self._stage.bot or hears.text not in heard.body:
            return False
        if hears.room is None:
            return heard.room_id not in self._rooms.values()
        return heard.room_id == self._rooms[hears.room]

    def _known(self, expected: Iterable[Hears]) -> dict[str, set[Heard]]:
        names = {hears.who for hears in expected}
        return {name: set(self._officers[name].conversations.all()) for name in names}


class Transcript:
    """Who said what where; styled on a terminal, plain elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, text: str) -> None:
        """What comes next, for the reader."""
        self._console.print()
        self._console.print(Text(text, "bold underline"))

    def opens(self, act: Opens) -> None:
        """A room was made."""
        guests = ", ".join(("Tandem", *act.guests))
        self._console.print()
        self._console.print(self._speaker(act.who, act.room), Text(f"opens it, encrypted; in it: {guests}"))

    def says(self, act: Says, text: str) -> None:
        """An officer speaks."""
        self._console.print()
        how = " replies to the card" if act.replies_to else ""
        self._console.print(self._speaker(act.who, act.room), Text(how.strip() or "says"))
        self._indented(Text(f"> {text}", "cyan"))

    def answered(self, answer: Heard) -> None:
        """The bot answers."""
        self._indented(styled(answer))

    def hears(self, hears: Hears, heard: Heard) -> None:
        """Someone else gets something by it."""
        where = f"in {ROOMS[hears.room]}" if hears.room else "by direct message"
        what = "sees the card change" if heard.edits else "is rung" if hears.rings else "reads"
        self._indented(Text(f"→ {hears.who} {what} {where}:", "italic"))
        lines = [line for line in heard.body.splitlines() if hears.text.splitlines()[0] in line]
        self._indented(Text("\n".join(lines[:EXCERPT_LINES])), by=6)

    def time_passes(self, span: timedelta) -> None:
        """The clock is moved, and that is said."""
        self._console.print()
        minutes = int(span.total_seconds() // 60)
        self._console.print(Text(f"(The bot's clock is moved ahead by {minutes} minutes.)", "italic"))

    def failed(self, number: int, of: int, problem: str) -> None:
        """A step was not as expected."""
        self._console.print(Text(f"\n✗ Step {number} of {of} was not as expected.\n{problem}", "bold red"))

    def ended(self, compared: int, seconds: float) -> None:
        """All was as expected."""
        self._console.print(
            Text(f"\n✓ {compared} answers and messages, each as expected, in {seconds:.0f} s.", "bold green")
        )

    def _speaker(self, name: str, room: str) -> Text:
        return Text.assemble((name, "bold"), f" ({CAST[name]}) in {ROOMS[room]}")

    def _indented(self, text: Text, by: int = 2) -> None:
        for line in text.split("\n", allow_blank=True):
            self._console.print(Text.assemble(" " * by, line))
