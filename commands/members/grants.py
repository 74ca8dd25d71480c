"""Grants: which role a member has, for which agency, where and until when."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from bot.kernel.arguments import spellings
from bot.kernel.card import Card, bullet, card
from bot.kernel.errors import Conflict, NotAllowed, NotFound, NotUnderstood
from bot.kernel.language import Text, t
from bot.kernel.moments import read_moment, read_span
from bot.kernel.vocabulary import Call, Example, Post, Role, Until, UserId
from bot.kernel.words import folded, nearest
from commands.agencies import known_agency
from commands.members.capability import (
    PERSON,
    enrolled,
    members,
    record,
    refuse_last_admin,
    refuse_oneself,
    room_names,
)
from commands.members.rules import in_words, named, roles_of
from storage.members import ACTIVE, Grant, Member
from storage.rooms import Room

NAMES = {**PERSON, "role": "rôle", "agency": "agence", "room": "salon", "until": "jusque"}
ROY = ("!member add @roy:rcmp.example RCMP",)
LIAISON = (*ROY, "!grant @roy:rcmp.example liaison")
DUTY_HERE = (*ROY, "!grant @roy:rcmp.example duty room=ops")
EVERY = frozenset({"all", "tout", "tous"})
LONGEST = timedelta(days=3653)  # ten years; a role without an end says so
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def end_of(typed: str, now: datetime, zone: tzinfo) -> datetime:
    """When a grant ends: after a length of time, at an instant, or as a day begins in `zone`."""
    try:
        end = _instant(typed, now, zone)
    except NotUnderstood as error:  # a date that could be another one
        works = error.instead and _is_an_end(error.instead, now, zone)
        error.argument, error.instead = "until", None if error.asks else error.instead if works else "90d"
        raise
    if end is not None and now < end <= now + LONGEST:
        return end
    said = t("{typed} is not a time.", typed=typed)
    if end is not None:
        said = t("{end} is in the past.", end=end) if end <= now else t("{typed} is too long.", typed=typed)
    allowed = t("A day is written 2027-01-01, a length of time 90d")
    raise NotUnderstood(said, argument="until", allowed=allowed, instead="90d")


def _is_an_end(typed: str, now: datetime, zone: tzinfo) -> bool:
    end = _instant(typed, now, zone)
    return end is not None and now < end <= now + LONGEST


def _instant(typed: str, now: datetime, zone: tzinfo) -> datetime | None:
    length = read_span(typed)
    if length is not None:
        return now + min(length, LONGEST + timedelta(days=1))
    return read_moment(f"{typed} 00:00" if _DAY.fullmatch(typed.strip()) else typed, now, zone)


def role_or_all(typed: str) -> Role | None:
    """The role of this name in either language, None for all; NotUnderstood proposes one that is near."""
    if folded(typed) in EVERY:
        return None
    spelled = spellings(Role)
    if folded(typed) in spelled:
        return Role(spelled[folded(typed)].value)
    near = nearest(typed, spelled)
    raise NotUnderstood(
        t("{typed} is not a role.", typed=typed),
        argument="role",
        allowed=t("One of {roles}, or {all}", roles=tuple(Role), all="all"),
        # Neither "all" nor a role that nobody named: what is proposed may be pasted without a look.
        instead=str(spelled[near].value) if near else None,
        example="!help revoke",
    )


@members.command(
    "grant",
    role=Role.ADMIN,
    french=["accorder"],
    names=NAMES,
    examples=[
        Example("!grant @roy:rcmp.example liaison", given=ROY, answers="@roy:rcmp.example is liaison"),
        Example("!grant @roy:rcmp.example duty until=90d", given=ROY, answers="is duty until"),
        Example("!grant @roy:rcmp.example analyst agency=CBP", given=ROY, answers="is analyst for CBP"),
        Example(
            "!grant @roy:rcmp.example captain", given=ROY, answers="role is one of observer", refused=True
        ),
        Example(
            "!grant @roy:rcmp.example duty until=2020-01-01",
            given=ROY,
            answers="is in the past",
            refused=True,
        ),
        Example(
            "!grant @roy:rcmp.example liaison", given=LIAISON, answers="is liaison already", refused=True
        ),
        Example(
            "!grant @roy:rcmp.example duty room=nowhere", given=ROY, answers="no room nowhere", refused=True
        ),
    ],
)
async def grant_role(
    call: Call,
    user: UserId,
    role: Role,
    *,
    agency: str | None = None,
    room: str | None = None,
    until: Until | None = None,
) -> Post:
    """Give a member a role: for their agency or another, everywhere or in one room, with or without end."""
    refuse_oneself(call, user, t("Nobody grants themselves a role."))
    member = await enrolled(call, user)
    _refuse_suspended(member)
    home = (await known_agency(call, agency)).code if agency else member.agency
    room_id = await _room(call, room, role) if room else None
    end = end_of(until, call.now, call.voice.zone) if until else None
    new = Grant(0, member.user_id, role.value, home, room_id, call.who.user_id, call.now, end, None)
    said = in_words(new, member.agency, await room_names(call))
    await _replace(call, member, new, said)
    done = t("{who} is {role}.", who=named(member), role=said)
    return Post(await _standing(call, member, done), about=member.user_id)


async def _replace(call: Call, member: Member, new: Grant, said: Text) -> None:
    """Give the grant in place of those that differ only in their end; Conflict if nothing differs."""
    held = await call.tx.members.grants(member.user_id, call.now)
    old = [each for each in held if _right(each) == _right(new)]
    if any(each.expires_at == new.expires_at for each in old):
        raise Conflict(
            t("{who} is {role} already.", who=named(member), role=said),
            argument="role",
            example=f"!member show {member.user_id}",
        )
    if new.expires_at is not None:
        await _keep_an_admin(call, old)
    await call.tx.members.end_grants([each.id for each in old], call.now)
    await call.tx.members.grant(
        member.user_id,
        new.role,
        new.agency,
        by=new.granted_by,
        now=call.now,
        room_id=new.room_id,
        expires_at=new.expires_at,
    )
    await _record(call, member, new, granted=True)


async def _keep_an_admin(call: Call, ending: Sequence[Grant]) -> None:
    """LastAdmin if these grants are all that keeps the bot in anyone's hands."""
    admins = [each for each in ending if each.role == Role.ADMIN.value]
    if admins:
        await refuse_last_admin(call, admins[0].user_id, admins)


