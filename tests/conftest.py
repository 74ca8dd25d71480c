"""What all tests share: a real PostgreSQL server, started when the first test asks for it."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.kernel import clock
from storage.encryption import data_keys
from storage.schema import metadata
from storage.transaction import Database
from tests.postgres import postgres
from tests.story import Story


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The SQLAlchemy URL of a PostgreSQL server; its own database is for housekeeping only."""
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def new_postgres_database(postgres_url: str) -> Callable[[], Awaitable[str]]:
    """A function that makes an empty database, and gives its URL. They all go when the server goes."""
    numbers = itertools.count(1)

    async def create() -> str:
        name = f"tandem_{next(numbers)}"
        engine = create_async_engine(postgres_url, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                await connection.execute(text(f"CREATE DATABASE {name}"))
        finally:
            await engine.dispose()
        return postgres_url.replace("/postgres?", f"/{name}?")

    return create


@pytest_asyncio.fixture(scope="session", params=["sqlite", "postgresql"])
async def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """A database with all tables, once per kind and run; a test takes `database`, which is empty."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('stored')}/story.sqlite"
    else:
        url = await request.getfixturevalue("new_postgres_database")()
    database = Database(url, clock.random_bytes)
    await database.create()
    await database.unlock(b"m" * 32, datetime(2026, 1, 1, tzinfo=UTC))
    yield database
    await database.close()


@pytest.fixture
async def database(stored: Database) -> Database:
    """An empty, unlocked database of each kind."""
    async with stored.transaction() as tx:
        for table in reversed(metadata.sorted_tables):
            if table is not data_keys:
                await tx.connection.execute(delete(table))
    return stored


@pytest.fixture
async def story(database: Database) -> Story:
    """A bot with all its capabilities, three agencies, nobody enrolled and no room."""
    return await Story.begin(database)
