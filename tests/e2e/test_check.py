"""`tandem check` beside a running bot on a real homeserver: all is well, until somebody meddles."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from bot.demo.homeserver import EmbeddedHomeserver
from bot.matrix.login import TOKEN
from tests.e2e.bot_process import BotProcess

START_SECONDS = 120.0


async def checked(bot: BotProcess) -> dict[str, dict[str, Any]]:
    """The doctor's findings, by name."""
    _, said = await bot.tandem("check", "--json")
    return {each["name"]: each for each in json.loads(said)["findings"]}


async def started(bot: BotProcess) -> None:
    """Start the bot, and wait until it is signed in and its keys are published."""
    await bot.start()
    async with asyncio.timeout(START_SECONDS):
        while (await checked(bot)).get("fallback key", {}).get("rating") != "ok":
            pass


async def test_a_bot_that_runs_is_well_and_a_look_at_it_changes_nothing(
    homeserver: EmbeddedHomeserver, tmp_path: Path
) -> None:
    bot = await BotProcess.configure(tmp_path, homeserver, "check-well", "@anna:tandem.localhost")
    await started(bot)
    first, second = await checked(bot), await checked(bot)
    assert await bot.stop() == 0
    assert {name for name, each in first.items() if each["rating"] != "ok"} == {"recovery key"}
    assert first == second
    assert bot.user_id in first["token"]["said"]


async def test_a_bot_that_was_signed_out_by_its_homeserver_ends_in_a_line_and_check_says_so(
    homeserver: EmbeddedHomeserver, tmp_path: Path
) -> None:
    bot = await BotProcess.configure(tmp_path, homeserver, "check-out", "@anna:tandem.localhost")
    await started(bot)
    database = await bot.open_database()
    async with database.transaction() as tx:
        token = (await tx.crypto.value(TOKEN) or b"").decode()
    await database.close()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
        await http.post(f"{homeserver.url}/_matrix/client/v3/logout")
    async with asyncio.timeout(START_SECONDS):
        assert await bot.ended() == 1
    assert bot.log_tail().splitlines()[-1].startswith("tandem: the homeserver has ended the bot's sign-in; ")
    assert token not in bot.log_tail()
    assert (await checked(bot))["token"]["mend"] == "tandem account renew, then start the bot"


async def test_a_device_that_is_given_up_is_followed_by_another_of_the_same_identity(
    homeserver: EmbeddedHomeserver, tmp_path: Path
) -> None:
    bot = await BotProcess.configure(tmp_path, homeserver, "check-anew", "@anna:tandem.localhost")
    await started(bot)
    before = await checked(bot)
    refused, why = await bot.tandem("account", "renew")
    assert refused == 1
    assert "another tandem runs" in why
    assert await bot.stop() == 0
    assert await bot.tandem("account", "renew") == (
        0,
        "The next start signs in as a new device of the same identity.\n",
    )
    assert (await checked(bot))["token"]["said"] == "the bot has never signed in"
    await started(bot)
    after = await checked(bot)
    assert await bot.stop() == 0
    assert after["token"]["said"] != before["token"]["said"]
    assert after["identity"] == before["identity"]
    assert {name for name, each in after.items() if each["rating"] != "ok"} == {"recovery key"}
