"""What is remembered of rooms: who is in them, that they are encrypted (for ever), and open invites."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.matrix.identities import MEGOLM
from bot.matrix.megolm import Limits
from bot.matrix.wire import Json, number, obj, text
from storage.transaction import Transaction

JOINED, INVITED, LEFT, BANNED = "join", "invite", "leave", "ban"
PRESENT = (JOINED, INVITED)
FACTS = ("visibility", "join_rule", "guests", "federated")  # what the bot's own record of a room knows of it


@dataclass
class Room:
    """One room as the homeserver showed it; `algorithm` stays once it was seen (R11)."""

    room_id: str
    membership: str = LEFT
    members: dict[str, str] = field(default_factory=dict)
    algorithm: str | None = None
    rotation_messages: int | None = None
    rotation_ms: int | None = None
    visibility: str = "shared"
    join_rule: str = "invite"
    guests: bool = False
    federated: bool = True
    tombstone: str | None = None
    invited_by: str | None = None
    invite_direct: bool = False
    invite_encrypted: bool = False
    answer: str | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether we know how to encrypt for it."""
        return self.algorithm == MEGOLM

    @property
    def limits(self) -> Limits:
        """How long one session may serve here."""
        return Limits(self.rotation_messages, self.rotation_ms)

    def people(self) -> set[str]:
        """Who is joined."""
        return {user for user, membership in self.members.items() if membership == JOINED}

    def audience(self) -> list[str]:
        """Who may read what is said now: the joined, and the invited unless history starts at joining."""
        wanted = (JOINED,) if self.visibility == "joined" else PRESENT
        return [user for user, membership in self.members.items() if membership in wanted]


@dataclass(frozen=True)
class Change:
    """A membership that changed: before and after it."""

    user_id: str
    was: str
    membership: str
    by: str
    reason: str | None


class Rooms:
    """All rooms, in memory as they are in the database; after a rollback call `load` again."""

    def __init__(self, user_id: str) -> None:
        self._user_id = user_id
        self._rooms: dict[str, Room] = {}
        self._changed: set[str] = set()
        self.rotate: set[str] = set()
        self.touched: set[str] = set()  # rooms whose next message may need keys brought to someone

    async def load(self, tx: Transaction) -> None:
        """From the database."""
        documents = await tx.crypto.room_states()
        self._rooms = {room_id: _room(room_id, document) for room_id, document in documents.items()}
        self.touched |= self._rooms.keys()
        self._changed.clear()
        self.rotate.clear()

    async def save(self, tx: Transaction) -> None:
        """What changed, and end our sessions of rooms where someone may no longer read on."""
        for room_id in sorted(self._changed):
            room = self._rooms[room_id]
            document = asdict(room)
            document.pop("room_id")
            await tx.crypto.save_room_state(room_id, document)
            if room.membership == JOINED:
                await tx.rooms.settle(room_id, room.people() - {self._user_id})
                facts = {name: getattr(room, name) for name in FACTS}
                await tx.rooms.change(room_id, **facts)
        if self.rotate:
            await tx.crypto.end_outbound(sorted(self.rotate))
        self.touched |= self._changed
        self._changed.clear()
        self.rotate.clear()

    def find(self, room_id: str) -> Room | None:
        """The room, if it was ever seen."""
        return self._rooms.get(room_id)

    def all(self) -> list[Room]:
        """Every room that was ever seen."""
        return list(self._rooms.values())

    def touch(self, users: Iterable[str]) -> None:
        """Something about the devices of these users has changed."""
        wanted = set(users)
        self.touched |= {room.room_id for room in self.all() if wanted & room.members.keys()}

    def joined(self, room_id: str) -> Room | None:
        """The room, if we are in it."""
        room = self._rooms.get(room_id)
        return room if room is not None and room.membership == JOINED else None

    def change(self, room_id: str) -> Room:
        """The room, to be changed and saved."""
        self._changed.add(room_id)
        return self._rooms.setdefault(room_id, Room(room_id))

    def take_state(self, room_id: str, event: Json) -> Change | None:
        """Take in a state event, of any shape; the membership that it changed, if it did."""
        content, state_key = obj(event.get("content")), event.get("state_key")
        kind = event.get("type")
        if kind == "m.room.member" and text(state_key):
            return self._take_member(room_id, str(state_key), event, content)
        if state_key != "":
            return None
        if kind == "m.room.encryption":
            self._take_encryption(room_id, content)
        elif kind == "m.room.history_visibility":
            self._take_visibility(room_id, content)
        elif kind == "m.room.join_rules":
            self.change(room_id).join_rule = text(content.get("join_rule"), 40) or "invite"
        elif kind == "m.room.guest_access":
            self.change(room_id).guests = content.get("guest_access") == "can_join"
        elif kind == "m.room.create":
            self.change(room_id).federated = content.get("m.federate") is not False
        elif kind == "m.room.tombstone":
            self.change(room_id).tombstone = text(content.get("replacement_room")) or "none"
        return None

    def _take_member(self, room_id: str, user: str, event: Json, content: Json) -> Change | None:
        membership = content.get("membership")
        membership = membership if membership in (JOINED, INVITED, BANNED) else LEFT
        known = self._rooms.get(room_id)
        was = known.members.get(user, LEFT) if known else LEFT
        if was == membership:
            return None
        room = self.change(room_id)
        if membership in PRESENT:
            room.members[user] = str(membership)
        elif room.members.pop(user, None) is not None:
            self.rotate.add(room_id)
        by = text(event.get("sender")) or user
        return Change(user, was, str(membership), by, text(content.get("reason"), 1000))

    def _take_encryption(self, room_id: str, content: Json) -> None:
        room = self.change(room_id)
        algorithm = text(content.get("algorithm"))
        if room.algorithm is None or (room.algorithm != MEGOLM and algorithm == MEGOLM):
            room.algorithm = algorithm
        if algorithm == MEGOLM:
            room.rotation_messages = _least(room.rotation_messages, content.get("rotation_period_msgs"))
            room.rotation_ms = _least(room.rotation_ms, content.get("rotation_period_ms"))

    def _take_visibility(self, room_id: str, content: Json) -> None:
        visibility = text(content.get("history_visibility"), 40) or "shared"
        room = self.change(room_id)
        if room.visibility != visibility:
            room.visibility = visibility
            self.rotate.add(room_id)


def _least(known: int | None, given: Any) -> int | None:
    asked = number(given)
    return known if asked is None else asked if known is None else min(known, asked)


def _room(room_id: str, document: dict[str, Any]) -> Room:
    known = {name: value for name, value in document.items() if name in Room.__dataclass_fields__}
    return Room(room_id, **known)
