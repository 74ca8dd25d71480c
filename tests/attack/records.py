"""Attacks on what is kept: a stolen data folder, and a process killed at a bad moment."""

import asyncio
import contextlib
import stat
from collections import Counter
from pathlib import Path

from vodozemac import Account, PickleException

from bot.kernel import clock
from bot.matrix.login import TOKEN
from bot.matrix.olm import ACCOUNT
from storage.encryption import WrongMasterKey
from storage.transaction import Database
from tests.attack.catalogue import attack
from tests.attack.channels import GARBAGE, OLM
from tests.attack.scene import SECRET, Scene
from tests.attack.stage import DEADLINE, Stage
from tests.e2e.hostile import Hostile

KILLS, AT_ONCE = 3, 5  # several in a round, so that some are handled and some are not
UNHANDLED = "SELECT 1 FROM inbox WHERE event_id = ? AND handled_at IS NULL"


@attack(
    "S29",
    tried="the data folder stolen without the master key",
    nio="pickles under DEFAULT_KEY, trust in plain text files",
)
async def stolen_folder(scene: Scene) -> None:
    """What is searched for is what the bot itself reads with its key."""
    stage, bot = scene.stage, scene.stage.bot
    card = await stage.anna.ask(scene.room_id, f'!alert minor "{SECRET} unattended"', answer=SECRET)
    opened = await bot.open_database()
    async with opened.transaction() as tx:
        token, pickle = await tx.crypto.value(TOKEN), await tx.crypto.value(ACCOUNT)
    await opened.close()
    assert token is not None
    assert pickle is not None
    files = [file for file in bot.data.rglob("*") if file.is_file()]
    raw = b"".join(file.read_bytes() for file in files)
    found = [each for each in (token, pickle, SECRET.encode(), bot.password.encode()) if each in raw]
    scene.saw(f"{len(found)} of token, pickle, message and password in {len(files)} files", not found)
    scene.saw("an event id, which is no secret, was found", card.event_id.encode() in raw)
    scene.saw(*default_key(pickle))
    scene.saw(*await other_master_key(bot.data))
    open_to_others = [file for file in (bot.data, *files) if stat.S_IMODE(file.stat().st_mode) & 0o077]
    scene.saw(f"{len(open_to_others)} files open to others", not open_to_others)


def default_key(pickle: bytes) -> tuple[str, bool]:
    """Whether nio's default opens the pickle of the device's account."""
    with contextlib.suppress(PickleException):
        Account.from_pickle(pickle.decode(), b"DEFAULT_KEY".ljust(32, b"\0"))
        return "DEFAULT_KEY opens a pickle", False
    return "DEFAULT_KEY opens nothing", True


async def other_master_key(data: Path) -> tuple[str, bool]:
    """Whether the database opens under a key that is not its own."""
    database = Database(f"sqlite+aiosqlite:///{data / 'tandem.db'}", clock.random_bytes)
    try:
        await database.unlock(clock.random_bytes(32), clock.now())
    except WrongMasterKey:
        return "another master key opens nothing", True
    finally:
        await database.close()
    return "another master key opens it", False


@attack(
    "S30",
    tried="poison, and SIGKILL just as the sync token has been saved",
    nio="what came with the poison is lost: the token was saved first",
)
async def killed(scene: Scene) -> None:
    """It dies with a round's token and commands committed, and some of the commands not yet handled."""
    stage, mallory = scene.stage, await scene.member(enrolled=False, join=False)
    asked: list[str] = []
    unhandled: list[object] = []
    for number in range(KILLS):
        async with stage.meddler.between_rounds():
            await poison(scene, mallory, GARBAGE[number])
            fresh = [await stage.anna.say(scene.room_id, add(number, each)) for each in range(AT_ONCE)]
        await asyncio.to_thread(kill_when_committed, stage, fresh)
        await stage.bot.ended()
        unhandled += [each for each in fresh if stage.rows(UNHANDLED, each)]
        asked += fresh
        await stage.bot.start()
    for event_id in asked:
        await stage.anna.answer(event_id, "is on the list")
    scene.saw(f"{len(unhandled)} of {len(asked)} commands were unhandled at a kill", bool(unhandled))
    once(scene, asked)


def add(number: int, each: int) -> str:
    """A command that says so if it has had its effect before."""
    return f'!agency add K{number}X{each} "Kill {number}, command {each}"'


def once(scene: Scene, asked: list[str]) -> None:
    """Each command has one effect on record, and one answer."""
    query = "SELECT count(*) FROM audit WHERE event_id = ? AND outcome = 'ok'"
    acted = [scene.stage.rows(query, each)[0][0] for each in asked]
    heard = Counter(each.reply_to for each in scene.stage.anna.heard(scene.room_id))
    answers = [heard[each] for each in asked]
    right = set(acted) == set(answers) == {1}
    scene.saw(f"{sum(acted)} effects and {sum(answers)} answers of {len(asked)} commands", right)


async def poison(scene: Scene, mallory: Hostile, body: object) -> None:
    """Garbage in the place of an Olm message."""
    bot, device = scene.stage.bot.user_id, scene.stage.bot_device
    keys = await mallory.keys_of(bot, device)
    sealed = {keys[f"curve25519:{device}"]: body}
    content = {"algorithm": OLM, "sender_key": mallory.curve25519, "ciphertext": sealed}
    await mallory.to_device(bot, device, content)


def kill_when_committed(stage: Stage, event_ids: list[str]) -> None:
    """Kill the process once the round with these is committed, and not all of them are handled."""
    deadline = clock.monotonic() + DEADLINE
    while clock.monotonic() < deadline:
        if any(stage.rows(UNHANDLED, each) for each in event_ids):
            stage.bot.kill()
            return
    raise AssertionError("the commands never waited for their handling")
