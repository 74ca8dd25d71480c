"""Migrations: what an upgrade makes is what the code declares, on both databases."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from bot.kernel import clock
from storage.encryption import WrongMasterKey
from storage.migrations import NewerDatabase, configuration, revision_of, revisions
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


def description(connection: Connection) -> dict[str, Any]:
    """All that the database itself says of its tables; Alembic's comparison leaves some of it out."""
    inspector = inspect(connection)
    return {
        name: {
            "columns": [each | {"type": repr(each["type"])} for each in inspector.get_columns(name)],
            "primary key": inspector.get_pk_constraint(name),
            "unique": sorted(inspector.get_unique_constraints(name), key=str),
            "foreign keys": sorted(inspector.get_foreign_keys(name), key=str),
            "checks": sorted(inspector.get_check_constraints(name), key=str),
            "indexes": sorted(inspector.get_indexes(name), key=str),
        }
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


async def test_an_upgraded_database_is_what_the_code_declares(empty: Database) -> None:
    assert await empty.upgrade() == (None, revisions()[-1])
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_column_key_and_index_is_as_if_made_at_once(empty: Database) -> None:
    await empty.upgrade()
    async with empty.engine.begin() as connection:
        upgraded = await connection.run_sync(description)
        await connection.run_sync(metadata.drop_all)
    await empty.create()
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(description) == upgraded


async def test_each_step_can_be_undone(empty: Database) -> None:
    await empty.upgrade()
    async with empty.engine.begin() as connection:
        await connection.run_sync(lambda each: command.downgrade(configuration(each), "base"))
        assert await connection.run_sync(description) == {}


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


STARTING = """
import asyncio, sys
from bot.kernel import clock
from storage.transaction import Database

async def start():
    database = Database(sys.argv[1], clock.random_bytes)
    before, _ = await database.upgrade()
    await database.unlock(b"m" * 32, clock.now())
    await database.close()
    print(before, "alembic" in sys.modules)

asyncio.run(start())
"""


async def started(database: Database) -> str:
    """What a new process says: the revision it found, and whether it needed Alembic."""
    url = database.engine.url.render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTING, url, stdout=PIPE, stderr=PIPE
    )
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return said.decode().strip()


async def test_of_processes_that_start_at_once_one_upgrades(empty: Database) -> None:
    found = [each.split()[0] for each in await asyncio.gather(*(started(empty) for _ in range(3)))]
    assert sorted(found) == [*2 * [revisions()[-1]], "None"]


async def test_a_start_with_nothing_to_upgrade_does_without_alembic(empty: Database) -> None:
    await empty.upgrade()
    assert await started(empty) == f"{revisions()[-1]} False"


async def test_another_master_key_is_refused(empty: Database) -> None:
    await empty.upgrade()
    await empty.unlock(b"m" * 32, NOON)
    with pytest.raises(WrongMasterKey, match="does not belong to this database"):
        await empty.unlock(b"x" * 32, NOON)
