"""The terminal of `make run`: the person at the keyboard, as an officer with a real encrypted client."""

import asyncio
import getpass
import io
import json
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle
from rich.console import Console
from rich.text import Text

from bot.demo.conversation import Change, Heard
from bot.demo.officer import Officer, Unanswered
from bot.demo.shown import harmless, styled, update_line
from bot.kernel import clock
from bot.matrix.errors import TOO_LARGE, MatrixError, Rejected, SendRefused, SignedOut, Unreachable

SERVE = "!room serve home ops"
QUIET_SECONDS = 1.0
FIRST_WORDS = (
    ("!help", "what you may do here"),
    ('!alert severe "Bridge closed" to=ops', "open until each agency has answered"),
    ("!ack A-1", 'answer it; also !ack A-1 unable "why"'),
    ("!alert who A-1", "who has answered"),
)
PASSWORD_BYTES = 12
GOODBYE = {"exit", "quit", ":q"}


@dataclass(frozen=True)
class Person:
    """Who sits at the keyboard; `room_id` and `recovery_key` are None before the first conversation."""

    localpart: str
    password: str
    room_id: str | None = None
    recovery_key: str | None = None


def person(folder: Path, bot: str = "tandem") -> Person:
    """The person kept in this folder; on the first start a new one, named as she is on this machine.

    `bot` is the bot's own localpart, which hers must not be.
    """
    file = folder / "person.json"
    if file.exists():
        return Person(**json.loads(file.read_text()))
    someone = Person(_localpart(bot), clock.token(PASSWORD_BYTES))
    keep(folder, someone)
    return someone


def keep(folder: Path, someone: Person) -> None:
    """Write the person down, for this user's eyes only; a crash leaves the old file or the new one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / "person.new"
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "w") as stream:
        json.dump(asdict(someone), stream)
    draft.replace(folder / "person.json")


def _localpart(bot: str) -> str:
    """The user's name on this machine, as far as a Matrix id can carry it; a role where it names nobody."""
    try:
        name = re.sub(r"[^a-z0-9._-]", "", getpass.getuser().lower())
    except (KeyError, OSError):  # no such user in the password database, as in some containers
        name = ""
    return next(each for each in (name, "admin", "operator") if each not in ("", "root", bot))


async def converse(folder: Path, homeserver: str, bot: str, words: Sequence[str] = ()) -> int:
    """Talk with the bot until the person leaves or her input ends; the exit code.

    The account of `person(folder)` must be there. `words` complete what is typed. With input from a pipe
    each line is a message, and the exit code is 1 if one of them got no answer.
    """
    someone = person(folder)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a byte that is no UTF-8 must not end the conversation
    typed = sys.stdin.isatty() and sys.stdout.isatty()
    print("Signing in …", file=sys.stderr, flush=True)
    async with await Officer.open(
        folder, homeserver, someone.localpart, someone.password, "Tandem console"
    ) as officer:
        screen = Screen(officer, typed=typed)
        someone = await _settle(folder, someone, officer, bot, screen)
        screen.introduce(homeserver, someone)
        if typed:
            return await from_keyboard(officer, screen, words)
        return await from_pipe(officer, screen, sys.stdin)


async def _settle(folder: Path, someone: Person, officer: Officer, bot: str, screen: "Screen") -> Person:
    """See that there is a recovery key, and a room with the bot that it serves."""
    if someone.recovery_key is None:
        someone = replace(someone, recovery_key=await officer.session.make_recovery_key())
        keep(folder, someone)
    if someone.room_id is not None:
        screen.home = someone.room_id
        return someone
    screen.note("Opening an encrypted room with the bot …")
    screen.home = await officer.create_room("Home", bot)
    await officer.see_joined(screen.home, bot)
    screen.echo(SERVE)
    await officer.ask(screen.home, SERVE)
    someone = replace(someone, room_id=screen.home)
    keep(folder, someone)
    return someone


