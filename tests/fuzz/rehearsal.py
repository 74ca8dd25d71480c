"""A database in memory in which nothing stays, and no thread in between: speed is what counts."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.kernel import clock
from storage.transaction import Database, Transaction


class _Queue:
    """In place of the way to the driver's thread."""

    def put_nowait(self, asked: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        asked[0].set_result(asked[1]())


class Inline(aiosqlite.Connection):
    """The driver's connection, but each statement is run at once and by its caller."""

    def __init__(self) -> None:
        super().__init__(lambda: sqlite3.connect(":memory:"), 64)
        self._tx = _Queue()  # type: ignore[assignment]  # SQLAlchemy puts into it what it sets

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._open().__await__()

    async def _open(self) -> aiosqlite.Connection:
        self._connection = self._connector()
        return self

    async def _execute(self, fn: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return fn(*args, **named)

    def stop(self) -> asyncio.Future[Any] | None:
        """Close; there is no thread to be ended."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return None

    async def close(self) -> None:
        """Close."""
        self.stop()


class Rehearsal(Database):
    """A database whose transactions all end within one that is never committed."""

    def __init__(self) -> None:
        super().__init__("sqlite+aiosqlite:///:memory:", clock.random_bytes)
        event.listen(self.engine.sync_engine, "do_connect", _inline)
        self._outer: AsyncConnection | None = None

    async def begin(self) -> None:
        """From here on nothing is kept."""
        self._outer = await self.engine.connect()
        await self._outer.begin()

    async def undo(self) -> None:
        """Back to where `begin` was called."""
        if self._outer is not None:
            await self._outer.rollback()
            await self._outer.begin()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A savepoint, once `begin` was called."""
        if self._outer is None:
            async with super().transaction() as tx:
                yield tx
            return
        async with self._outer.begin_nested():
            yield Transaction(self._outer)

    async def close(self) -> None:
        """Give the connection back."""
        if self._outer is not None:
            await self._outer.close()
        await super().close()


def _inline(_dialect: Any, _record: Any, _args: Any, named: dict[str, Any]) -> None:
    named["async_creator_fn"] = lambda *_args, **_named: Inline()
