"""Migrations: what an upgrade makes is what the code declares, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from bot.kernel import clock
from storage.encryption import WrongMasterKey
from storage.migrations import NewerDatabase, revision_of, revisions
from storage.schema import metadata
from storage.transaction import Database
from tests.fakes import NOON


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def empty(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Database]:
    """A database without tables, of each kind."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/empty.sqlite"
    else:
        url = await request.getfixturevalue("new_postgres_database")()
    database = Database(url, clock.random_bytes)
    yield database
    await database.close()


def differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_an_upgraded_database_is_what_the_code_declares(empty: Database) -> None:
    assert await empty.upgrade() == (None, revisions()[-1])
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_second_upgrade_finds_nothing_to_do(empty: Database) -> None:
    await empty.upgrade()
    assert await empty.upgrade() == (revisions()[-1], revisions()[-1])


async def test_a_database_of_a_newer_tandem_is_refused_and_stays_as_it_is(empty: Database) -> None:
    await empty.upgrade()
    async with empty.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerDatabase, match="revision 9999, this release knows up to .*: run the newer"):
        await empty.upgrade()
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(revision_of) == "9999"


async def test_a_database_of_something_else_is_refused_and_stays_as_it_is(empty: Database) -> None:
    async with empty.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE sequences (name TEXT)"))
    with pytest.raises(NewerDatabase, match="not of a Tandem release: give an empty one"):
        await empty.upgrade()
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(lambda each: inspect(each).get_table_names()) == ["sequences"]


async def test_processes_that_start_at_once_upgrade_once(empty: Database) -> None:
    befores = sorted(str(before) for before, _ in await asyncio.gather(*(empty.upgrade() for _ in range(3))))
    assert befores == [revisions()[-1], revisions()[-1], "None"]


async def test_another_master_key_is_refused(empty: Database) -> None:
    await empty.upgrade()
    await empty.unlock(b"m" * 32, NOON)
    with pytest.raises(WrongMasterKey, match="does not belong to this database"):
        await empty.unlock(b"x" * 32, NOON)
