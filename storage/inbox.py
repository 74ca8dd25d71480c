"""The inbox: each command that was received, until its effect is on record; an event is taken once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Integer, String, Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.encryption import EncryptedJson
from storage.schema import Instant, metadata, upsert

inbox = Table(
    "inbox",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("room_id", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("content", EncryptedJson("inbox.content"), nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("handled_at", Instant),
    Index("ix_inbox_unhandled", "handled_at", "position"),
)


@dataclass(frozen=True)
class Received:
    """One event as it was taken in; `content` is what its kind needs, as JSON."""

    event_id: str
    room_id: str
    sender: str
    kind: str
    content: dict[str, Any]
    sent_at: datetime
    received_at: datetime


class Inbox:
    """Queries on the inbox, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, received: Received) -> bool:
        """Take an event in; False if it was taken before."""
        statement = (
            upsert(self._connection, inbox)
            .values(**vars(received))
            .on_conflict_do_nothing(index_elements=[inbox.c.event_id])
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def unhandled(self, limit: int = 100) -> list[Received]:
        """What still waits, in the order it was taken in."""
        columns = [inbox.c[name] for name in Received.__dataclass_fields__]
        query = select(*columns).where(inbox.c.handled_at.is_(None)).order_by(inbox.c.position).limit(limit)
        return [Received(*row) for row in await self._connection.execute(query)]

    async def find(self, event_id: str) -> Received | None:
        """The event, handled or not, if it was taken in."""
        columns = [inbox.c[name] for name in Received.__dataclass_fields__]
        row = (
            await self._connection.execute(select(*columns).where(inbox.c.event_id == event_id))
        ).one_or_none()
        return Received(*row) if row else None

    async def mark_handled(self, event_id: str, now: datetime) -> bool:
        """Claim the event's effect for this transaction; False if another one has had it."""
        statement = (
            update(inbox)
            .where(inbox.c.event_id == event_id, inbox.c.handled_at.is_(None))
            .values(handled_at=now)
        )
        return bool((await self._connection.execute(statement)).rowcount)
