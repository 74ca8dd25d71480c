"""What all of storage promises: once only, in order, nothing lost between transactions that meet."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from bot.kernel import clock
from storage.inbox import Received
from storage.notices import notices
from storage.outbox import ANSWER, CARD, EDIT, Outbox, Owed
from storage.rooms import RoomDefaults
from storage.schema import next_number, sequences
from storage.transaction import Database, Transaction
from tests.fakes import NOON

MINUTE = timedelta(minutes=1)


def received(event_id: str, body: str = "!ping") -> Received:
    return Received(event_id, "!ops", "@anna:rcmp.example", "message", {"body": body}, NOON, NOON)


async def owe(outbox: Outbox, name: str, room_id: str = "!ops", **values: Any) -> int:
    return await outbox.add({"body": name}, txn_id=name, now=NOON, room_id=room_id, **values)


async def due(outbox: Outbox, now: datetime = NOON) -> list[str]:
    return [owed.txn_id for owed in await outbox.due(now)]


async def found(outbox: Outbox, row_id: int) -> Owed:
    owed = await outbox.find(row_id)
    assert owed is not None
    return owed


class Stop(Exception):
    """Ends a transaction half-way."""


# The transaction


async def test_a_transaction_that_fails_changes_nothing(database: Database) -> None:
    async def half() -> None:
        async with database.transaction() as tx:
            await tx.inbox.add(received("$1"))
            await owe(tx.outbox, "a")
            raise Stop

    with pytest.raises(Stop):
        await half()
    async with database.transaction() as tx:
        assert await tx.inbox.unhandled() == []
        assert await tx.outbox.waiting() == (0, None)


async def test_eight_that_read_and_then_write_at_once_lose_nothing(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.connection.execute(insert(sequences).values(name="meetings", last=0))

    async def count() -> None:
        async with database.transaction() as tx:
            query = select(sequences.c.last).where(sequences.c.name == "meetings").with_for_update()
            last = (await tx.connection.execute(query)).scalar_one()
            await asyncio.sleep(0)  # the others' turn
            await tx.connection.execute(update(sequences).values(last=last + 1))

    await asyncio.gather(*(count() for _ in range(8)))
    async with database.transaction() as tx:
        assert (await tx.connection.execute(select(sequences.c.last))).scalar_one() == 8


# Numbers


async def test_transactions_that_are_cancelled_hold_no_lock(database: Database) -> None:
    """Wherever they are cut off; the next one would else wait until the database gives up."""

    async def work() -> None:
        while True:
            async with database.transaction() as tx:
                for _ in range(3):
                    async with tx.connection.begin_nested():
                        await tx.crypto.set_value("since", b"worked")
                        await tx.crypto.value("since")
                        await tx.crypto.olm_sessions("none")

    other = Database(database.engine.url.render_as_string(hide_password=False), clock.random_bytes)
    await other.unlock(b"m" * 32, NOON)
    for steps in range(0, 1500, 15):
        tasks = [asyncio.create_task(work()) for _ in range(2)]  # noqa: TID251  # ended below
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        async with asyncio.timeout(5), other.transaction() as tx:
            await tx.crypto.set_value("since", b"cut off")
    await other.close()


async def test_a_task_that_is_cancelled_in_a_transaction_ends_whatever_it_meets_on_its_way_out(
    database: Database,
) -> None:
    """Else a loop that outlives errors would take it for one of them, and go on."""
    is_in = asyncio.Event()

    async def work() -> None:
        async with database.transaction():
            is_in.set()
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError("what a connection says that was cut off")

    async def loop() -> None:
        with contextlib.suppress(ValueError):
            await work()

    task = asyncio.create_task(loop())  # noqa: TID251  # ended below
    await is_in.wait()
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_each_sequence_counts_for_itself_from_one(database: Database) -> None:
    async with database.transaction() as tx:
        given = [await next_number(tx.connection, name) for name in "AAMA"]
    assert given == [1, 2, 1, 3]


async def test_a_number_is_given_to_one_of_those_who_ask_at_once(database: Database) -> None:
    async def take() -> int:
        async with database.transaction() as tx:
            return await next_number(tx.connection, "A")

    assert sorted(await asyncio.gather(*(take() for _ in range(8)))) == list(range(1, 9))


# Instants


@pytest.mark.parametrize(
    "instant",
    [
        NOON,
        datetime(2026, 11, 3, 17, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 11, 1, 1, 30, tzinfo=timezone(timedelta(hours=-4))),
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
)
async def test_an_instant_comes_back_as_it_was_in_utc(database: Database, instant: datetime) -> None:
    async with database.transaction() as tx:
        await tx.connection.execute(insert(notices).values(subject="x", at=instant))
        kept = (await tx.connection.execute(select(notices.c.at))).scalar_one()
        since = select(notices.c.subject).where(notices.c.at >= instant)
        assert (await tx.connection.execute(since)).scalar_one() == "x"
    assert kept == instant
    assert kept.utcoffset() == timedelta(0)


async def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(StatementError, match="an instant needs a zone"):
        async with database.transaction() as tx:
            await tx.connection.execute(insert(notices).values(subject="x", at=naive))


# The inbox


async def test_an_event_is_taken_in_once(database: Database) -> None:
    async with database.transaction() as tx:
        assert await tx.inbox.add(received("$1"))
    async with database.transaction() as tx:
        assert not await tx.inbox.add(received("$1", "!alert"))
        assert await tx.inbox.find("$1") == received("$1")


async def test_an_event_that_was_handled_is_not_taken_in_again(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.inbox.add(received("$1"))
        await tx.inbox.mark_handled("$1", NOON)
        assert not await tx.inbox.add(received("$1"))
        assert await tx.inbox.unhandled() == []


async def test_what_waits_is_in_the_order_it_was_taken_in(database: Database) -> None:
    async with database.transaction() as tx:
        for event_id in ("$b", "$a", "$d", "$c"):
            await tx.inbox.add(received(event_id))
        await tx.inbox.mark_handled("$a", NOON)
        waiting = [each.event_id for each in await tx.inbox.unhandled()]
        first = [each.event_id for each in await tx.inbox.unhandled(limit=1)]
    assert (waiting, first) == (["$b", "$d", "$c"], ["$b"])


async def test_one_of_those_who_claim_an_event_at_once_has_it(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.inbox.add(received("$1"))

    async def claim() -> bool:
        async with database.transaction() as tx:
            return await tx.inbox.mark_handled("$1", NOON)

    assert sorted(await asyncio.gather(*(claim() for _ in range(8)))) == [False] * 7 + [True]


async def test_a_claim_that_is_rolled_back_leaves_the_event_to_the_next(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.inbox.add(received("$1"))

    async def half() -> None:
        async with database.transaction() as tx:
            assert await tx.inbox.mark_handled("$1", NOON)
            raise Stop

    with pytest.raises(Stop):
        await half()
    async with database.transaction() as tx:
        assert await tx.inbox.mark_handled("$1", NOON)


# The outbox


async def test_a_room_gets_its_messages_one_after_the_other(database: Database) -> None:
    async with database.transaction() as tx:
        first = await owe(tx.outbox, "a")
        await owe(tx.outbox, "b")
        await owe(tx.outbox, "elsewhere", "!other")
        assert await due(tx.outbox) == ["a", "elsewhere"]
        await tx.outbox.mark_sent(first, "$a", "!ops", NOON)
        assert await due(tx.outbox) == ["b", "elsewhere"]


async def test_an_urgent_message_overtakes(database: Database) -> None:
    async with database.transaction() as tx:
        await owe(tx.outbox, "a")
        urgent = await owe(tx.outbox, "alert", priority=10)
        await owe(tx.outbox, "elsewhere", "!other")
        assert await due(tx.outbox) == ["alert", "elsewhere"]
        await tx.outbox.mark_sent(urgent, "$alert", "!ops", NOON)
        assert await due(tx.outbox) == ["a", "elsewhere"]


async def test_a_message_that_is_tried_again_later_keeps_its_place(database: Database) -> None:
    async with database.transaction() as tx:
        first = await owe(tx.outbox, "a")
        await owe(tx.outbox, "b")
        await tx.outbox.mark_retry(first, "unreachable", NOON + MINUTE)
        assert await due(tx.outbox) == []
        assert await tx.outbox.next_try() == NOON + MINUTE
        assert await due(tx.outbox, NOON + MINUTE) == ["a"]
        assert (await found(tx.outbox, first)).error == "unreachable"


async def test_an_urgent_message_need_not_wait_for_one_that_is_tried_again(database: Database) -> None:
    async with database.transaction() as tx:
        first = await owe(tx.outbox, "a")
        await tx.outbox.mark_retry(first, "unreachable", NOON + MINUTE)
        await owe(tx.outbox, "alert", priority=10)
        assert await due(tx.outbox) == ["alert"]


async def test_a_message_that_is_given_up_lets_the_next_one_go(database: Database) -> None:
    async with database.transaction() as tx:
        first = await owe(tx.outbox, "a")
        await owe(tx.outbox, "b")
        await tx.outbox.mark_failed(first, "forbidden")
        assert await due(tx.outbox) == ["b"]
        assert await tx.outbox.waiting() == (1, NOON)


async def test_messages_to_one_person_keep_their_order_before_the_room_is_known(database: Database) -> None:
    async with database.transaction() as tx:
        for name in ("a", "b"):
            await tx.outbox.add({"body": name}, txn_id=name, now=NOON, to_user="@anna:rcmp.example")
        assert await due(tx.outbox) == ["a"]


async def test_a_transaction_id_is_used_once(database: Database) -> None:
    async with database.transaction() as tx:
        await owe(tx.outbox, "a")
    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await owe(tx.outbox, "a", "!other")


async def test_an_attempt_is_counted_once_and_then_the_content_stands(database: Database) -> None:
    async with database.transaction() as tx:
        row = await owe(tx.outbox, "a")
        assert await tx.outbox.replace_content(row, {"body": "b"})
        before = await found(tx.outbox, row)
        assert await tx.outbox.mark_tried(before)
        assert not await tx.outbox.mark_tried(before)
        assert not await tx.outbox.replace_content(row, {"body": "c"})
        after = await found(tx.outbox, row)
    assert (after.content, after.attempts) == ({"body": "b"}, 1)


async def test_an_edit_that_still_waits_is_found_so_that_the_next_can_replace_it(database: Database) -> None:
    async with database.transaction() as tx:
        card = await owe(tx.outbox, "card", about="A-1", kind=CARD)
        edit = await owe(tx.outbox, "edit", about="A-1", kind=EDIT, replaces=card)
        await owe(tx.outbox, "answer", about="A-1", kind=ANSWER)
        pending = await tx.outbox.pending_edit(card)
        assert pending is not None
        assert pending.id == edit
        await tx.outbox.mark_sent(edit, "$edit", "!ops", NOON)
        assert await tx.outbox.pending_edit(card) is None


async def test_the_cards_of_an_object_are_those_that_were_not_given_up(database: Database) -> None:
    async with database.transaction() as tx:
        await owe(tx.outbox, "one", about="A-1", kind=CARD)
        gone = await owe(tx.outbox, "two", "!gone", about="A-1", kind=CARD)
        await owe(tx.outbox, "answer", about="A-1")
        await owe(tx.outbox, "other", about="A-2", kind=CARD)
        await tx.outbox.mark_failed(gone, "forbidden")
        assert [card.txn_id for card in await tx.outbox.cards("A-1")] == ["one"]


async def test_a_reply_to_a_message_finds_what_it_was_about(database: Database) -> None:
    async with database.transaction() as tx:
        card = await owe(tx.outbox, "card", about="A-1", kind=CARD)
        await tx.outbox.mark_sent(card, "$card", "!ops", NOON)
        assert await tx.outbox.about("$card", "!ops") == "A-1"
        assert await tx.outbox.about("$other", "!ops") is None


# The engine


async def test_sqlite_keeps_what_was_committed_through_a_power_cut(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/kept.sqlite", clock.random_bytes)
    async with database.transaction() as tx:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [(await tx.connection.execute(text(f"PRAGMA {name}"))).scalar_one() for name in pragmas]
    await database.close()
    assert found == ["wal", 2, 1, 10_000]  # 2 is FULL: each commit is on the disk


async def test_a_room_that_the_bot_comes_into_is_spoken_to_as_configured(database: Database) -> None:
    async with database.transaction() as tx:
        rooms = Transaction(tx.connection, RoomDefaults("fr", "America/Toronto")).rooms
        await rooms.join("!quebec")
        await rooms.change("!quebec", zone="America/Moncton")
        await rooms.join("!quebec")  # once more, as after a leave
        room = await rooms.find("!quebec")
    assert room is not None
    assert (room.language, room.zone) == ("fr", "America/Moncton")
