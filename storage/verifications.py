"""Verifications: a person and the bot compare what their devices show; one for each person at a time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, String, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.schema import Instant, metadata, upsert

verifications = Table(
    "verifications",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("room_id", String, nullable=False),
    Column("event_id", String),
    Column("transaction_id", String),
    Column("device_id", String),
    Column("stage", String, nullable=False),
    Column("at", Instant, nullable=False),
)

# Asked for by command; under way between the clients; shown, to be compared; what the person said of it.
ASKED, RUNNING, COMPARE, SAME, DIFFERENT = "asked", "running", "compare", "same", "different"


@dataclass(frozen=True)
class Verification:
    """One verification: `room_id` is empty for one between devices, `event_id` is what the bot answers.

    `transaction_id` names it between the clients, `device_id` is the person's; both None until known.
    """

    user_id: str
    room_id: str
    event_id: str | None
    transaction_id: str | None
    device_id: str | None
    stage: str
    at: datetime


_COLUMNS = [verifications.c[name] for name in Verification.__dataclass_fields__]


class Verifications:
    """Queries on verifications, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, verification: Verification) -> None:
        """Begin one, in place of any earlier one of this person."""
        values = vars(verification)
        statement = upsert(self._connection, verifications).values(**values)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=[verifications.c.user_id], set_=values)
        )

    async def find(self, user_id: str) -> Verification | None:
        """This person's."""
        query = select(*_COLUMNS).where(verifications.c.user_id == user_id)
        row = (await self._connection.execute(query)).one_or_none()
        return Verification(*row) if row else None

    async def in_stage(self, *stages: str) -> list[Verification]:
        """Those in one of these stages, oldest first."""
        query = select(*_COLUMNS).where(verifications.c.stage.in_(stages))
        return [
            Verification(*row) for row in await self._connection.execute(query.order_by(verifications.c.at))
        ]

    async def move(self, user_id: str, stage: str, *, was: str) -> bool:
        """Compare-and-set of the stage."""
        statement = (
            update(verifications)
            .where(verifications.c.user_id == user_id, verifications.c.stage == was)
            .values(stage=stage)
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def end(self, user_id: str) -> None:
        """It is over."""
        await self._connection.execute(delete(verifications).where(verifications.c.user_id == user_id))
