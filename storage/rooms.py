"""Rooms: which are encrypted, which are served, how they are to be spoken to, and who is in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Boolean, Column, Index, String, Table, delete, false, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.encryption import Encrypted
from storage.members import ACTIVE, SUSPENDED, members
from storage.schema import Instant, Json, metadata, upsert

rooms = Table(
    "rooms",
    metadata,
    Column("room_id", String, primary_key=True),
    Column("name", Encrypted("rooms.name")),
    Column("tags", Json, nullable=False, default=list),
    Column("served", Boolean, nullable=False, default=False),
    Column("direct_with", String),
    Column("language", String, nullable=False, default="en"),
    Column("zone", String, nullable=False, default="UTC"),
    Column("prefix", String, nullable=False, default="!"),
    Column("reactions", Boolean, nullable=False, default=False),
    Column("joined", Boolean, nullable=False, default=True),
    Column("served_by", String),
    Column("served_at", Instant),
    Column("holds", Boolean, nullable=False, server_default=true()),
    Column("visibility", String, nullable=False, server_default="shared"),
    Column("join_rule", String, nullable=False, server_default="invite"),
    Column("guests", Boolean, nullable=False, server_default=false()),
    Column("federated", Boolean, nullable=False, server_default=true()),
)

room_members = Table(
    "room_members",
    metadata,
    Column("room_id", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Index("ix_room_members_user_id", "user_id"),
)


@dataclass(frozen=True)
class RoomDefaults:
    """How a room that the bot comes into is spoken to, until an admin says otherwise."""

    language: str = "en"
    zone: str = "UTC"


@dataclass(frozen=True)
class Room:
    """A room the bot is, or was, in. `name` is the admin's word for it; `tags` are how alerts address it.

    `direct_with` is the user id where it is a direct room of the bot and one person. `language` is en,
    fr or both. `reactions` says whether a clear-text reaction may count there. `holds`: while somebody is
    there who is not enrolled, nothing about an object is said. The last four are the room's own settings as
    the homeserver shows them (Matrix specification: history visibility, join rule, guest access, m.federate).
    """

    room_id: str
    name: str | None
    tags: tuple[str, ...]
    served: bool
    direct_with: str | None
    language: str
    zone: str
    prefix: str
    reactions: bool
    joined: bool
    served_by: str | None
    served_at: datetime | None
    holds: bool = True
    visibility: str = "shared"
    join_rule: str = "invite"
    guests: bool = False
    federated: bool = True

    @property
    def is_reached(self) -> bool:
        """Whether the bot speaks there: it is in the room, and the room is served or a direct one."""
        return self.joined and (self.served or self.direct_with is not None)


_ROOM = [rooms.c[name] for name in Room.__dataclass_fields__]


def _room(row: tuple[object, ...]) -> Room:
    values = dict(zip(Room.__dataclass_fields__, row, strict=True))
    values["tags"] = tuple(values["tags"])  # type: ignore[arg-type]  # JSON gives a list
    return Room(**values)  # type: ignore[arg-type]  # columns and fields are the same names


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.casefold() == other.casefold()


class Rooms:
    """Queries on rooms, within one transaction."""

    def __init__(self, connection: AsyncConnection, defaults: RoomDefaults | None = None) -> None:
        self._connection = connection
        self._defaults = defaults or RoomDefaults()

    async def find(self, room_id: str) -> Room | None:
        """The room, or None if the bot never was in it."""
        row = (await self._connection.execute(select(*_ROOM).where(rooms.c.room_id == room_id))).one_or_none()
        return _room(tuple(row)) if row else None

    async def all(self) -> list[Room]:
        """Every room the bot is in, served or not, by id."""
        query = select(*_ROOM).where(rooms.c.joined).order_by(rooms.c.room_id)
        return [_room(tuple(row)) for row in await self._connection.execute(query)]

    async def served(self, name: str | None = None) -> list[Room]:
        """The served rooms, by name; with `name` the one that has it, in any case."""
        found = [room for room in await self.all() if room.served]
        wanted = found if name is None else [room for room in found if _same(room.name, name)]
        return sorted(wanted, key=lambda room: (room.name or "").casefold())

    async def sizes(self) -> dict[str, int]:
        """How many people are joined to each room, the bot left out."""
        query = select(room_members.c.room_id, func.count()).group_by(room_members.c.room_id)
        return {room_id: int(count) for room_id, count in await self._connection.execute(query)}

    async def tagged(self, tag: str) -> list[Room]:
        """The served rooms with this tag."""
        return [room for room in await self.all() if room.served and tag in room.tags]

    async def direct(self, user_id: str) -> Room | None:
        """The direct room with this person, where the bot is still in it and nobody else is."""
        others = select(room_members.c.user_id).where(
            room_members.c.room_id == rooms.c.room_id, room_members.c.user_id != user_id
        )
        query = select(*_ROOM).where(rooms.c.direct_with == user_id, rooms.c.joined, ~others.exists())
        row = (await self._connection.execute(query.limit(1))).one_or_none()
        return _room(tuple(row)) if row else None

    async def is_private(self, room: Room, user_id: str) -> bool:
        """Whether nobody else reads what is said there: it is the direct room of this person, alone in it."""
        return room.direct_with == user_id and set(await self.present(room.room_id)) <= {user_id}

    async def join(self, room_id: str, direct_with: str | None = None) -> None:
        """The bot is in this room (again); a direct room with a person is kept as such."""
        values = {"room_id": room_id, "joined": True, "direct_with": direct_with}
        statement = upsert(self._connection, rooms).values(
            **values, **vars(self._defaults), tags=[], served=False, prefix="!", reactions=False
        )
        statement = statement.on_conflict_do_update(index_elements=[rooms.c.room_id], set_=values)
        await self._connection.execute(statement)

    async def leave(self, room_id: str) -> None:
        """The bot is out of this room: it is no longer served, and who is in it is no longer known."""
        await self.change(room_id, joined=False, served=False)
        await self._connection.execute(delete(room_members).where(room_members.c.room_id == room_id))

    async def present(self, *room_ids: str) -> list[str]:
        """Who is joined to any of these rooms, enrolled or not, the bot left out; by user id, each once."""
        query = select(room_members.c.user_id).where(room_members.c.room_id.in_(room_ids)).distinct()
        return list((await self._connection.execute(query.order_by(room_members.c.user_id))).scalars())

    async def strangers(self, room_id: str) -> list[str]:
        """Who is joined and was never enrolled, or was removed; the bot left out; by user id."""
        known = select(members.c.user_id).where(members.c.state.in_((ACTIVE, SUSPENDED)))
        query = select(room_members.c.user_id).where(
            room_members.c.room_id == room_id, room_members.c.user_id.not_in(known)
        )
        return list((await self._connection.execute(query.order_by(room_members.c.user_id))).scalars())

    async def rooms_of(self, user_id: str) -> list[str]:
        """The ids of the rooms that the bot shares with this person."""
        query = select(room_members.c.room_id).where(room_members.c.user_id == user_id)
        return list((await self._connection.execute(query.order_by(room_members.c.room_id))).scalars())

    async def arrive(self, room_id: str, user_id: str) -> None:
        """A person has joined this room; nothing changes if she was there."""
        statement = upsert(self._connection, room_members).values(room_id=room_id, user_id=user_id)
        await self._connection.execute(statement.on_conflict_do_nothing())

    async def depart(self, room_id: str, user_id: str) -> None:
        """A person has left this room, by herself or not; nothing changes if she was not there."""
        gone = delete(room_members).where(
            room_members.c.room_id == room_id, room_members.c.user_id == user_id
        )
        await self._connection.execute(gone)

    async def settle(self, room_id: str, user_ids: Iterable[str]) -> None:
        """Exactly these people, and the bot, are joined to this room: the whole list, as a sync gives it.

        A direct room that somebody else comes into is one no more, also when they have left it again.
        """
        wanted, known = set(user_ids), set(await self.present(room_id))
        for user_id in sorted(known - wanted):
            await self.depart(room_id, user_id)
        if wanted - known:
            rows = [{"room_id": room_id, "user_id": user_id} for user_id in sorted(wanted - known)]
            await self._connection.execute(room_members.insert(), rows)
        room = await self.find(room_id)
        if room is not None and room.direct_with and wanted - {room.direct_with}:
            await self.change(room_id, direct_with=None)

    async def change(self, room_id: str, **values: object) -> bool:
        """Set columns of the room; False if it is not known."""
        if "tags" in values:
            values["tags"] = list(values["tags"])  # type: ignore[call-overload]  # an iterable of texts
        statement = update(rooms).where(rooms.c.room_id == room_id).values(**values)
        return bool((await self._connection.execute(statement)).rowcount)
