"""The audit record: each act and each refusal, written with the act, then sealed into a chain."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Boolean, Column, Integer, LargeBinary, String, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.schema import Instant, Json, metadata

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("type", String, nullable=False),
    Column("actor", String),
    Column("device_id", String),
    Column("device_verified", Boolean),
    Column("room_id", String),
    Column("agency", String),
    Column("object", String),
    Column("action", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason_code", String),
    Column("fields", Json),
    Column("event_id", String),
    Column("seq", Integer, unique=True),
    Column("prev_hash", LargeBinary),
    Column("hash", LargeBinary),
)

OK, REFUSED, ERROR = "ok", "refused", "error"


@dataclass(frozen=True)
class Entry:
    """One act. Ids and names of fields only, never what people wrote.

    `type` is command, job, event or system; `action` names it (`alert.raise`); `outcome` is ok, refused or
    error, `reason_code` why; `fields` are the names of what changed.
    """

    at: datetime
    type: str
    action: str
    outcome: str = OK
    actor: str | None = None
    device_id: str | None = None
    device_verified: bool | None = None
    room_id: str | None = None
    agency: str | None = None
    object: str | None = None
    reason_code: str | None = None
    fields: tuple[str, ...] = ()
    event_id: str | None = None


class Audit:
    """Queries on the audit record, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, entry: Entry) -> None:
        """Write an entry, still unsealed."""
        values = vars(entry) | {"fields": list(entry.fields)}
        await self._connection.execute(audit.insert().values(**values))
