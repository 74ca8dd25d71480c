"""`tandem identity`: the bot's three signing keys, and the recovery key that saves them."""

import asyncio
import getpass
import json
import sys
from pathlib import Path

from bot import logs
from bot.alone import alone_in, make_private
from bot.app import running
from bot.cli.records import opened
from bot.config import Settings, load
from bot.demo.synapse_config import kept_url
from bot.kernel import clock
from bot.matrix.account import Account
from bot.matrix.checkup import OwnKeys, has_recovery_key, own_keys
from bot.matrix.errors import MatrixError
from bot.matrix.secret_storage import recover
from bot.toml_file import ConfigError

GROUP = 4
NAMES = {"master": "Fingerprint", "self_signing": "Self-signing key", "user_signing": "User-signing key"}


def run_show(config: Path, *, as_json: bool) -> int:
    """Print the identity's public keys; the exit code. The bot may run."""

    async def look() -> tuple[OwnKeys, bool | None]:
        async with opened(config) as database:
            keys = await own_keys(database)
            try:
                return keys, await has_recovery_key(database, _url(load(config)))
            except MatrixError:
                return keys, None

    own, stored = asyncio.run(look())
    if as_json:
        print(json.dumps({**vars(own), "recovery_key": stored}, indent=2))
        return 0
    print(f"User {own.user_id}")
    print(f"Device {own.device_id}" if own.device_id else "Device given up; the next start makes a new one")
    for usage, key in own.keys.items():
        print(f"{NAMES[usage]} {grouped(key)}")
    print(f"Recovery key {_STORED[stored]}")
    return 0


_STORED = {
    True: "made",
    False: "not made; stop the bot, then: tandem identity recovery-key",
    None: "unknown: the homeserver does not answer",
}


def grouped(key: str) -> str:
    """A key as it is read out, four by four."""
    return " ".join(key[at : at + GROUP] for at in range(0, len(key), GROUP))


def run_recovery_key(config: Path) -> int:
    """Make a new recovery key and print it; the exit code. The bot must not run."""
    settings = load(config)
    logs.configure("warning")

    async def make() -> str:
        async with running(settings) as bot:
            return await bot.session.make_recovery_key()

    print(asyncio.run(make()))
    return 0


def run_recover(config: Path, key_file: Path | None) -> int:
    """Fetch the identity into an empty database; the exit code. The bot must not run."""
    settings = load(config)
    if settings.is_embedded:
        raise ConfigError(
            "the embedded homeserver lies in the data folder too; restore that folder from its backup"
        )
    matrix = settings.matrix
    account = Account(matrix.homeserver, matrix.user, settings.password(), matrix.device_name)
    typed = _recovery_key(key_file)

    async def fetch() -> str:
        make_private(settings.data)
        with alone_in(settings.data):
            async with opened(config, upgraded=False) as database:
                await database.upgrade()
                await database.unlock(settings.master_key(), clock.now())
                return (await recover(database, account, typed)).master.public

    print(f"The identity is back: {grouped(asyncio.run(fetch()))}")
    print("The next start signs a new device with it; members have to be enrolled again.")
    return 0


def _recovery_key(file: Path | None) -> str:
    """From a file, the keyboard, or a pipe; never from an argument, which other users of the machine see."""
    if file is not None:
        return file.read_text()
    if sys.stdin.isatty():
        return getpass.getpass("Recovery key: ")
    return sys.stdin.readline()


def _url(settings: Settings) -> str:
    if settings.is_embedded:
        return kept_url(settings.data / "homeserver") or ""
    return settings.matrix.homeserver
