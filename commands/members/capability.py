"""The capability that the commands about members are declared in, and what they share."""

from collections.abc import Iterable

from bot.kernel.card import Line
from bot.kernel.errors import NotAllowed, NotFound, NotUnderstood
from bot.kernel.language import Text, ToType, t
from bot.kernel.vocabulary import Call, Capability, Role
from bot.kernel.words import nearest, quoted
from commands.members.rules import identity_lines
from storage.members import ACTIVE, REMOVED, SUSPENDED, Grant, Member
from storage.transitions import Transition

members = Capability("members")

LONGEST_REASON = 300
PERSON = {"user": "personne"}


async def enrolled(call: Call, user: str) -> Member:
    """The member, active or suspended; NotFound, with the nearest user id, if there is none."""
    member = await call.tx.members.find(user)
    if member is not None and member.state != REMOVED:
        return member
    near = nearest(user, [each.user_id for each in await call.tx.members.all(ACTIVE, SUSPENDED)])
    raise NotFound(
        t("{user} is not enrolled.", user=user),
        argument="user",
        allowed=t("{command} shows who is", command=ToType("!member list")),
        instead=near,
        example=None if near else "!member list",
    )


async def identity_of(call: Call, member: Member) -> list[Line]:
    """What is pinned for this member, and whether the homeserver shows something else now."""
    shown = await call.tx.crypto.identity(member.user_id)
    return identity_lines(member, violated=shown is not None and shown != member.master_key)


async def room_names(call: Call) -> dict[str, str]:
    """What the rooms are called, by room id."""
    return {room.room_id: room.name for room in await call.tx.rooms.all() if room.name}


def refuse_oneself(call: Call, user: str, said: Text) -> None:
    """NotAllowed if the caller means herself: nobody decides about her own standing (domain, section 0)."""
    if user == call.who.user_id:
        raise NotAllowed(
            said, argument="user", allowed=t("Another admin has to do it"), example="!member list"
        )


async def refuse_last_admin(call: Call, user: str, ending: Iterable[Grant] | None = None) -> None:
    """LastAdmin if nobody would be left who may enrol and grant, also later: one with an end is none.

    `ending` are the grants that end, or get an end; None: all that the member has.
    """
    holders = await call.tx.members.lock_holders(Role.ADMIN.value, call.now)
    if ending is not None:
        gone = {grant.id for grant in ending}
        held = await call.tx.members.grants(user, call.now)
        if any(_is_lasting_admin(grant) and grant.id not in gone for grant in held):
            return
    if holders == [user]:
        raise LastAdmin(
            t("{user} is the last admin: nobody could grant anything after this.", user=user),
            argument="user",
            allowed=t("Make somebody else admin first"),
            example="!member list",
        )


def _is_lasting_admin(grant: Grant) -> bool:
    return grant.role == Role.ADMIN.value and grant.room_id is None and grant.expires_at is None


class LastAdmin(NotAllowed):
    """The last admin stays one."""

    code = "last_admin"


def reason_of(typed: str) -> str:
    """Why, as it is kept; NotUnderstood if it is empty or does not fit."""
    why = typed.strip()
    if 0 < len(why) <= LONGEST_REASON:
        return why
    raise NotUnderstood(
        t("A reason has 1 to {most} characters, not {count}.", most=LONGEST_REASON, count=len(why)),
        argument="why",
        instead=quoted(why[:LONGEST_REASON].strip() or "left the team"),
    )


async def record(call: Call, user: str, was: str | None, state: str, why: str | None = None) -> None:
    """Write down who changed a member's standing, and why."""
    change = Transition(user, was, state, call.now, call.who.user_id, call.device_id, why, call.event_id)
    await call.tx.transitions.add(change)
