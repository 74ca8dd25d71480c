"""The audit chain: what is changed behind the bot's back is named, at the first that does not fit."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from storage.audit import BATCH, Entry, audit, export, verify
from storage.chain import Verdict
from storage.transaction import Database
from tests.fakes import NOON

HOUR = timedelta(hours=1)


async def record(database: Database, count: int, *, seal: bool = True) -> None:
    async with database.transaction() as tx:
        for number in range(count):
            await tx.audit.add(
                Entry(
                    NOON,
                    "command",
                    "alert",
                    actor="@anna:rcmp.example",
                    object=f"A-{number}",
                    fields=("state",),
                )
            )
        if seal:
            while await tx.audit.seal():
                pass


async def sign(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.audit.sign(NOON)


async def tamper(database: Database, statement: str) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text(statement))


async def found(database: Database) -> tuple[int, str]:
    """Place and reason of the first fault."""
    verdict = await verify(database.engine)
    assert verdict.fault is not None
    return verdict.fault.seq, verdict.fault.reason


async def test_an_untouched_record_fits(database: Database) -> None:
    await record(database, 5)
    await sign(database)
    await record(database, 2)
    await record(database, 3, seal=False)
    verdict = await verify(database.engine)
    assert (verdict.entries, verdict.heads, verdict.unsealed, verdict.fault) == (7, 1, 3, None)


async def test_an_empty_record_fits(database: Database) -> None:
    await sign(database)
    verdict = await verify(database.engine)
    assert (verdict.entries, verdict.heads, verdict.fault) == (0, 0, None)


@pytest.mark.parametrize(
    "change",
    [
        "outcome = 'refused'",
        "actor = NULL",
        "actor = '@eve:elsewhere.example'",
        "object = 'A-9'",
        "fields = '[]'",
        "device_verified = true",
        "event_id = '$other'",
        "hash = prev_hash",
    ],
)
async def test_a_changed_field_names_its_entry(database: Database, change: str) -> None:
    await record(database, 5)
    await tamper(database, f"UPDATE audit SET {change} WHERE seq = 3")  # noqa: S608  # this is the tampering
    assert await found(database) == (3, "it was changed after it was sealed")


async def test_a_changed_time_names_its_entry(database: Database) -> None:
    await record(database, 3)
    async with database.engine.begin() as connection:
        await connection.execute(audit.update().where(audit.c.seq == 2).values(at=NOON + HOUR))
    assert await found(database) == (2, "it was changed after it was sealed")


async def test_a_removed_entry_is_named(database: Database) -> None:
    await record(database, 5)
    await tamper(database, "DELETE FROM audit WHERE seq = 3")
    assert await found(database) == (3, "the entry is gone; the next one there is 4")


async def test_entries_that_changed_places_are_named(database: Database) -> None:
    await record(database, 5)
    for step in ("seq = 99 WHERE seq = 2", "seq = 2 WHERE seq = 4", "seq = 4 WHERE seq = 99"):
        await tamper(database, f"UPDATE audit SET {step}")  # noqa: S608  # this is the tampering
    assert await found(database) == (2, "it does not follow on the entry before it")


async def test_an_entry_put_in_between_is_named(database: Database) -> None:
    await record(database, 4)
    for seq in (4, 3):
        await tamper(database, f"UPDATE audit SET seq = {seq + 1} WHERE seq = {seq}")  # noqa: S608  # as above
    await tamper(
        database,
        "INSERT INTO audit (at, type, action, outcome, seq, prev_hash, hash)"
        " SELECT at, type, action, outcome, 3, hash, hash FROM audit WHERE seq = 2",
    )
    assert await found(database) == (3, "it was changed after it was sealed")


async def test_an_entry_added_at_the_end_is_named(database: Database) -> None:
    await record(database, 2)
    await tamper(
        database,
        "INSERT INTO audit (at, type, action, outcome, seq, prev_hash, hash)"
        " SELECT at, type, action, outcome, 3, hash, hash FROM audit WHERE seq = 2",
    )
    assert await found(database) == (3, "it was changed after it was sealed")


async def test_a_tail_cut_off_behind_a_signed_head_shows(database: Database) -> None:
    await record(database, 5)
    await sign(database)
    await tamper(database, "DELETE FROM audit WHERE seq > 3")
    assert await found(database) == (4, "the entry is gone: the chain was signed up to 5")


async def test_a_tail_that_was_unsealed_behind_a_signed_head_shows(database: Database) -> None:
    await record(database, 5)
    await sign(database)
    await tamper(database, "UPDATE audit SET seq = NULL, prev_hash = NULL, hash = NULL WHERE seq > 3")
    assert await found(database) == (4, "the entry is gone: the chain was signed up to 5")


async def test_a_chain_made_anew_does_not_meet_its_signed_head(database: Database) -> None:
    await record(database, 5)
    await sign(database)
    await tamper(database, "CREATE TABLE kept AS SELECT * FROM audit_heads")
    await tamper(database, "DELETE FROM audit_heads")
    await tamper(database, "UPDATE audit SET seq = NULL, prev_hash = NULL, hash = NULL")
    await tamper(database, "UPDATE audit SET object = 'A-77' WHERE object = 'A-1'")
    async with database.transaction() as tx:
        await tx.audit.seal()
    await tamper(database, "INSERT INTO audit_heads SELECT * FROM kept")
    await tamper(database, "DROP TABLE kept")
    assert await found(database) == (5, "it is not the entry that was signed at this place")


async def test_entries_that_were_unsealed_and_changed_leave_their_places_empty(database: Database) -> None:
    await record(database, 5)
    await sign(database)
    await tamper(
        database, "UPDATE audit SET seq = NULL, prev_hash = NULL, hash = NULL, actor = 'eve' WHERE seq > 3"
    )
    await record(database, 1)
    assert await found(database) == (4, "the entry is gone; the next one there is 6")


async def test_a_tail_cut_off_together_with_its_heads_shows_by_the_head_that_was_posted(
    database: Database,
) -> None:
    await record(database, 5)
    posted = {5: bytes.fromhex((await verify(database.engine)).last_hash)}
    await tamper(database, "DELETE FROM audit WHERE seq > 3")
    assert (await verify(database.engine)).fault is None
    cut = (await verify(database.engine, posted)).fault
    assert cut is not None
    assert (cut.seq, cut.reason) == (4, "the entry is gone: the chain was signed up to 5")
    await record(database, 2)
    other = (await verify(database.engine, posted)).fault
    assert other is not None
    assert (other.seq, other.reason) == (5, "it is not the entry whose head was posted")


async def test_the_first_of_several_faults_is_named(database: Database) -> None:
    await record(database, 3)
    await sign(database)
    await tamper(database, "UPDATE audit_heads SET signature = hash")
    await tamper(database, "DELETE FROM audit WHERE seq = 2")
    assert await found(database) == (2, "the entry is gone; the next one there is 3")


@pytest.mark.parametrize("change", ["signature = hash", "hash = signature", "seq = 2"])
async def test_a_head_that_is_not_ours_shows(database: Database, change: str) -> None:
    await record(database, 3)
    await sign(database)
    await tamper(database, f"UPDATE audit_heads SET {change}")  # noqa: S608  # this is the tampering
    assert (await found(database))[1] == "the signature on the head at this place is not ours"


async def test_a_head_is_signed_once_for_each_end_and_not_before_its_time(database: Database) -> None:
    await record(database, 3)
    async with database.transaction() as tx:
        first = await tx.audit.sign(NOON, every=HOUR)
        assert first is not None
        assert first.seq == 3
        assert await tx.audit.sign(NOON + 2 * HOUR, every=HOUR) is None
    await record(database, 1)
    async with database.transaction() as tx:
        assert await tx.audit.sign(NOON + HOUR / 2, every=HOUR) is None
        second = await tx.audit.sign(NOON + HOUR, every=HOUR)
        assert second is not None
        assert second.seq == 4


async def test_sealers_at_work_at_once_give_each_entry_one_place(database: Database) -> None:
    await record(database, 60, seal=False)

    async def seal() -> int:
        async with database.transaction() as tx:
            return await tx.audit.seal(limit=10)

    assert sum(await asyncio.gather(*(seal() for _ in range(8)))) == 60
    verdict = await verify(database.engine)
    assert (verdict.entries, verdict.unsealed, verdict.fault) == (60, 0, None)


async def test_a_long_record_is_read_in_batches(database: Database) -> None:
    await record(database, 2 * BATCH + 10)
    assert [len(batch) async for batch in export(database.engine)] == [BATCH, BATCH, 10]
    assert (await verify(database.engine)).entries == 2 * BATCH + 10


async def test_the_record_may_grow_while_it_is_verified(database: Database) -> None:
    for _ in range(3):
        await record(database, BATCH // 2 + 1)
        await sign(database)

    async def grow() -> None:
        for _ in range(20):
            await record(database, 5)
            await sign(database)

    verdicts, _ = await asyncio.gather(asyncio.gather(*(verify(database.engine) for _ in range(3))), grow())
    assert [verdict.fault for verdict in verdicts] == [None] * 3
    assert min(verdict.heads for verdict in verdicts) >= 3


async def test_an_export_may_begin_at_an_instant(database: Database) -> None:
    await record(database, 2)
    async with database.transaction() as tx:
        await tx.audit.add(Entry(NOON + HOUR, "system", "start"))
        await tx.audit.seal()
    batches = [batch async for batch in export(database.engine, since=NOON + HOUR)]
    assert [entry.action for batch in batches for entry in batch] == ["start"]


async def test_the_verdict_names_the_last_hash_and_the_key(database: Database) -> None:
    await record(database, 1)
    verdict: Verdict = await verify(database.engine)
    assert len(bytes.fromhex(verdict.last_hash)) == 32
    assert len(bytes.fromhex(verdict.public_key)) == 32
