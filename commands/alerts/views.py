"""What is known of an alert at one moment, read for its cards; and who may know of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.kernel.errors import Conflict, NotFound
from bot.kernel.language import t
from bot.kernel.vocabulary import Call, Post, Reaction, Ref, Role, agencies_with
from commands.alerts.rules import Severity, Stand, silent, stands
from storage.alerts import ACTIVE, ALL_CLEAR, CANCELLED, EXPIRED, Alert
from storage.members import ACTIVE as ENROLLED
from storage.members import Grant, Member
from storage.rooms import Room
from storage.transaction import Transaction

# Extreme overtakes everything that is queued, and so on down.
PRIORITY = {Severity.EXTREME: 30, Severity.SEVERE: 20, Severity.MODERATE: 10, Severity.MINOR: 0}

STATES = {
    ACTIVE: t("active"),
    CANCELLED: t("cancelled"),
    ALL_CLEAR: t("all clear"),
    EXPIRED: t("expired"),
}


@dataclass(frozen=True)
class View:
    """An alert, its board, the names of those who act in it, and the rooms that it still reaches.

    `lost` are the rooms it was sent to that are no longer served; a room without a name shows its id.
    """

    alert: Alert
    board: tuple[Stand, ...]
    names: Mapping[str, str]
    rooms: tuple[Room, ...]
    lost: tuple[str, ...]

    @property
    def severity(self) -> Severity:
        """The severity as the rules know it."""
        return Severity(self.alert.severity)

    @property
    def priority(self) -> int:
        """Of its messages in the outbox."""
        return PRIORITY[self.severity]

    @property
    def silent(self) -> tuple[str, ...]:
        """The agencies that owe an answer."""
        return tuple(each.agency for each in silent(self.alert, self.board))

    def name(self, user_id: str | None) -> str:
        """A person as the card names her."""
        return self.names.get(user_id or "", user_id or "")


async def view_of(tx: Transaction, alert: Alert) -> View:
    """Read all that the cards of an alert show."""
    asked = await tx.alerts.asked(alert.number)
    board = stands(alert, asked, await tx.alerts.answers(alert.number))
    people = {alert.author, *(each.answer.user_id for each in board if each.answer)}
    if alert.closed_by:
        people.add(alert.closed_by)
    found = [(room_id, await tx.rooms.find(room_id)) for room_id in await tx.alerts.rooms(alert.number)]
    rooms = tuple(room for _, room in found if room is not None and room.is_reached)
    reached = {room.room_id for room in rooms}
    lost = tuple(
        (room.name if room else None) or room_id for room_id, room in found if room_id not in reached
    )
    return View(alert, tuple(board), await names_of(tx, people), rooms, lost)


async def names_of(tx: Transaction, user_ids: Iterable[str]) -> dict[str, str]:
    """Names by user id; where none is known, the part of the id before the server."""
    names = {}
    for user_id in sorted(user_ids):
        member = await tx.members.find(user_id)
        names[user_id] = (member and member.name) or user_id.removeprefix("@").split(":")[0]
    return names


async def present(tx: Transaction, room_ids: Iterable[str]) -> list[Member]:
    """The active members who are in any of these rooms, by user id."""
    there = [await tx.members.find(user_id) for user_id in await tx.rooms.present(*room_ids)]
    return [member for member in there if member is not None and member.state == ENROLLED]


async def may_read(by: Call | Reaction, alert: Alert, grants: Sequence[Grant]) -> bool:
    """Whether a member may know of an alert: it is hers, she is in its rooms, or it asks her agencies.

    It concerns those that raised it and those that are asked; hers are her own and those she has a role for.
    """
    hers = {by.who.agency, *agencies_with(grants, Role.OBSERVER, by.room.room_id)}
    if by.who.user_id == alert.author or alert.agency in hers:
        return True
    if any(each.agency in hers for each in await by.tx.alerts.asked(alert.number)):
        return True
    rooms = {alert.room_id, *await by.tx.alerts.rooms(alert.number)}
    return bool(rooms & set(await by.tx.rooms.rooms_of(by.who.user_id)))


def may_change(call: Call, alert: Alert) -> bool:
    """Whether she may update or close it: its author, or whoever is at least a liaison for its agency."""
    held = agencies_with(call.grants, Role.LIAISON, call.room.room_id)
    return call.who.user_id == alert.author or alert.agency in held


async def is_of_room(tx: Transaction, alert: Alert, room: Room) -> bool:
    """Whether the room knows of the alert: it was raised or sent there."""
    return room.room_id == alert.room_id or room.room_id in await tx.alerts.rooms(alert.number)


async def readable(call: Call, ref: Ref) -> Alert:
    """The alert with this number; NotFound also for one that she may not know of."""
    alert = await call.tx.alerts.find(number_of(ref))
    if alert is not None and await may_read(call, alert, call.grants):
        return alert
    near = await _nearest_open(call, number_of(ref))
    raise NotFound(
        t("There is no alert {ref}.", ref=ref),
        argument="alert",
        allowed=t("{ref} is active: {headline}.", ref=near.ref, headline=near.headline) if near else None,
        example="!alert list",
    )


async def held_open(call: Call, ref: Ref) -> Alert:
    """The same, kept from other changes until this one is done; Conflict if the alert is over."""
    found = await readable(call, ref)
    alert = await call.tx.alerts.hold(found.number) or found
    if alert.state == ACTIVE:
        return alert
    raise Conflict(
        t(
            "{ref} is closed: {state} since {at}.",
            ref=alert.ref,
            state=STATES[alert.state],
            at=alert.closed_at,
        ),
        argument="alert",
        allowed=t("Only an active alert can be answered or changed."),
        example="!alert list",
    )


def number_of(ref: str) -> int:
    """142 of A-142."""
    return int(ref.partition("-")[2])


async def _nearest_open(call: Call, number: int) -> Alert | None:
    open_ones = [each for each in await call.tx.alerts.active() if await is_shown_here(call, each)]
    return min(open_ones, key=lambda each: abs(each.number - number), default=None)


async def is_shown_here(call: Call, alert: Alert) -> bool:
    """Whether its text may be said in answer to her here: in its own rooms, or to her alone."""
    alone = await call.tx.rooms.is_private(call.room, call.who.user_id)
    here = alone or await is_of_room(call.tx, alert, call.room)
    return here and await may_read(call, alert, call.grants)


async def said_to_author(tx: Transaction, view: View, post: Post, now: datetime) -> list[Post]:
    """A post for the author: where she raised the alert, or directly; to her supervisors if she is gone."""
    alert = view.alert
    author = await tx.members.find(alert.author)
    if author is None or author.state != ENROLLED:
        stand_in = await tx.members.holders(Role.SUPERVISOR.value, now, alert.agency)
        return [_to(post, user_id=each.user_id) for each in stand_in]
    room = await tx.rooms.find(alert.room_id)
    if room is not None and room.is_reached and alert.author in await tx.rooms.present(alert.room_id):
        return [_to(post, room_id=alert.room_id, mentions=(alert.author,))]
    return [_to(post, user_id=alert.author)]


def _to(
    post: Post, *, user_id: str | None = None, room_id: str | None = None, mentions: tuple[str, ...] = ()
) -> Post:
    return Post(
        post.card,
        room_id=room_id,
        to_user=user_id,
        about=post.about,
        rings=True,
        mentions=mentions or ((user_id,) if user_id else ()),
        priority=post.priority,
    )
