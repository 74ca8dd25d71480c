"""The bot's identity outlives its database: the recovery key is all it needs besides the password."""

import asyncio
import json
import shutil
from pathlib import Path

from bot.demo.homeserver import EmbeddedHomeserver
from bot.matrix.checkup import OwnKeys, own_keys
from tests.e2e.bot_process import BotProcess

START_SECONDS = 120.0


async def runs(bot: BotProcess) -> OwnKeys:
    """Start it, wait until it is signed in, and stop it; the keys that it then has."""
    before = bot.log_tail().count("bot.started") if bot.log.exists() else 0
    await bot.start()
    async with asyncio.timeout(START_SECONDS):
        while bot.log_tail().count("bot.started") == before:  # noqa: ASYNC110  # it tells only its log
            await asyncio.sleep(0.02)  # often, as a look costs nothing; the condition decides
    assert await bot.stop() == 0
    database = await bot.open_database()
    keys = await own_keys(database)
    await database.close()
    return keys


async def test_an_identity_is_recovered_after_the_loss_of_everything_else(
    homeserver: EmbeddedHomeserver, tmp_path: Path
) -> None:
    bot = await BotProcess.configure(tmp_path, homeserver, "identity-lost", "@anna:tandem.localhost")
    before = await runs(bot)
    code, key = await bot.tandem("identity", "recovery-key")
    assert code == 0, key
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "key").write_text(key)
    code, said = await bot.tandem("identity", "recover", "--recovery-key-file", str(tmp_path / "key"))
    assert code == 0, said
    assert before.keys["master"] in said.replace(" ", "")
    after = await runs(bot)
    assert after.keys == before.keys
    assert after.device_id != before.device_id
    code, shown = await bot.tandem("identity", "show", "--json")
    assert code == 0, shown
    assert json.loads(shown) == {**vars(after), "recovery_key": True}
