"""The bot as it is run: `tandem run --config` in a process of its own, which a test may stop or kill."""

import asyncio
import base64
import contextlib
import sys
from pathlib import Path

from bot.demo.homeserver import EmbeddedHomeserver
from bot.kernel import clock
from storage.transaction import Database

STOP_SECONDS = 20.0
AGENCY = "RCMP"


class BotProcess:
    """A bot with a configuration and a data folder; started and ended as often as a test likes."""

    def __init__(self, folder: Path, user_id: str, environment: dict[str, str] | None) -> None:
        """Use `configure`."""
        self.user_id = user_id
        self.config = folder / "config.toml"
        self.log = folder / "bot.log"
        self.data = folder / "data"
        self._folder = folder
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    async def configure(
        cls,
        folder: Path,
        homeserver: EmbeddedHomeserver,
        localpart: str,
        admin: str,
        environment: dict[str, str] | None = None,
        url: str | None = None,
    ) -> "BotProcess":
        """Make the account and write the configuration; `admin` is a user id.

        `url` is where the bot finds the homeserver, if that is not its own address.
        """
        password = clock.token()
        user_id = await homeserver.register(localpart, password)
        _secret(folder / "password", password)
        _secret(folder / "master.key", base64.b64encode(clock.random_bytes(32)).decode())
        bot = cls(folder, user_id, environment)
        bot.config.write_text(
            f"""\
data = "data"

[matrix]
homeserver = "{url or homeserver.url}"
user = "{user_id}"
password_file = "password"

[security]
master_key_file = "master.key"

[members]
admins = ["{admin}"]
agency = "{AGENCY}"
agency_name = "Royal Canadian Mounted Police"
"""
        )
        return bot

    async def start(self) -> None:
        """Start it; what it says goes to the log."""
        command = (sys.executable, "-m", "bot", "run", "--config", str(self.config))
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, env=self._environment
            )

    async def kill_after(self, seconds: float) -> None:
        """Kill it with SIGKILL after this time; fails if it ends by itself before."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            code = await asyncio.wait_for(self._process.wait(), seconds)
            raise AssertionError(f"the bot ended by itself with {code}:\n{self.log_tail()}")
        self._process.kill()
        await self._process.wait()

    @property
    def password(self) -> str:
        """The password of its account."""
        return (self._folder / "password").read_text()

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    def kill(self) -> None:
        """Kill it with SIGKILL, now."""
        assert self._process is not None
        self._process.kill()

    async def stop(self) -> int:
        """Ask it to stop, as systemd does, and wait; the exit code."""
        assert self._process is not None
        self._process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            return await self._process.wait()

    async def ended(self) -> int:
        """Wait until it ends by itself; the exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def tandem(self, *arguments: str) -> tuple[int, str]:
        """Run another command of the bot with its configuration; the exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            *arguments,
            "--config",
            str(self.config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def open_database(self) -> Database:
        """Its database, unlocked; also while it runs."""
        database = Database(f"sqlite+aiosqlite:///{self.data / 'tandem.db'}", clock.random_bytes)
        key = base64.b64decode((self._folder / "master.key").read_text())
        await database.unlock(key, clock.now())
        return database

    def log_tail(self) -> str:
        """The end of what it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


def _secret(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
