"""A round's rooms: joined, left and invited ones, event by event, into memory and inbox."""

import logging

from bot.matrix.receive import Receiver
from bot.matrix.rooms import BANNED, INVITED, JOINED, LEFT, Change, Room, Rooms
from bot.matrix.trust import Circle, Reason
from bot.matrix.wire import Json, obj, objects, text
from storage.transaction import Transaction

log = logging.getLogger(__name__)

SETTINGS = ("m.room.history_visibility", "m.room.join_rules", "m.room.guest_access")
JOIN, REJECT, EXPLAIN = "join", "reject", "explain"


class Timeline:
    """Takes in the room part of a sync answer; each method is one room's, within the round's transaction."""

    def __init__(self, user_id: str, rooms: Rooms, receiver: Receiver, circle: Circle) -> None:
        self._user_id = user_id
        self._rooms = rooms
        self._receiver = receiver
        self._circle = circle

    async def joined(
        self, tx: Transaction, room_id: str, section: Json, gap: list[Json], first: bool
    ) -> None:
        """A room we are in. `gap` is what the homeserver left out; `first` marks the first round ever."""
        newly = self._rooms.joined(room_id) is None
        events = objects(obj(section.get("timeline")).get("events"))
        if newly:
            room = self._rooms.change(room_id)
            room.membership, room.members = JOINED, {}
        state = objects(obj(section.get("state")).get("events"))
        state += [event for event in events if "state_key" in event]
        changes = [(event, self._rooms.take_state(room_id, event)) for event in state]
        if newly:
            await self._arrive(tx, self._rooms.change(room_id), state)
        elif not first:
            for event, change in changes:
                await self._receiver.safely(tx, "member", self._member(tx, room_id, event, change))
        if first:
            return  # what was said before we ever listened was not said to us
        start = self._start(events) if newly else 0
        for event in [*gap, *events[start:]]:
            if "state_key" not in event or event.get("type") == "m.room.encrypted":
                await self._receiver.safely(tx, "event", self._receiver.event(tx, room_id, event))

    def _start(self, events: list[Json]) -> int:
        """Where in a newly joined room's timeline we were first spoken to: at the invite, or at the join."""
        for at, event in enumerate(events):
            if event.get("type") == "m.room.member" and event.get("state_key") == self._user_id:
                return at + 1
        return 0

    async def _arrive(self, tx: Transaction, room: Room, state: list[Json]) -> None:
        by, direct = room.invited_by or self._user_id, direct_with(room, state, self._user_id)
        explains = room.answer == EXPLAIN
        room.invited_by, room.invite_direct = None, False
        if explains:
            return  # we go on to say why, and leave
        room.answer = None
        known = await tx.rooms.find(room.room_id)
        if known is None or not known.joined:
            await tx.rooms.join(room.room_id, direct)
        if by == self._user_id and self._is_ours(state):
            return  # whoever made it knows
        event_id = self._own_event(state) or f"joined:{room.room_id}"
        content = {"by": by, "direct": direct is not None, "encrypted": room.is_encrypted}
        await self._receiver.add_row(tx, event_id, room.room_id, by, "joined", content)
        log.info("room.joined room=%s", room.room_id)

    def _is_ours(self, state: list[Json]) -> bool:
        return any(
            event.get("type") == "m.room.create" and event.get("sender") == self._user_id for event in state
        )

    def _own_event(self, state: list[Json]) -> str | None:
        for event in reversed(state):
            if event.get("type") == "m.room.member" and event.get("state_key") == self._user_id:
                return text(event.get("event_id"))
        return None

    async def _member(self, tx: Transaction, room_id: str, event: Json, change: Change | None) -> None:
        event_id, sender = text(event.get("event_id")), text(event.get("sender"))
        if event_id is None or sender is None:
            return
        if event.get("type") in SETTINGS and event.get("state_key") == "":
            await self._receiver.add_row(tx, event_id, room_id, sender, "settings", {})
        elif event.get("type") == "m.room.tombstone" and event.get("state_key") == "":
            gone = {"reason": "tombstoned", "by": sender}
            await self._receiver.add_row(tx, event_id, room_id, sender, "left", gone)
        elif change is not None and change.user_id != self._user_id:
            known = await tx.rooms.find(room_id)
            content: Json = {
                "user_id": change.user_id,
                "membership": change.membership,
                "by": change.by,
                "direct_with": known.direct_with if known else None,
            }
            await self._receiver.add_row(tx, event_id, room_id, sender, "member", content)

    async def left(self, tx: Transaction, room_id: str, section: Json, batch: str) -> None:
        """A room we are out of, by ourselves or not."""
        room = self._rooms.find(room_id)
        if room is None:
            return
        was_in = room.membership == JOINED
        room = self._rooms.change(room_id)
        room.membership, room.members, room.answer, room.invited_by = LEFT, {}, None, None
        self._rooms.rotate.add(room_id)
        if not was_in:
            return
        await tx.rooms.leave(room_id)
        events = objects(obj(section.get("state")).get("events"))
        events += objects(obj(section.get("timeline")).get("events"))
        reason, by, event_id = "forgotten", self._user_id, f"left:{room_id}:{batch}"
        for event in events:
            if event.get("type") == "m.room.member" and event.get("state_key") == self._user_id:
                by = text(event.get("sender")) or by
                event_id = text(event.get("event_id")) or event_id
                banned = obj(event.get("content")).get("membership") == BANNED
                reason = "banned" if banned else "left" if by == self._user_id else "kicked"
        await self._receiver.add_row(tx, event_id, room_id, by, "left", {"reason": reason, "by": by})
        log.info("room.left room=%s reason=%s", room_id, reason)

    async def invited(self, tx: Transaction, room_id: str, section: Json, batch: str) -> None:
        """An invite: decided here, answered after the commit, so that a crash in between loses none."""
        events = objects(obj(section.get("invite_state")).get("events"))
        mine = [
            event
            for event in events
            if event.get("type") == "m.room.member" and event.get("state_key") == self._user_id
        ]
        by = text(mine[-1].get("sender")) if mine else None
        room = self._rooms.change(room_id)
        room.membership, room.members = INVITED, {}
        room.invited_by = by
        room.invite_direct = bool(mine) and obj(mine[-1].get("content")).get("is_direct") is True
        room.invite_encrypted = any(
            event.get("type") == "m.room.encryption"
            and event.get("state_key") == ""
            and text(obj(event.get("content")).get("algorithm")) is not None
            for event in events
        )
        allowed = await self._circle.may_invite(tx, by, room.invite_direct) if by else False
        room.answer, kind, content = self._answer(room, allowed)
        if kind is not None:
            await self._receiver.add_row(tx, f"invite:{room_id}:{batch}", room_id, by or "", kind, content)

    def _answer(self, room: Room, allowed: bool | None) -> tuple[str | None, str | None, Json]:
        """What we do with an invite, and the inbox row that tells of it."""
        refusal = {"device_id": None, "event_type": "m.room.member"}
        if allowed is None:
            content = {
                "by": room.invited_by,
                "direct": room.invite_direct,
                "encrypted": room.invite_encrypted,
            }
            return None, "invited_room", content
        if not allowed:
            self._receiver.refused[Reason.INVITE_NOT_ALLOWED.value] += 1
            return REJECT, "refused", refusal | {"reason": Reason.INVITE_NOT_ALLOWED.value}
        if not room.invite_encrypted and self._circle.leaves_plaintext:
            self._receiver.refused[Reason.ROOM_NOT_ENCRYPTED.value] += 1
            return EXPLAIN, "refused", refusal | {"reason": Reason.ROOM_NOT_ENCRYPTED.value}
        return JOIN, None, {}


def direct_with(room: Room, state: list[Json], own_id: str) -> str | None:
    """Whose direct room it is as we come into it; nobody's if anyone else is there, or invited."""
    whom = room.invited_by if room.invite_direct else _invited_directly(state, own_id)
    return whom if set(room.members) <= {own_id, whom} else None


def _invited_directly(state: list[Json], own_id: str) -> str | None:
    for event in state:
        whom = text(event.get("state_key"))
        is_invite = event.get("type") == "m.room.member" and event.get("sender") == own_id
        if is_invite and whom != own_id and obj(event.get("content")).get("is_direct") is True:
            return whom
    return None
