"""Identities that one person has compared, and that a second one must confirm before they are pinned."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, String, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.schema import Instant, metadata, upsert

repins = Table(
    "repins",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("master_key", String, nullable=False),
    Column("compared_by", String, nullable=False),
    Column("compared_at", Instant, nullable=False),
)


@dataclass(frozen=True)
class Repin:
    """A member's new master key (unpadded base64), and who has compared it with what the member reads."""

    user_id: str
    master_key: str
    compared_by: str
    compared_at: datetime


_REPIN = [repins.c[name] for name in Repin.__dataclass_fields__]


class Repins:
    """Queries on what waits for a second person, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, user_id: str) -> Repin | None:
        """What waits for this member."""
        query = select(*_REPIN).where(repins.c.user_id == user_id)
        row = (await self._connection.execute(query)).one_or_none()
        return Repin(*row) if row else None

    async def put(self, repin: Repin) -> None:
        """Let it wait, in place of what waited before."""
        statement = upsert(self._connection, repins).values(**vars(repin))
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=[repins.c.user_id], set_=vars(repin))
        )

    async def take(self, repin: Repin) -> bool:
        """End the waiting; False if somebody else was faster."""
        same = [repins.c[name] == getattr(repin, name) for name in ("user_id", "master_key", "compared_by")]
        statement = delete(repins).where(*same)
        return bool((await self._connection.execute(statement)).rowcount)
