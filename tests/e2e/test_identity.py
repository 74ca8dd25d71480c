"""The bot's identity outlives its database: the recovery key is all that is needed, besides the password."""

import asyncio
import json
import shutil
from pathlib import Path

from bot.demo.homeserver import EmbeddedHomeserver
from tests.e2e.bot_process import BotProcess

START_SECONDS = 120.0


async def runs(bot: BotProcess) -> dict[str, object]:
    """Start it, wait until it is signed in, and stop it; what `identity show` says of it."""
    before = bot.log_tail() if bot.log.exists() else ""
    await bot.start()
    async with asyncio.timeout(START_SECONDS):
        started = before.count("bot.started")
        while bot.log_tail().count("bot.started") == started:  # noqa: ASYNC110  # it tells only its log
            await asyncio.sleep(0.1)
    assert await bot.stop() == 0
    code, shown = await bot.tandem("identity", "show", "--json")
    assert code == 0, shown
    found: dict[str, object] = json.loads(shown)
    return found


async def test_an_identity_is_recovered_after_the_loss_of_everything_else(
    homeserver: EmbeddedHomeserver, tmp_path: Path
) -> None:
    bot = await BotProcess.configure(tmp_path, homeserver, "identity-lost", "@anna:tandem.localhost")
    before = await runs(bot)
    assert before["recovery_key"] is False
    code, key = await bot.tandem("identity", "recovery-key")
    assert code == 0, key
    assert (await bot.tandem("identity", "recover"))[1].endswith("there is nothing to recover\n")
    code, shown = await bot.tandem("identity", "show")
    assert code == 0
    assert "Recovery key made\n" in shown
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "key").write_text(key)
    code, said = await bot.tandem("identity", "recover", "--recovery-key-file", str(tmp_path / "key"))
    assert code == 0, said
    fingerprint = next(line for line in shown.splitlines() if line.startswith("Fingerprint "))
    assert fingerprint.removeprefix("Fingerprint ") in said
    after = await runs(bot)
    assert after["keys"] == before["keys"]
    assert after["device_id"] != before["device_id"]
    assert after["recovery_key"] is True
