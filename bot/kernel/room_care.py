"""What is wrong with a room, as whoever looks after it should read it; pure."""

from collections.abc import Sequence

from bot.kernel.card import Line, bullet
from bot.kernel.language import ToType, t, tn
from storage.rooms import Room

WORLD_READABLE, PUBLIC = "world_readable", "public"


def holds_back(room: Room, strangers: Sequence[str]) -> bool:
    """Whether nothing about an alert, or another object, may be said there now."""
    return room.served and room.holds and (bool(strangers) or room.visibility == WORLD_READABLE)


def troubles(room: Room, strangers: Sequence[str]) -> list[Line]:
    """A line for each thing that is wrong with the room, and for what is held back; none if all is well."""
    lines = []
    if strangers:
        said = tn(
            "{count} person here is not enrolled; I neither hear them nor give them keys: {who}",
            "{count} people here are not enrolled; I neither hear them nor give them keys: {who}",
            len(strangers),
            who=tuple(strangers),
        )
        lines += [bullet(said), bullet(t("Enrol them:"), " ", ToType(f"!member add {strangers[0]} AGENCY"))]
    if room.visibility == WORLD_READABLE:
        lines.append(bullet(t("Its history is open to the world. Set it to members only.")))
    if room.join_rule == PUBLIC:
        lines.append(bullet(t("Anybody can join it. Set it to invited people only.")))
    if (
        room.join_rule == PUBLIC and room.guests
    ):  # clients allow guests in every private room, who need an invite
        lines.append(bullet(t("Guests may join it. Forbid it.")))
    if holds_back(room, strangers):
        lines.append(bullet(t("Until that is mended I say nothing about alerts here.")))
    return lines
