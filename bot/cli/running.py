"""What runs until it is ended: the bot, the console beside it, the tour."""

import asyncio
import base64
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bot import logs
from bot.alone import make_private
from bot.app import running
from bot.config import MASTER_KEY, MASTER_KEY_BYTES, MembersSettings, Settings, load
from bot.demo import console, script, tour
from bot.kernel import clock
from bot.setup import Wishes, write

CONFIG = "config.toml"
SAME_SIGNAL_SECONDS = 3.0  # a Ctrl-C may come twice: from the terminal, and passed on by make


def run_bot(config: Path | None) -> int:
    """Run until a signal; the exit code."""
    settings = load(config or Path(CONFIG))
    logs.configure(settings.logs.level)
    return asyncio.run(_until_a_signal(_serve(settings)))


def run_console(config: Path | None) -> int:
    """Run the bot on its own homeserver, with the person at the keyboard as admin; the exit code."""
    settings = load(config) if config else console_settings()
    if not settings.is_embedded:
        raise settings.file.error(
            "matrix.homeserver", 'the console needs homeserver = "embedded"; run the bot without --console'
        )
    make_private(settings.data)
    logs.configure(settings.logs.level, settings.data / "tandem.log")
    return asyncio.run(_until_a_signal(_talk(settings)))


def run_tour() -> int:
    """Play the tour on a throw-away homeserver; the exit code. What the bot logged is kept if it failed."""
    folder = Path(tempfile.mkdtemp(prefix="tandem-"))
    logs.configure("info", folder / "tandem.log")
    code = 1
    try:
        code = asyncio.run(_until_a_signal(_play(folder)))
    finally:
        if code:
            _tell(f"What the bot logged: {folder / 'tandem.log'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code


async def _until_a_signal(work: Coroutine[Any, Any, int]) -> int:
    """Do the work; SIGTERM or SIGINT ends it in order, no error; a later one ends it at once."""
    task = asyncio.ensure_future(work)  # noqa: TID251  # the one task that a signal ends, and that is awaited
    told = asyncio.Event()
    first = 0.0

    def stop(sign: int) -> None:
        nonlocal first
        if not told.is_set():
            told.set()
            first = clock.monotonic()
            task.cancel()
        elif clock.monotonic() - first > SAME_SIGNAL_SECONDS:
            os._exit(128 + sign)

    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop, sign)
    try:
        return await task
    except asyncio.CancelledError:
        if not told.is_set():
            raise
        return 0


async def _serve(settings: Settings) -> int:
    async with running(settings):
        await asyncio.Event().wait()
    return 0


async def _talk(settings: Settings) -> int:
    folder = settings.data / "console"
    someone = console.person(folder, settings.matrix.localpart)
    admins = tuple(dict.fromkeys((*settings.members.admins, someone.localpart)))
    settings = replace(settings, members=replace(settings.members, admins=admins))
    async with running(settings, tell=_tell) as bot:
        assert bot.embedded is not None  # noqa: S101  # the console has checked that
        await bot.embedded.register(someone.localpart, someone.password)
        return await console.converse(folder, bot.homeserver, bot.user_id, bot.words)


async def _play(folder: Path) -> int:
    ahead = timedelta()

    def now() -> datetime:
        return clock.now() + ahead

    def pass_time(span: timedelta) -> None:
        nonlocal ahead
        ahead += span

    key = base64.b64encode(clock.random_bytes(MASTER_KEY_BYTES)).decode()
    members = MembersSettings(admins=(script.ADMIN,), agency="RCMP", agency_name=_RCMP)
    settings = Settings(folder / "data", members=members, environ={MASTER_KEY[0]: key})
    async with running(settings, now, _tell, limits=False) as bot:
        assert bot.embedded is not None  # noqa: S101  # the default
        stage = tour.Stage(folder / "officers", bot.homeserver, bot.user_id, bot.embedded.register, pass_time)
        return await tour.play(stage)


_RCMP = "Royal Canadian Mounted Police"


def console_settings() -> Settings:
    """Those of config.toml here where the console can use it, else of the data folder (made if missing)."""
    folder = Path(os.environ.get("TANDEM_DATA") or "data").expanduser().absolute()
    if (here := Path(CONFIG)).exists():
        settings = load(here)
        why = _not_for_the_console(settings, folder)
        if why is None:
            return settings
        _tell(f"{CONFIG} here is not used: {why}. Used: {folder / CONFIG}")
    file = folder / CONFIG
    if not file.exists():
        make_private(folder)
        write(Wishes(data="."), file)
    return load(file)


def _not_for_the_console(settings: Settings, folder: Path) -> str | None:
    """Why these settings cannot be the console's; None if they can. `folder` is where data is looked for."""
    if not settings.is_embedded:
        return f"its homeserver is {settings.matrix.homeserver}, and the console runs one of its own"
    if os.environ.get("TANDEM_DATA") and settings.data != folder:
        return f"its data is in {settings.data}, and TANDEM_DATA says {folder}"
    return None


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
