"""The database and its transaction: one property per noun; all or nothing."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from storage import migrations
from storage.agencies import Agencies
from storage.alerts import Alerts
from storage.attachments import Attachments
from storage.audit import Audit
from storage.confirmations import Confirmations
from storage.crypto import Crypto
from storage.encryption import Keyring, open_keyring
from storage.inbox import Inbox
from storage.members import Members
from storage.notices import Notices
from storage.outbox import Outbox
from storage.pages import PageStore
from storage.repins import Repins
from storage.rooms import RoomDefaults, Rooms
from storage.schema import metadata
from storage.transitions import Transitions
from storage.verifications import Verifications

BUSY_TIMEOUT_MS = 10_000


# Alembic keeps what it works on in globals: within a process one database at a time.
_upgrading = asyncio.Lock()


class SqliteConnection(sqlite3.Connection):
    """A connection that lets go of its locks when it is closed.

    One that is closed because its task was cancelled in the middle of a statement lives on inside SQLite,
    with its transaction and its lock, for as long as anything still holds the statement.
    """

    def close(self) -> None:
        """Roll back what is open, then close."""
        if self.in_transaction:
            self.rollback()
        super().close()


class Transaction:
    """What one unit of work may read and change; the stores share its connection."""

    def __init__(self, connection: AsyncConnection, room_defaults: RoomDefaults | None = None) -> None:
        self.connection = connection
        self._room_defaults = room_defaults

    @property
    def kind(self) -> str:
        """The kind of database: `sqlite` or `postgresql`."""
        return self.connection.dialect.name

    @cached_property
    def agencies(self) -> Agencies:
        """Agencies."""
        return Agencies(self.connection)

    @cached_property
    def alerts(self) -> Alerts:
        """Alerts, whom they ask and what was answered."""
        return Alerts(self.connection)

    @cached_property
    def attachments(self) -> Attachments:
        """Files of messages owed."""
        return Attachments(self.connection)

    @cached_property
    def audit(self) -> Audit:
        """The audit record."""
        return Audit(self.connection)

    @cached_property
    def confirmations(self) -> Confirmations:
        """Commands that wait for their code."""
        return Confirmations(self.connection)

    @cached_property
    def crypto(self) -> Crypto:
        """Encryption state of the Matrix device."""
        return Crypto(self.connection)

    @cached_property
    def inbox(self) -> Inbox:
        """Received events."""
        return Inbox(self.connection)

    @cached_property
    def members(self) -> Members:
        """Members and their grants."""
        return Members(self.connection)

    @cached_property
    def notices(self) -> Notices:
        """What was said once."""
        return Notices(self.connection)

    @cached_property
    def outbox(self) -> Outbox:
        """Messages owed."""
        return Outbox(self.connection)

    @cached_property
    def pages(self) -> PageStore:
        """What `!more` goes on with."""
        return PageStore(self.connection)

    @cached_property
    def repins(self) -> Repins:
        """New identities that wait for a second person."""
        return Repins(self.connection)

    @cached_property
    def rooms(self) -> Rooms:
        """Rooms and how they are served."""
        return Rooms(self.connection, self._room_defaults)

    @cached_property
    def transitions(self) -> Transitions:
        """Changes of state, of every kind of object."""
        return Transitions(self.connection)

    @cached_property
    def verifications(self) -> Verifications:
        """Who compares emoji with the bot."""
        return Verifications(self.connection)


class Database:
    """One SQL database, `sqlite+aiosqlite:///path` or `postgresql+asyncpg://…`."""

    def __init__(
        self, url: str, random_bytes: Callable[[int], bytes], room_defaults: RoomDefaults | None = None
    ) -> None:
        self._random_bytes = random_bytes
        self._room_defaults = room_defaults
        is_sqlite = url.startswith("sqlite")
        arguments = {"factory": SqliteConnection} if is_sqlite else {}
        self.engine = create_async_engine(url, pool_pre_ping=not is_sqlite, connect_args=arguments)
        self.keyring: Keyring | None = None
        if is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_immediate)

    def is_missing(self) -> bool:
        """Whether this is SQLite and its file is not there yet: to connect would make it."""
        url = self.engine.url
        return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()

    async def create(self) -> None:
        """Make all tables at once, for a throw-away database; one that is kept is upgraded."""
        async with self.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def upgrade(self) -> tuple[str | None, str]:
        """Bring the tables to this release's: the revision before (None: empty) and after.

        Safe when several processes start at once. NewerDatabase if a newer release has been here.
        """
        async with _upgrading, self.engine.begin() as connection:
            return await connection.run_sync(migrations.upgrade)

    async def revision(self) -> str | None:
        """The revision that the tables are at; None in an empty database."""
        async with self.engine.begin() as connection:
            return await connection.run_sync(migrations.revision_of)

    async def unlock(self, master_key: bytes, now: datetime) -> None:
        """Open the encrypted columns; WrongMasterKey if this is not their master key."""
        async with self.engine.begin() as connection:
            self.keyring = await open_keyring(connection, master_key, now, self._random_bytes)
        self.engine.dialect.tandem_keyring = self.keyring  # type: ignore[attr-defined]  # read by keyring_of

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end, roll back on any exception. Make no network call inside.

        A task that is cancelled meanwhile ends as cancelled: a connection that was cut off raises other
        errors as it is tidied up, and a loop that outlives errors would go on for ever.
        """
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        try:
            async with self.engine.begin() as connection:
                yield Transaction(connection, self._room_defaults)
        except Exception as error:
            if task and task.cancelling() > before:
                raise asyncio.CancelledError from error
            raise

    async def close(self) -> None:
        """Return every connection."""
        await self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling loses updates silently; we begin ourselves (below).
    connection.isolation_level = None
    cursor: sqlite3.Cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")  # first: the next one needs a lock
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
