"""Authority: who may give which command where; pure."""

from collections.abc import Sequence

from bot.kernel.errors import BotError, NotAllowed
from bot.kernel.language import ToType, t
from bot.kernel.vocabulary import Command, Role, holds
from storage.members import Grant, Member
from storage.rooms import Room


class NotServed(NotAllowed):
    """The bot was not told to work in this room: one sentence is all it says there."""

    code = "not_served"


def refusal(command: Command, member: Member, grants: Sequence[Grant], room: Room) -> BotError | None:
    """Why this member may not give this command here; None if she may."""
    if not is_served(command, member, room):
        return NotServed(
            t(
                "I do not work in this room until an admin types {command}",
                command=ToType("!room serve NAME"),
            )
        )
    if command.role is None or holds(grants, command.role, room.room_id):
        return None
    held = tuple(dict.fromkeys(Role(grant.role) for grant in grants))
    return NotAllowed(
        t("This needs the role {role}", role=command.role),
        allowed=t("Your roles here: {roles}", roles=held) if held else t("You have no role here"),
        example="!help",
    )


def is_served(command: Command, member: Member, room: Room) -> bool:
    """Whether the bot takes this command in this room from anyone."""
    return room.served or command.anywhere or room.direct_with == member.user_id


def may(command: Command, member: Member, grants: Sequence[Grant], room: Room) -> bool:
    """Whether the member may give this command here."""
    return refusal(command, member, grants, room) is None
