"""Confirmations: commands that were shown first, and wait for their code."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Integer, LargeBinary, String, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.encryption import Encrypted, keyring_of
from storage.schema import Instant, metadata, upsert

confirmations = Table(
    "confirmations",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("room_id", String, primary_key=True),
    Column("device_id", String, nullable=False),
    Column("typed", Encrypted("confirmations.typed"), nullable=False),
    Column("reply", String),
    Column("code", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("shown", LargeBinary),
)


@dataclass(frozen=True)
class Pending:
    """A command that waits; one per person and room, a newer one takes its place.

    `typed` is the command's text, `reply` the reference it got by replying to a card; `code` and `shown`,
    what the person was shown, are keyed digests; `tries` is how many wrong codes there were.
    """

    user_id: str
    room_id: str
    device_id: str
    typed: str
    reply: str | None
    code: bytes
    tries: int
    expires_at: datetime
    shown: bytes | None


_PENDING = [confirmations.c[name] for name in Pending.__dataclass_fields__]
_KEY = (confirmations.c.user_id, confirmations.c.room_id)


class Confirmations:
    """Queries on commands that wait for their code, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def digest(self, said: str) -> bytes:
        """What is kept of a code, or of what was shown; of no use without the database's keys."""
        return keyring_of(self._connection.dialect).blind(said, "confirmations.code")

    async def put(self, pending: Pending) -> None:
        """Let a command wait, in place of what this person left waiting in this room."""
        values = vars(pending)
        statement = upsert(self._connection, confirmations).values(**values)
        await self._connection.execute(statement.on_conflict_do_update(index_elements=[*_KEY], set_=values))

    async def find(self, user_id: str, room_id: str) -> Pending | None:
        """What waits for this person in this room, expired or not."""
        query = select(*_PENDING).where(
            confirmations.c.user_id == user_id, confirmations.c.room_id == room_id
        )
        row = (await self._connection.execute(query)).one_or_none()
        return Pending(*row) if row else None

    async def count_wrong(self, pending: Pending) -> None:
        """One more wrong code."""
        statement = update(confirmations).where(
            confirmations.c.user_id == pending.user_id, confirmations.c.room_id == pending.room_id
        )
        await self._connection.execute(statement.values(tries=confirmations.c.tries + 1))

    async def use(self, pending: Pending) -> bool:
        """Take it out; False if it was used, or replaced, meanwhile."""
        statement = delete(confirmations).where(
            confirmations.c.user_id == pending.user_id,
            confirmations.c.room_id == pending.room_id,
            confirmations.c.code == pending.code,
        )
        return bool((await self._connection.execute(statement)).rowcount)
