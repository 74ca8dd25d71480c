"""Notices: what was said once, so that it is not said again too soon."""

from datetime import datetime, timedelta

from sqlalchemy import Column, String, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.schema import Instant, metadata, upsert

notices = Table(
    "notices",
    metadata,
    Column("subject", String, primary_key=True),
    Column("at", Instant, nullable=False),
)


class Notices:
    """Queries on notices, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, subject: str, now: datetime, every: timedelta) -> bool:
        """Whether this may be said now; if so it counts as said. `subject` holds ids, never text."""
        statement = upsert(self._connection, notices).values(subject=subject, at=now)
        statement = statement.on_conflict_do_update(
            index_elements=[notices.c.subject], set_={"at": now}, where=notices.c.at <= now - every
        )
        return bool((await self._connection.execute(statement)).rowcount)
