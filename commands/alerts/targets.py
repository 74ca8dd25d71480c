"""Where an alert goes: the tags there are, and the rooms that the speaker's role reaches."""

from collections.abc import Mapping, Sequence

from bot.kernel.errors import NotAllowed, NotFound, NotUnderstood
from bot.kernel.language import Text, t, tn
from bot.kernel.vocabulary import Call, Role, agencies_with
from bot.kernel.words import folded, nearest
from storage.rooms import Room

OPEN = "…"  # stands for a tag that only the officer can say


async def targets(call: Call, to: Sequence[str], agency: str) -> list[Room]:
    """This room, or those with the tags; BotError if there are none, or her role is not for each of them."""
    counts = await _tag_counts(call)
    if to:
        tags = [folded(tag.strip().removeprefix("#")) for tag in to]
        _check_known(tags, counts)
        found = {room.room_id: room for tag in tags for room in await call.tx.rooms.tagged(tag)}
        _check_may_raise_in(call, list(found.values()), tags, agency)
        return [found[room_id] for room_id in sorted(found)]
    if call.room.direct_with is None:
        return [call.room]
    raise NotUnderstood(
        t("Nobody but us two is in this room: say where the alert is to go."),
        argument="to",
        allowed=_known_tags(counts),
        instead=f"to={OPEN}" if counts else None,
        example=None if counts else "!room list",
    )


def names_of_rooms(rooms: Sequence[Room]) -> tuple[str, ...]:
    """As readers know them."""
    return tuple(room.name or room.room_id for room in rooms)


async def _tag_counts(call: Call) -> dict[str, int]:
    """The tags there are, and how many rooms each reaches."""
    counts: dict[str, int] = {}
    for room in await call.tx.rooms.served():
        for tag in room.tags:
            counts[tag] = counts.get(tag, 0) + 1
    return counts


def _known_tags(counts: Mapping[str, int]) -> Text:
    if not counts:
        return t("No room has a tag yet: leave out to= and it goes to the room you are in.")
    rows = [
        tn("{tag} ({count} room)", "{tag} ({count} rooms)", counts[tag], tag=tag) for tag in sorted(counts)
    ]
    return t("Tags: {tags}.", tags=tuple(rows))


def _check_known(tags: Sequence[str], counts: Mapping[str, int]) -> None:
    """NotFound for a tag that no room has; what is proposed keeps the others, and invents none."""
    unknown = next((tag for tag in tags if tag not in counts), None)
    if unknown is None:
        return
    known = sorted(counts)
    meant = [tag if tag in counts else nearest(tag, known) or OPEN for tag in tags] if known else []
    raise NotFound(
        t("No room has the tag {tag}.", tag=unknown),
        argument="to",
        allowed=_known_tags(counts),
        instead=",".join(dict.fromkeys(meant)) or None,
        example=None if meant else "!room list",
    )


def _check_may_raise_in(call: Call, rooms: Sequence[Room], tags: Sequence[str], agency: str) -> None:
    """NotAllowed if her role is not for each of these rooms: one that she has for one room stays there."""
    closed = [room for room in rooms if agency not in agencies_with(call.grants, Role.LIAISON, room.room_id)]
    if not closed:
        return
    beyond = {tag for room in closed for tag in room.tags}
    names = names_of_rooms(closed)
    raise NotAllowed(
        t("You are not {role} for {agency} in {rooms}.", role=Role.LIAISON, agency=agency, rooms=names),
        argument="to",
        allowed=t("Leave out to= and the alert goes to this room."),
        instead=",".join(tag for tag in tags if tag not in beyond),
    )
