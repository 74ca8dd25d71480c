"""Nothing lost, nothing twice: the bot is killed at fifty moments under a stream of commands."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Select, select

from bot.demo.homeserver import EmbeddedHomeserver
from bot.demo.officer import Officer
from bot.kernel import clock
from storage.alerts import alerts
from storage.audit import OK, audit
from storage.transaction import Database
from tests.e2e.bot_process import BotProcess

KILLS = 50
SEED = 1982
BUSY_SECONDS = 1.0  # what four commands take
AT_ONCE = 4  # commands that wait for their answer at any time


def moments() -> Iterator[tuple[bool, float]]:
    """When to kill, the same for the same seed: while it starts or while it works, and how far into that."""
    for number in range(KILLS):
        digest = hashlib.sha256(f"{SEED} {number}".encode()).digest()
        yield bool(digest[0] & 1), int.from_bytes(digest[1:5], "big") / 2**32


def command(number: int) -> tuple[str, str]:
    """The command of this number, and what its answer says if it had its effect now and not before."""
    kinds = (
        (f'!agency add X{number} "Agency {number}"', f"X{number} is on the list"),
        (f'!alert minor "Barge {number} adrift"', f"Barge {number} adrift"),
        ("!ping", "pong"),
    )
    return kinds[number % len(kinds)]


class Stream:
    """An officer who always has a few commands under way; `sent` are event ids and what was expected."""

    def __init__(self, officer: Officer, room_id: str) -> None:
        self.sent: dict[str, str] = {}
        self.typed: list[str] = []
        self._officer = officer
        self._room_id = room_id

    async def run(self, ended: asyncio.Event) -> None:
        """Type on until `ended`, then wait for the last answers."""
        async with asyncio.TaskGroup() as hands:
            for _ in range(AT_ONCE):
                hands.create_task(self._type(ended))

    async def next_answer(self) -> None:
        """Wait for one more answer than there are now."""
        before = len(self._officer.heard(self._room_id))
        await self._officer.until(lambda: len(self._officer.heard(self._room_id)) > before, "one more answer")

    async def _type(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            text, expected = command(len(self.typed))
            self.typed.append(text)
            event_id = await self._officer.say(self._room_id, text)
            self.sent[event_id] = expected
            await self._officer.answer(event_id)


async def test_fifty_kills_lose_nothing_and_double_nothing(
    homeserver: EmbeddedHomeserver, tmp_path: Path, environment: dict[str, str]
) -> None:
    admin = await homeserver.register("crash-anna", "a long password")
    bot = await BotProcess.configure(tmp_path, homeserver, "crash-tandem", admin, environment)
    async with await Officer.open(
        tmp_path / "anna", homeserver.url, "crash-anna", "a long password"
    ) as officer:
        officer.patience = 120.0
        await bot.start()
        room_id = await officer.create_room("Crash", bot.user_id)
        await officer.see_joined(room_id, bot.user_id)
        await officer.ask(room_id, "!room serve crash")
        stream = Stream(officer, room_id)
        await _kill_under(bot, stream, officer, room_id)
        assert await bot.stop() == 0, bot.log_tail()
        assert len(stream.sent) > KILLS
        answers = Counter(heard.reply_to for heard in officer.heard(room_id))
        bodies = {heard.reply_to: heard.body for heard in officer.heard(room_id)}
    assert {event_id: answers[event_id] for event_id in stream.sent} == dict.fromkeys(stream.sent, 1)
    wrong = {bodies[event_id] for event_id, text in stream.sent.items() if text not in bodies[event_id]}
    assert not wrong, "a command that had its effect before says so"
    await _check_records(bot, stream)


async def _kill_under(bot: BotProcess, stream: Stream, officer: Officer, room_id: str) -> None:
    await bot.kill_after(0)
    began = clock.monotonic()
    await bot.start()
    await officer.ask(room_id, "!ping")
    to_first_answer = clock.monotonic() - began
    ended = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(stream.run(ended))
        for is_working, part in moments():
            if is_working:
                await stream.next_answer()
            await bot.kill_after(part * (BUSY_SECONDS if is_working else to_first_answer))
            await bot.start()
        ended.set()


async def _check_records(bot: BotProcess, stream: Stream) -> None:
    """Each command is on record once, as done; each alert was raised once; the record is whole."""
    database = await bot.open_database()
    try:
        acted = Counter(await _column(database, select(audit.c.event_id).where(audit.c.outcome == OK)))
        headlines = Counter(await _column(database, select(alerts.c.headline)))
    finally:
        await database.close()
    assert {event_id: acted[event_id] for event_id in stream.sent} == dict.fromkeys(stream.sent, 1)
    assert set(headlines.values()) == {1}
    assert len(headlines) == sum(text.startswith("!alert") for text in stream.typed)
    code, said = await bot.tandem("audit", "verify")
    assert code == 0, said


async def _column(database: Database, query: Select[str]) -> list[str]:
    async with database.transaction() as tx:
        return list((await tx.connection.execute(query)).scalars())
