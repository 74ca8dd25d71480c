"""The PostgreSQL of the tests: each database that is asked for is empty and apart from the others."""

from collections.abc import Awaitable, Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def test_each_database_is_apart(new_postgres_database: Callable[[], Awaitable[str]]) -> None:
    urls = [await new_postgres_database(), await new_postgres_database()]
    for url in urls:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE notes (body text)"))
        await engine.dispose()
