"""Transitions: each change of an object's state, who made it, when and why; of every kind of object."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Index, Integer, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.encryption import Encrypted
from storage.schema import Instant, metadata

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("object", String, nullable=False),
    Column("from_state", String),
    Column("to_state", String, nullable=False),
    Column("actor", String),
    Column("device_id", String),
    Column("reason", Encrypted("transitions.reason")),
    Column("at", Instant, nullable=False),
    Column("event_id", String),
    Index("ix_transitions_object", "object", "id"),
)


@dataclass(frozen=True)
class Transition:
    """One change of state.

    `object` is a reference (`A-7`), or one and a part of it (`A-7/CBP`); `from_state` is None at the
    beginning. `actor` and `event_id` are None where time, not a person, made the change.
    """

    object: str
    from_state: str | None
    to_state: str
    at: datetime
    actor: str | None = None
    device_id: str | None = None
    reason: str | None = None
    event_id: str | None = None


_TRANSITION = [transitions.c[name] for name in Transition.__dataclass_fields__]


class Transitions:
    """Queries on transitions, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, transition: Transition) -> None:
        """Write one down; it is never changed."""
        await self._connection.execute(transitions.insert().values(**vars(transition)))

    async def of(self, about: str) -> list[Transition]:
        """Those of an object and of its parts, oldest first."""
        query = (
            select(*_TRANSITION)
            .where((transitions.c.object == about) | transitions.c.object.like(f"{about}/%"))
            .order_by(transitions.c.id)
        )
        return [Transition(*row) for row in await self._connection.execute(query)]
