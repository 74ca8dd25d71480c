"""`tandem account`: the bot's device on its homeserver."""

import asyncio
from pathlib import Path

from bot.alone import alone_in
from bot.cli.records import opened
from bot.config import load
from bot.demo.synapse_config import kept_url
from bot.matrix.login import sign_out


def run_renew(config: Path) -> int:
    """Give up the device; the exit code. The bot must not run, and the next start needs the password."""
    settings = load(config)
    url = settings.matrix.homeserver
    if settings.is_embedded:
        url = kept_url(settings.data / "homeserver") or ""
    else:
        settings.password()

    async def renew() -> bool:
        with alone_in(settings.data):
            async with opened(config) as database:
                return await sign_out(database, url)

    if not asyncio.run(renew()):
        print("The homeserver could not be told; sign the old device out there.")
    print("The next start signs in as a new device of the same identity.")
    return 0
