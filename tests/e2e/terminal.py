"""A terminal for a program that wants one: what it shows is read, what is typed goes to it."""

import asyncio
import os
import pty
import re
import termios
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

DEADLINE = 120.0  # seconds
ROWS_AND_COLUMNS = (40, 120)
# Colours, cursor moves and modes; of what is shown only the text counts here.
CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\^_=>])")


class Terminal:
    """A pseudo-terminal with a program in it."""

    def __init__(self, screen: int, process: asyncio.subprocess.Process) -> None:
        """Use `running`."""
        self._screen = screen
        self._process = process
        self._raw = b""
        self._read = 0
        self._shown = asyncio.Event()
        asyncio.get_running_loop().add_reader(screen, self._take)

    @classmethod
    @asynccontextmanager
    async def running(cls, command: Sequence[str], environment: dict[str, str]) -> AsyncIterator["Terminal"]:
        """Run the program; it is killed at the end, should it still run."""
        screen, inside = pty.openpty()
        termios.tcsetwinsize(inside, ROWS_AND_COLUMNS)
        env = environment | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}  # nobody answers questions here
        process = await asyncio.create_subprocess_exec(
            *command, stdin=inside, stdout=inside, stderr=inside, env=env, start_new_session=True
        )
        os.close(inside)
        terminal = cls(screen, process)
        try:
            yield terminal
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            asyncio.get_running_loop().remove_reader(screen)
            os.close(screen)

    def _take(self) -> None:
        try:
            fresh = os.read(self._screen, 65536)
        except OSError:  # the program has gone
            fresh = b""
        if not fresh:
            asyncio.get_running_loop().remove_reader(self._screen)
        self._raw += fresh
        self._shown.set()

    @property
    def text(self) -> str:
        """Everything shown so far."""
        return CONTROL.sub("", self._raw.decode(errors="replace"))

    async def reads(self, text: str) -> None:
        """Wait until this is shown, after what was read last."""
        try:
            async with asyncio.timeout(DEADLINE):
                while (at := self.text.find(text, self._read)) < 0:
                    await self._shown.wait()
                    self._shown.clear()
        except TimeoutError:
            raise AssertionError(f"waited in vain for {text!r} after:\n{self.text[self._read :]}") from None
        self._read = at + len(text)

    def types(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._screen, keys.encode())

    async def ended(self) -> int:
        """Wait until the program ends; its exit code."""
        async with asyncio.timeout(DEADLINE):
            return await self._process.wait()
