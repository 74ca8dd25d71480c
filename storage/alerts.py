"""Alerts: what was raised, for which rooms, which agencies were asked, and what each has answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, Column, Index, Integer, Select, String, Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.encryption import Encrypted
from storage.schema import Instant, metadata, next_number, upsert

alerts = Table(
    "alerts",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("headline", Encrypted("alerts.headline"), nullable=False),
    Column("agency", String, nullable=False),
    Column("author", String, nullable=False),
    Column("room_id", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("patience_seconds", Integer, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", String),
    Column("closed_reason", Encrypted("alerts.closed_reason")),
    Index("ix_alerts_state", "state", "expires_at"),
    Index("ix_alerts_agency", "agency", "raised_at"),
)

alert_rooms = Table(
    "alert_rooms",
    metadata,
    Column("alert", Integer, primary_key=True, autoincrement=False),
    Column("room_id", String, primary_key=True),
)

alert_agencies = Table(
    "alert_agencies",
    metadata,
    Column("alert", Integer, primary_key=True, autoincrement=False),
    Column("agency", String, primary_key=True),
    Column("asked_at", Instant, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("due_at", Instant),
    Column("without_supervisor", Boolean, nullable=False),
    Index("ix_alert_agencies_due_at", "due_at"),
)

alert_answers = Table(
    "alert_answers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("alert", Integer, nullable=False, index=True),
    Column("round", Integer, nullable=False),
    Column("agency", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("answer", String, nullable=False),
    Column("reason", Encrypted("alert_answers.reason")),
    Column("signed", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Column("event_id", String),
    Column("withdrawn_at", Instant),
    Index("ix_alert_answers_event_id", "event_id"),
)

ACTIVE, CANCELLED, ALL_CLEAR, EXPIRED = "active", "cancelled", "all_clear", "expired"


@dataclass(frozen=True)
class Alert:
    """An alert as it now is.

    `version` grows with each change and is what a change is compared against; `round` grows when an update
    asks everyone anew. `agency`, `author` and `room_id` say who raised it and where. `patience_seconds` is
    the time to the first deadline of a round.
    """

    number: int
    version: int
    round: int
    state: str
    severity: str
    headline: str
    agency: str
    author: str
    room_id: str
    policy: str
    patience_seconds: int
    raised_at: datetime
    updated_at: datetime
    expires_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None
    closed_reason: str | None = None

    @property
    def ref(self) -> str:
        """The number as officers say it."""
        return f"A-{self.number}"

    @property
    def patience(self) -> timedelta:
        """How long a round waits before its first rung."""
        return timedelta(seconds=self.patience_seconds)


@dataclass(frozen=True)
class Asked:
    """An agency that was asked in the present round.

    `rung` counts the rungs of the ladder that were tried; at `due_at` the next one is, if the agency is
    silent then (None: the ladder is at its end). `without_supervisor`: there was none to be told.
    """

    agency: str
    asked_at: datetime
    rung: int
    due_at: datetime | None
    without_supervisor: bool = False


@dataclass(frozen=True)
class Answered:
    """An answer for an agency, in the round in which it was given.

    Not `signed`: by a reaction, which a homeserver can forge. `event_id` is of the command or reaction.
    """

    round: int
    agency: str
    user_id: str
    answer: str
    reason: str | None
    signed: bool
    at: datetime
    event_id: str | None = None
    withdrawn_at: datetime | None = None


_ALERT = [alerts.c[name] for name in Alert.__dataclass_fields__]
_ASKED = [alert_agencies.c[name] for name in Asked.__dataclass_fields__]
_ANSWERED = [alert_answers.c[name] for name in Answered.__dataclass_fields__]


class Alerts:
    """Queries on alerts, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def next_number(self) -> int:
        """The number of the next alert; never given twice."""
        return await next_number(self._connection, "A")

    async def add(self, alert: Alert, room_ids: Iterable[str], asked: Iterable[Asked]) -> None:
        """Record an alert, the rooms it goes to and the agencies it asks; both are fixed with it."""
        await self._connection.execute(alerts.insert().values(**vars(alert)))
        for room_id in room_ids:
            await self._connection.execute(alert_rooms.insert().values(alert=alert.number, room_id=room_id))
        await self.ask(alert.number, asked)

    async def find(self, number: int) -> Alert | None:
        """The alert with this number, in any state."""
        return await self._one(select(*_ALERT).where(alerts.c.number == number))

    async def hold(self, number: int) -> Alert | None:
        """The alert, and nobody else changes it or its answers until this transaction ends."""
        return await self._one(select(*_ALERT).where(alerts.c.number == number).with_for_update())

    async def change(self, alert: Alert, **values: object) -> bool:
        """Set columns of an active alert; False if it was closed, or changed since `alert` was read."""
        statement = (
            update(alerts)
            .where(
                alerts.c.number == alert.number, alerts.c.version == alert.version, alerts.c.state == ACTIVE
            )
            .values(version=alert.version + 1, **values)
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def active(self) -> list[Alert]:
        """Every active alert, newest first."""
        query = select(*_ALERT).where(alerts.c.state == ACTIVE).order_by(alerts.c.number.desc())
        return [Alert(*row) for row in await self._connection.execute(query)]

    async def raised_since(self, agency: str, since: datetime) -> list[Alert]:
        """The active alerts that this agency raised at or after an instant, newest first."""
        return [each for each in await self.active() if each.agency == agency and each.raised_at >= since]

    async def expired(self, now: datetime) -> list[int]:
        """The numbers of active alerts whose time is over."""
        query = select(alerts.c.number).where(alerts.c.state == ACTIVE, alerts.c.expires_at <= now)
        return list((await self._connection.execute(query.order_by(alerts.c.number))).scalars())

    async def with_deadline_by(self, now: datetime) -> list[int]:
        """The numbers of active alerts in which an agency without an answer is past its deadline."""
        answered = (
            select(alert_answers.c.id)
            .where(
                alert_answers.c.alert == alerts.c.number,
                alert_answers.c.round == alerts.c.round,
                alert_answers.c.agency == alert_agencies.c.agency,
                alert_answers.c.withdrawn_at.is_(None),
            )
            .exists()
        )
        query = (
            select(alerts.c.number)
            .join(alert_agencies, alert_agencies.c.alert == alerts.c.number)
            .where(alerts.c.state == ACTIVE, alert_agencies.c.due_at <= now, ~answered)
            .distinct()
            .order_by(alerts.c.number)
        )
        return list((await self._connection.execute(query)).scalars())

    async def rooms(self, number: int) -> list[str]:
        """The ids of the rooms that the alert was sent to."""
        query = select(alert_rooms.c.room_id).where(alert_rooms.c.alert == number)
        return list((await self._connection.execute(query.order_by(alert_rooms.c.room_id))).scalars())

    async def asked(self, number: int) -> list[Asked]:
        """The agencies asked, by code."""
        query = select(*_ASKED).where(alert_agencies.c.alert == number).order_by(alert_agencies.c.agency)
        return [Asked(*row) for row in await self._connection.execute(query)]

    async def ask(self, number: int, asked: Iterable[Asked]) -> None:
        """Set where these agencies stand on the ladder; call it while the alert is held."""
        for each in asked:
            values = vars(each)
            statement = upsert(self._connection, alert_agencies).values(alert=number, **values)
            await self._connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[alert_agencies.c.alert, alert_agencies.c.agency], set_=values
                )
            )

    async def answers(self, number: int) -> list[Answered]:
        """Every answer ever given, oldest first."""
        query = select(*_ANSWERED).where(alert_answers.c.alert == number).order_by(alert_answers.c.id)
        return [Answered(*row) for row in await self._connection.execute(query)]

    async def answer(self, number: int, answered: Answered) -> None:
        """Add an answer; earlier ones stay as history."""
        await self._connection.execute(alert_answers.insert().values(alert=number, **vars(answered)))

    async def withdraw(self, number: int, event_id: str, user_id: str, now: datetime) -> str | None:
        """Take back the unsigned answer of this person's reaction; for which agency it was, None without."""
        statement = (
            update(alert_answers)
            .where(
                alert_answers.c.alert == number,
                alert_answers.c.event_id == event_id,
                alert_answers.c.user_id == user_id,
                alert_answers.c.signed.is_(False),
                alert_answers.c.withdrawn_at.is_(None),
            )
            .values(withdrawn_at=now)
            .returning(alert_answers.c.agency)
        )
        agency: str | None = (await self._connection.execute(statement)).scalar_one_or_none()
        return agency

    async def _one(self, query: Select[Any]) -> Alert | None:
        row = (await self._connection.execute(query)).one_or_none()
        return Alert(*row) if row else None
