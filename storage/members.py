"""Members: who is enrolled, for which agency, with which pinned identity; and their grants."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, ColumnElement, Index, Integer, String, Table, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.crypto_tables import device_lists
from storage.encryption import Encrypted
from storage.schema import Instant, metadata, upsert

members = Table(
    "members",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("agency", String, nullable=False),
    Column("name", Encrypted("members.name")),
    Column("language", String),
    Column("zone", String),
    Column("state", String, nullable=False),
    Column("master_key", String),
    Column("pinned_how", String),
    Column("pinned_at", Instant),
    Column("enrolled_by", String, nullable=False),
    Column("enrolled_at", Instant, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", String, nullable=False, index=True),
    Column("role", String, nullable=False),
    Column("agency", String, nullable=False),
    Column("room_id", String),
    Column("granted_by", String, nullable=False),
    Column("granted_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Index("ix_grants_role", "role", "revoked_at"),
)

ACTIVE, SUSPENDED, REMOVED = "active", "suspended", "removed"

# How an identity came to be pinned: it was known when the member was enrolled; it was the first one that the
# homeserver showed later; an admin gave its fingerprint; it was compared by emoji.
ENROLMENT, FIRST_SIGHT, FINGERPRINT = "enrolment", "first-sight", "fingerprint"
COMPARED = "compared"  # two people compared the fingerprint after the identity had changed
VERIFIED = "verified"


@dataclass(frozen=True)
class Member:
    """An enrolled person; `language` and `zone` are None where the room's are to be used.

    `master_key` is the pinned cross-signing master key (unpadded base64), None until it was seen.
    """

    user_id: str
    agency: str
    name: str | None
    language: str | None
    zone: str | None
    state: str
    master_key: str | None
    pinned_how: str | None
    pinned_at: datetime | None
    enrolled_by: str
    enrolled_at: datetime


@dataclass(frozen=True)
class Grant:
    """A role for one agency, in one room or (`room_id` None) in all, until `expires_at` (None: no end)."""

    id: int
    user_id: str
    role: str
    agency: str
    room_id: str | None
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


_MEMBER = [members.c[name] for name in Member.__dataclass_fields__]
_GRANT = [grants.c[name] for name in Grant.__dataclass_fields__]


class Members:
    """Queries on members and grants, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, user_id: str) -> Member | None:
        """The member of any state, or None."""
        row = (
            await self._connection.execute(select(*_MEMBER).where(members.c.user_id == user_id))
        ).one_or_none()
        return Member(*row) if row else None

    async def all(self, *states: str) -> list[Member]:
        """Members in these states (none named: active ones), by agency and user id."""
        query = select(*_MEMBER).where(members.c.state.in_(states or (ACTIVE,)))
        return [
            Member(*row)
            for row in await self._connection.execute(query.order_by(members.c.agency, members.c.user_id))
        ]

    async def unseen(self, limit: int) -> list[str]:
        """User ids of active members of whose devices and identity nothing was ever asked."""
        asked = select(device_lists.c.user_id).where(device_lists.c.user_id == members.c.user_id)
        query = select(members.c.user_id).where(members.c.state == ACTIVE, ~asked.exists())
        query = query.order_by(members.c.user_id).limit(limit)
        return list((await self._connection.execute(query)).scalars())

    async def standings(self, user_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """For those of these users who were ever enrolled: their state and the pinned master key."""
        columns = (members.c.user_id, members.c.state, members.c.master_key)
        query = select(*columns).where(members.c.user_id.in_(user_ids))
        return {row[0]: (row[1], row[2]) for row in await self._connection.execute(query)}

    async def enrol(self, member: Member) -> bool:
        """Add the member, or bring a removed one back; False if one in another state is there already."""
        values = vars(member)
        statement = upsert(self._connection, members).values(**values)
        statement = statement.on_conflict_do_update(
            index_elements=[members.c.user_id], set_=values, where=members.c.state == REMOVED
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def set_state(self, user_id: str, state: str, *, was: str) -> bool:
        """Compare-and-set of the state."""
        statement = (
            update(members).where(members.c.user_id == user_id, members.c.state == was).values(state=state)
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def pin(self, user_id: str, master_key: str, how: str, now: datetime) -> bool:
        """Pin the identity of a member who has none pinned; False otherwise."""
        statement = (
            update(members)
            .where(members.c.user_id == user_id, members.c.master_key.is_(None))
            .values(master_key=master_key, pinned_how=how, pinned_at=now)
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def verify(self, user_id: str, master_key: str, now: datetime) -> bool:
        """This identity was compared by emoji: note it where just this one is pinned; whether that is new.

        A pin by fingerprint stays one: it was compared by telephone.
        """
        statement = (
            update(members)
            .where(members.c.user_id == user_id, members.c.master_key == master_key)
            .where(members.c.pinned_how.in_((ENROLMENT, FIRST_SIGHT)))
            .values(pinned_how=VERIFIED, pinned_at=now)
        )
        return bool((await self._connection.execute(statement)).rowcount)

    async def repin(self, user_id: str, master_key: str, how: str, now: datetime) -> None:
        """Pin this identity instead of whatever was pinned; only ever on an admin's word."""
        values = {"master_key": master_key, "pinned_how": how, "pinned_at": now}
        await self._connection.execute(update(members).where(members.c.user_id == user_id).values(**values))

    async def prefer(self, user_id: str, **values: str | None) -> None:
        """Set `language` or `zone`."""
        await self._connection.execute(update(members).where(members.c.user_id == user_id).values(**values))

    async def grants(self, user_id: str, now: datetime) -> list[Grant]:
        """The member's grants in force at `now`, oldest first."""
        query = select(*_GRANT).where(grants.c.user_id == user_id, *_in_force(now)).order_by(grants.c.id)
        return [Grant(*row) for row in await self._connection.execute(query)]

    async def all_grants(self, now: datetime) -> dict[str, list[Grant]]:
        """Every grant in force at `now`, by user id, each member's oldest first."""
        found: dict[str, list[Grant]] = {}
        for row in await self._connection.execute(
            select(*_GRANT).where(*_in_force(now)).order_by(grants.c.id)
        ):
            grant = Grant(*row)
            found.setdefault(grant.user_id, []).append(grant)
        return found

    async def lock_holders(self, role: str, now: datetime) -> list[str]:
        """User ids of active members who hold `role` in every room and without end, locked until the commit.

        Whoever takes the role from one of them reads this first: of two who do so at once the second waits,
        and then sees what the first has left.
        """
        query = (
            select(grants.c.user_id)
            .join(members, members.c.user_id == grants.c.user_id)
            .where(members.c.state == ACTIVE, grants.c.role == role, *_in_force(now))
            .where(grants.c.room_id.is_(None), grants.c.expires_at.is_(None))
            .order_by(grants.c.id)
            .with_for_update()
        )
        return list(dict.fromkeys((await self._connection.execute(query)).scalars()))

    async def holders(
        self, role: str, now: datetime, agency: str | None = None, room_id: str | None = None
    ) -> list[Member]:
        """Active members with a grant of `role` in force, for one agency or whichever, by user id.

        It is one that counts everywhere; with `room_id` one that counts in that room alone.
        """
        query = (
            select(*_MEMBER)
            .where(
                members.c.state == ACTIVE,
                members.c.user_id.in_(
                    select(grants.c.user_id).where(
                        grants.c.role == role,
                        *_in_force(now),
                        grants.c.room_id == room_id,
                        *((grants.c.agency == agency,) if agency else ()),
                    )
                ),
            )
            .order_by(members.c.user_id)
        )
        return [Member(*row) for row in await self._connection.execute(query)]

    async def grant(
        self,
        user_id: str,
        role: str,
        agency: str,
        *,
        by: str,
        now: datetime,
        room_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """Record a grant; a second like it only adds its own expiry."""
        await self._connection.execute(
            grants.insert().values(
                user_id=user_id,
                role=role,
                agency=agency,
                room_id=room_id,
                granted_by=by,
                granted_at=now,
                expires_at=expires_at,
            )
        )

    async def revoke(self, user_id: str, now: datetime, role: str | None = None) -> int:
        """End the member's grants of this role (None: all) in force at `now`; how many ended."""
        statement = (
            update(grants)
            .where(grants.c.user_id == user_id, *_in_force(now), *((grants.c.role == role,) if role else ()))
            .values(revoked_at=now)
        )
        return int((await self._connection.execute(statement)).rowcount)

    async def end_grants(self, ids: Iterable[int], now: datetime) -> int:
        """End these grants; how many were still running."""
        statement = (
            update(grants)
            .where(grants.c.id.in_(list(ids)), grants.c.revoked_at.is_(None))
            .values(revoked_at=now)
        )
        return int((await self._connection.execute(statement)).rowcount)


def _in_force(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return grants.c.revoked_at.is_(None), or_(grants.c.expires_at.is_(None), grants.c.expires_at > now)
