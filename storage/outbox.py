"""The outbox: each message the bot owes, written with what owes it, until it is in its room."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Index, Integer, String, Table, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.attachments import attachments
from storage.encryption import EncryptedJson
from storage.schema import Instant, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("txn_id", String, nullable=False, unique=True),
    Column("room_id", String),
    Column("to_user", String),
    Column("content", EncryptedJson("outbox.content"), nullable=False),
    Column("about", String),
    Column("kind", String, nullable=False),
    Column("replaces", Integer),
    Column("priority", Integer, nullable=False, default=0),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Instant, nullable=False),
    Column("next_try_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("event_id", String, index=True),
    Column("error", String),
    Index("ix_outbox_due", "state", "next_try_at"),
    Index("ix_outbox_about", "about", "room_id"),
)

# `held` is queued once more when nobody is in its room any longer who must not read it.
QUEUED, HELD, SENT, FAILED = "queued", "held", "sent", "failed"
ANSWER, CARD, EDIT = "answer", "card", "edit"


@dataclass(frozen=True)
class Owed:
    """One message to be delivered: to `room_id`, or to the direct room of `to_user`.

    `content` is an m.room.message content without relations to rows that are not sent yet; `replaces` is
    the outbox id of the card this one edits. `about` is the reference of its object (`A-7`). `kind` is
    answer, card (the standing card of its object in that room) or edit. Higher `priority` goes first.
    """

    id: int
    txn_id: str
    room_id: str | None
    to_user: str | None
    content: dict[str, Any]
    about: str | None
    kind: str
    replaces: int | None
    priority: int
    state: str
    attempts: int
    created_at: datetime
    next_try_at: datetime
    sent_at: datetime | None
    event_id: str | None
    error: str | None


_OWED = [outbox.c[name] for name in Owed.__dataclass_fields__]


class Outbox:
    """Queries on the outbox, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self,
        content: dict[str, Any],
        txn_id: str,
        now: datetime,
        *,
        room_id: str | None = None,
        to_user: str | None = None,
        about: str | None = None,
        kind: str = ANSWER,
        replaces: int | None = None,
        priority: int = 0,
        held: bool = False,
    ) -> int:
        """Owe a message; `txn_id` is stable for ever and unique. Returns the row's id."""
        statement = outbox.insert().values(
            txn_id=txn_id,
            room_id=room_id,
            to_user=to_user,
            content=content,
            about=about,
            kind=kind,
            replaces=replaces,
            priority=priority,
            state=HELD if held else QUEUED,
            attempts=0,
            created_at=now,
            next_try_at=now,
        )
        return int((await self._connection.execute(statement.returning(outbox.c.id))).scalar_one())

    async def find(self, row_id: int) -> Owed | None:
        """One row."""
        row = (await self._connection.execute(select(*_OWED).where(outbox.c.id == row_id))).one_or_none()
        return Owed(*row) if row else None

    async def due(self, now: datetime, limit: int = 200) -> list[Owed]:
        """What may be tried at `now`: per destination the first of its queue, most urgent first.

        A row waits behind an older one of the same room and the same or a higher priority, so that order
        in a room is kept; a more urgent one overtakes.
        """
        query = (
            select(*_OWED)
            .where(outbox.c.state == QUEUED, outbox.c.next_try_at <= now, ~_blocked())
            .order_by(outbox.c.priority.desc(), outbox.c.id)
            .limit(limit)
        )
        return [Owed(*row) for row in await self._connection.execute(query)]

    async def waiting(self) -> tuple[int, datetime | None]:
        """How many rows wait, and since when the oldest does."""
        query = select(func.count(), func.min(outbox.c.created_at)).where(outbox.c.state == QUEUED)
        count, oldest = (await self._connection.execute(query)).one()
        return int(count), oldest

    async def next_try(self) -> datetime | None:
        """When the earliest row that is first of its queue may be tried; None if none waits."""
        query = select(func.min(outbox.c.next_try_at)).where(outbox.c.state == QUEUED, ~_blocked())
        earliest: datetime | None = (await self._connection.execute(query)).scalar_one()
        return earliest

    async def mark_tried(self, owed: Owed) -> bool:
        """Count an attempt before it is made: from now on the content stands. False if it was changed."""
        statement = (
            update(outbox)
            .where(outbox.c.id == owed.id, outbox.c.state == QUEUED, outbox.c.attempts == owed.attempts)
            .values(attempts=owed.attempts + 1)
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def mark_sent(self, row_id: int, event_id: str, room_id: str, now: datetime) -> None:
        """The homeserver has accepted it."""
        await self._set(row_id, state=SENT, event_id=event_id, room_id=room_id, sent_at=now, error=None)

    async def mark_retry(self, row_id: int, error: str, next_try_at: datetime) -> None:
        """It could not be delivered now."""
        await self._set(row_id, error=error, next_try_at=next_try_at)

    async def mark_failed(self, row_id: int, error: str) -> None:
        """It never will be delivered."""
        await self._set(row_id, state=FAILED, error=error)

    async def give_up(self, room_id: str, error: str) -> int:
        """Owe a room nothing more about any object: what still waited is given up; how many that were."""
        waits = outbox.c.state.in_((QUEUED, HELD))
        waiting = (outbox.c.room_id == room_id, waits, outbox.c.about.is_not(None))
        given_up = select(outbox.c.id).where(*waiting)
        await self._connection.execute(delete(attachments).where(attachments.c.owed.in_(given_up)))
        statement = update(outbox).where(*waiting).values(state=FAILED, error=error)
        return int((await self._connection.execute(statement)).rowcount)

    async def replace_content(self, row_id: int, content: dict[str, Any]) -> bool:
        """Change a message that was not tried yet; False if it was."""
        statement = (
            update(outbox)
            .where(outbox.c.id == row_id, outbox.c.state.in_((QUEUED, HELD)), outbox.c.attempts == 0)
            .values(content=content)
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def holding(self) -> list[str]:
        """The rooms for which something is held back."""
        query = select(outbox.c.room_id).where(outbox.c.state == HELD).distinct()
        return [str(room_id) for room_id in (await self._connection.execute(query)).scalars()]

    async def hold(self, row_id: int) -> None:
        """Hold it back until its room is in order."""
        await self._set(row_id, state=HELD)

    async def release(self, room_id: str, now: datetime) -> None:
        """What was held back for this room may go now."""
        statement = update(outbox).where(outbox.c.room_id == room_id, outbox.c.state == HELD)
        await self._connection.execute(statement.values(state=QUEUED, next_try_at=now))

    async def cards(self, about: str) -> list[Owed]:
        """The standing cards of an object, one a room, that were not given up."""
        query = (
            select(*_OWED)
            .where(outbox.c.about == about, outbox.c.kind == CARD, outbox.c.state != FAILED)
            .order_by(outbox.c.id)
        )
        return [Owed(*row) for row in await self._connection.execute(query)]

    async def pending_edit(self, replaces: int) -> Owed | None:
        """An edit of this card that still waits."""
        query = select(*_OWED).where(
            outbox.c.replaces == replaces, outbox.c.kind == EDIT, outbox.c.state.in_((QUEUED, HELD))
        )
        row = (await self._connection.execute(query.order_by(outbox.c.id.desc()).limit(1))).one_or_none()
        return Owed(*row) if row else None

    async def about(self, event_id: str, room_id: str) -> str | None:
        """The reference of the object that this message of ours in a room is about."""
        query = select(outbox.c.about).where(outbox.c.event_id == event_id, outbox.c.room_id == room_id)
        return (await self._connection.execute(query)).scalar_one_or_none()

    async def spoken_of(self, room_id: str, limit: int = 20) -> list[str]:
        """The references of the last messages of a room, the latest last."""
        query = (
            select(outbox.c.about)
            .where(outbox.c.room_id == room_id, outbox.c.about.is_not(None))
            .order_by(outbox.c.id.desc())
            .limit(limit)
        )
        return [str(about) for about in (await self._connection.execute(query)).scalars()][::-1]

    async def _set(self, row_id: int, **values: object) -> None:
        await self._connection.execute(update(outbox).where(outbox.c.id == row_id).values(**values))


def _blocked() -> ColumnElement[bool]:
    """Whether a row waits behind another one to the same destination."""
    older = outbox.alias("older")
    return (
        select(older.c.id)
        .where(
            older.c.state == QUEUED,
            func.coalesce(older.c.room_id, older.c.to_user)
            == func.coalesce(outbox.c.room_id, outbox.c.to_user),
            or_(
                older.c.priority > outbox.c.priority,
                (older.c.priority == outbox.c.priority) & (older.c.id < outbox.c.id),
            ),
        )
        .exists()
    )