def _right(grant: Grant) -> tuple[str, str, str | None]:
    return grant.role, grant.agency, grant.room_id


def _refuse_suspended(member: Member) -> None:
    if member.state != ACTIVE:
        raise Conflict(
            t("{who} is suspended: resume them first.", who=named(member)),
            argument="user",
            example=f"!member resume {member.user_id}",
        )


async def _room(call: Call, name: str, role: Role) -> str:
    """The id of the served room of this name; an admin is admin everywhere."""
    if role is Role.ADMIN:
        raise NotAllowed(
            t("An admin is admin of the whole bot, not of one room."),
            argument="room",
            allowed=t("Leave out {word}", word="room="),
            example="!help grant",
        )
    return (await _served(call, name)).room_id


async def _served(call: Call, name: str) -> Room:
    """The served room of this name."""
    found = await call.tx.rooms.served(name)
    if found:
        return found[0]
    names = [room.name for room in await call.tx.rooms.served() if room.name]
    raise NotFound(
        t("I serve no room {name}.", name=name),
        argument="room",
        allowed=t("I serve {names}", names=tuple(names)) if names else None,
        instead=nearest(name, names),
        example=None if nearest(name, names) else "!room list",
    )


async def preview_revoke(
    call: Call, user: UserId, role: str, *, agency: str | None = None, room: str | None = None
) -> Card | None:
    """What one takes from oneself, which nobody else may be there to give back; None for others' roles."""
    if user != call.who.user_id:
        return None
    held = await call.tx.members.grants(user, call.now)
    ending = await _ending(call, call.who, held, role, agency, room)
    await _keep_an_admin(call, ending)
    gone = roles_of(call.who, ending, await room_names(call))
    return card(t("You take from yourself: {roles}. Only another admin can give it back.", roles=gone))


