"""What all tests share: a real PostgreSQL server, started when the first test asks for it."""

import itertools
from collections.abc import Awaitable, Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.postgres import postgres


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