async def from_keyboard(officer: Officer, screen: "Screen", words: Sequence[str]) -> int:
    """Say what is typed at a prompt until the person leaves; the exit code."""
    # Not kept on disk: what officers type is stored encrypted or not at all.
    prompt: PromptSession[str] = PromptSession(
        history=InMemoryHistory(),
        completer=WordCompleter(list(words), ignore_case=True, sentence=True),
        complete_style=CompleteStyle.READLINE_LIKE,
        interrupt_exception=EOFError,  # a KeyboardInterrupt in a task would tear the loop down
    )
    with patch_stdout(raw=True):
        while True:
            try:
                line = (await officer.meanwhile(prompt.prompt_async("> "))).strip()
            except EOFError:
                return 0
            if line in GOODBYE:
                return 0
            if line:
                await _goes_out(officer.say(screen.home, line), screen)


async def from_pipe(officer: Officer, screen: "Screen", stream: TextIO) -> int:
    """Say each line and wait for its answer; the exit code, 1 if one got none."""
    unanswered = 0
    screen.out = sys.stdout
    async for line in _lines(stream):
        screen.echo(line)
        try:
            unanswered += not await _goes_out(officer.ask(screen.home, line), screen)
        except Unanswered:
            unanswered += 1
            screen.note(f"No answer within {officer.patience:g} s to: {line}")
    await officer.quiet(QUIET_SECONDS)
    return 1 if unanswered else 0


async def _goes_out(saying: Awaitable[object], screen: "Screen") -> bool:
    """Whether it could be sent; if not, why is shown, and what follows can still be said."""
    try:
        await saying
    except (SendRefused, Rejected, Unreachable) as error:
        if isinstance(error, SignedOut):  # nothing can be said any more
            raise
        screen.note(_why(error))
        return False
    return True


def _why(error: MatrixError) -> str:
    """Why something could not be sent."""
    if TOO_LARGE in (
        getattr(error, "reason", None),
        getattr(error, "errcode", "").removeprefix("M_").lower(),
    ):
        return "Too long to send: shorten it."
    said = str(error)
    return f"{said[:1].upper()}{said[1:].rstrip('.?')}{said[-1] if said.endswith('?') else '.'}"


async def _lines(stream: TextIO) -> AsyncIterator[str]:
    """The lines that are not empty; read by a thread of its own that does not keep the process alive."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in stream:
            loop.call_soon_threadsafe(queue.put_nowait, line)
        loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        if line.strip():
            yield line.strip()


class Screen:
    """Shows what is said: styled above the prompt, or plain for a pipe."""

    def __init__(self, officer: Officer, *, typed: bool) -> None:
        """Shows everything that comes in from now on; until `out` is set, a pipe's reader sees none of it."""
        self.home = ""
        self.out: TextIO = sys.stdout if typed else sys.stderr
        self._typed = typed
        self._officer = officer
        officer.on_change = self.show

    def show(self, change: Change) -> None:
        """Show a new message, or in one line what an edit changed."""
        if change.after is None:
            return
        if change.before is not None:
            self._print(Text(f"↻ {update_line(change.before, change.after)}", "dim"))
            return
        if self._typed and change.after.rings(self._officer.user_id):
            self.out.write("\a")
        self._print(Text.assemble(self._whence(change.after), styled(change.after)))

    def echo(self, line: str) -> None:
        """What is said for the person, or by her through a pipe."""
        self._print(Text(f"> {harmless(line)}"))

    def note(self, text: str) -> None:
        """Progress."""
        print(text, file=sys.stderr, flush=True)

    def introduce(self, homeserver: str, someone: Person) -> None:
        """Where everything is, and what to type first."""
        facts = (
            ("homeserver", homeserver),
            ("user", self._officer.user_id),
            ("password", someone.password),
            ("recovery key", someone.recovery_key or ""),
        )
        self._print(Text("\nAny Matrix client can sign in beside this one, and verify itself:", "bold"))
        for name, value in facts:
            self._print(Text.assemble(f"  {name:<13}", (value, "cyan")))
        self._print(Text("\nType a command. Ctrl-D leaves. To begin with:", "bold"))
        for command, meaning in FIRST_WORDS:
            self._print(Text.assemble("  ", (f"{command:<38}", "cyan"), meaning))
        self._print(Text(""))

    def _whence(self, heard: Heard) -> Text:
        return Text("") if heard.room_id == self.home else Text("Direct message: ", "bold")

    def _print(self, text: Text) -> None:
        if self._typed:
            Console(file=sys.stdout, force_terminal=True, highlight=False).print(text)
        else:
            print(text.plain, file=self.out, flush=True)
