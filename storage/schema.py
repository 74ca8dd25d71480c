"""What every table shares: the metadata, column types for instants and JSON, and speakable numbers."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON().with_variant(JSONB(), "postgresql")


class Instant(TypeDecorator[datetime]):
    """An instant: aware in Python, UTC in the database; a naive value is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC for the driver; ValueError for a naive value."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC, whatever the driver gave."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


sequences = Table(
    "sequences",
    metadata,
    Column("name", String, primary_key=True),
    Column("last", Integer, nullable=False),
)


def upsert(connection: AsyncConnection, table: Table) -> Any:
    """An INSERT of the connection's dialect that has `on_conflict_do_update` and `_do_nothing`."""
    return (pg_insert if connection.dialect.name == "postgresql" else sqlite_insert)(table)


async def next_number(connection: AsyncConnection, name: str) -> int:
    """The next number of a sequence, from 1; never given twice, not even after a deletion."""
    statement = upsert(connection, sequences).values(name=name, last=1)
    statement = statement.on_conflict_do_update(
        index_elements=[sequences.c.name], set_={"last": sequences.c.last + 1}
    ).returning(sequences.c.last)
    return int((await connection.execute(statement)).scalar_one())
