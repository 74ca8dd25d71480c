"""The stage: Synapse, the proxy that lies, the bot as a process, and Anna with a real client."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeVar

from bot.demo.homeserver import EmbeddedHomeserver
from bot.demo.officer import Officer
from bot.kernel import clock
from tests.e2e.bot_process import AGENCY, BotProcess
from tests.e2e.hostile import Hostile
from tests.e2e.meddler import Meddler

PASSWORD = "correct horse"
DEADLINE = 60.0  # seconds; for a busy machine
LOOK_EVERY = 0.05

T = TypeVar("T")


async def until(look: Callable[[], T], what: str) -> T:
    """What `look` finds, once it finds anything."""
    deadline = clock.monotonic() + DEADLINE
    while not (found := look()):
        if clock.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        await asyncio.sleep(LOOK_EVERY)
    return found


class Stage:
    """What all attacks share. `hand` does for Anna what her client has no button for."""

    agency = AGENCY

    def __init__(
        self, homeserver: EmbeddedHomeserver, meddler: Meddler, bot: BotProcess, anna: Officer, hand: Hostile
    ) -> None:
        """Use `open`."""
        self.homeserver = homeserver
        self.meddler = meddler
        self.bot = bot
        self.anna = anna
        self.hand = hand
        self.bot_device = ""
        self.turn = asyncio.Lock()  # held by the attack that acts
        self.wings = asyncio.Semaphore(2)  # and one more makes its room ready meanwhile

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator["Stage"]:
        """Everything up, the bot signed in and in step."""
        async with AsyncExitStack() as stack:
            homeserver = await EmbeddedHomeserver.start(folder / "homeserver", limits=False, plain_rooms=True)
            stack.push_async_callback(homeserver.stop)
            meddler = await stack.enter_async_context(Meddler(homeserver.url))
            anna = await homeserver.register("anna", PASSWORD)
            own = folder / "bot"
            own.mkdir(mode=0o700)
            environment = _environment(folder)
            bot = await BotProcess.configure(own, homeserver, "tandem", anna, environment, meddler.url)
            await bot.start()
            stack.push_async_callback(_end, bot)
            officer = await Officer.open(folder / "anna", homeserver.url, anna, PASSWORD)
            officer.patience = DEADLINE
            await stack.enter_async_context(officer)
            hand = await Hostile.open(homeserver.url, anna, PASSWORD, keys=False)
            stack.push_async_callback(hand.close)
            stage = cls(homeserver, meddler, bot, officer, hand)
            await until(lambda: stage.said_in_log("bot.started"), "the bot to start")
            answer = await hand.call("POST", "/keys/query", {"device_keys": {bot.user_id: []}})
            [stage.bot_device] = answer["device_keys"][bot.user_id]
            yield stage

    def rows(self, query: str, *values: Any) -> list[Any]:
        """What the bot's database holds: read beside the running bot, without its key."""
        file = self.bot.data / "tandem.db"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=DEADLINE)) as database:
            return database.execute(query, values).fetchall()

    def log(self) -> list[str]:
        """The lines of the bot's log so far."""
        return self.bot.log.read_text(errors="replace").splitlines()

    def said_in_log(self, *parts: str, since: int = 0) -> int:
        """How many lines of the log, from this one on, have all these parts."""
        return sum(all(part in line for part in parts) for line in self.log()[since:])


async def _end(bot: BotProcess) -> None:
    if bot.is_running:
        await bot.stop()


def _environment(folder: Path) -> dict[str, str]:
    """For the bot's process: compiled code is kept between its starts."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