@members.command(
    "revoke",
    role=Role.ADMIN,
    preview=preview_revoke,
    french=["révoquer"],
    names=NAMES,
    examples=[
        Example("!revoke @roy:rcmp.example liaison", given=LIAISON, answers="no longer has: liaison"),
        Example("!revoke @roy:rcmp.example all", given=LIAISON, answers="no longer has: officer, liaison"),
        Example(
            "!revoke @roy:rcmp.example duty room=ops", given=DUTY_HERE, answers="no longer has: duty in room"
        ),
        Example("!revoke @roy:rcmp.example duty", given=ROY, answers="does not have this role", refused=True),
        Example(
            "!revoke @roy:rcmp.example duty room=nowhere",
            given=DUTY_HERE,
            answers="no room nowhere",
            refused=True,
        ),
        Example("!revoke @roy:rcmp.example captain", given=ROY, answers="is not a role", refused=True),
        Example("!revoke @nobody:rcmp.example duty", answers="is not enrolled", refused=True),
    ],
)
async def revoke_role(
    call: Call, user: UserId, role: str, *, agency: str | None = None, room: str | None = None
) -> Post:
    """Take a role from a member, or all of them; of one agency or one room only if you name it."""
    member = await enrolled(call, user)
    held = await call.tx.members.grants(member.user_id, call.now)
    ending = await _ending(call, member, held, role, agency, room)
    await _keep_an_admin(call, ending)
    await call.tx.members.end_grants([each.id for each in ending], call.now)
    for each in ending:
        await _record(call, member, each, granted=False)
    gone = roles_of(member, ending, await room_names(call))
    done = t("{who} no longer has: {roles}.", who=named(member), roles=gone)
    return Post(await _standing(call, member, done), about=member.user_id)


async def _ending(
    call: Call, member: Member, held: Sequence[Grant], role: str, agency: str | None, room: str | None
) -> list[Grant]:
    """Those of the grants held that are meant; NotFound, pointing at the first word that fits none."""
    which = role_or_all(role)
    code = (await known_agency(call, agency)).code if agency else None
    place = await _served(call, room) if room else None
    meant = [each for each in held if which is None or each.role == which.value]
    if not meant:
        raise await _not_held(call, member, held, "role")
    theirs = [each for each in meant if code is None or each.agency == code]
    if not theirs:
        raise await _not_held(call, member, held, "agency")
    there = [each for each in theirs if place is None or each.room_id == place.room_id]
    if not there:
        raise await _not_held(call, member, held, "room")
    return there


async def _not_held(call: Call, member: Member, held: Sequence[Grant], argument: str) -> NotFound:
    """What they have instead; none of it is proposed, as a pasted line would take what nobody named."""
    return NotFound(
        t("{who} does not have this role.", who=named(member)),
        argument=argument,
        allowed=t("They have: {roles}", roles=roles_of(member, held, await room_names(call))),
        example=f"!member show {member.user_id}",
    )


async def _record(call: Call, member: Member, grant: Grant, *, granted: bool) -> None:
    """Who gave or took which right: the role, the agency and the room are part of the object's name."""
    right = "/".join(filter(None, (member.user_id, grant.role, grant.agency, grant.room_id)))
    await record(call, right, *((None, "granted") if granted else ("granted", "revoked")))


async def _standing(call: Call, member: Member, said: Text) -> Card:
    """What has happened, and what the member may do now."""
    held = await call.tx.members.grants(member.user_id, call.now)
    return card(said, bullet(t("Roles: {roles}", roles=roles_of(member, held, await room_names(call)))))
