"""A member's standing: the list, one member, suspended, back again, removed."""

from bot.kernel.card import Card, Line, Strong, bullet, card, line
from bot.kernel.errors import Conflict
from bot.kernel.language import Text, ToType, t, tn
from bot.kernel.vocabulary import Call, Example, Post, Quoted, Role, UserId
from commands.agencies import known_agency
from commands.members.capability import (
    PERSON,
    enrolled,
    identity_of,
    members,
    reason_of,
    record,
    refuse_last_admin,
    refuse_oneself,
    room_names,
)
from commands.members.rules import STATES, named, roles_of
from storage.members import ACTIVE, REMOVED, SUSPENDED, Grant, Member

NAMES = {**PERSON, "why": "raison"}
BY_CONFIGURATION = "config"  # the first admins, whom nobody in a room enrolled
ROY = ("!member add @roy:rcmp.example RCMP",)


@members.command(
    "member list",
    "member",
    "members",
    role=None,
    french=["membre liste", "membre", "membres"],
    names={"agency": "agence"},
    examples=[
        Example("!member list", answers="Members:"),
        Example("!member list RCMP", given=ROY, answers="@roy:rcmp.example"),
        Example("!member list RCPM", answers="There is no agency RCPM", refused=True),
    ],
)
async def list_members(call: Call, agency: str | None = None) -> Card:
    """Who is enrolled, for which agency, with which roles."""
    wanted = (await known_agency(call, agency)).code if agency else None
    everyone = await call.tx.members.all(ACTIVE, SUSPENDED)
    found = [member for member in everyone if wanted in (None, member.agency)]
    if not found:
        return card(t("Nobody of {agency} is enrolled.", agency=wanted or ""))
    grants, rooms = await call.tx.members.all_grants(call.now), await room_names(call)
    title = t("Members of {agency}: {count}", agency=wanted, count=len(found)) if wanted else None
    return card(
        line(Strong(title or t("Members: {count}", count=len(found)))),
        [_entry(member, grants.get(member.user_id, []), rooms) for member in found],
    )


def _entry(member: Member, grants: list[Grant], rooms: dict[str, str]) -> Line:
    values = {"who": named(member), "agency": member.agency, "roles": roles_of(member, grants, rooms)}
    if member.state == ACTIVE:
        return bullet(t("{agency} · {who} · {roles}", **values))
    return bullet(t("{agency} · {who} · {roles} · SUSPENDED", **values))


@members.command(
    "member show",
    role=None,
    french=["membre voir"],
    names=PERSON,
    examples=[
        Example("!member show @roy:rcmp.example", given=ROY, answers="@roy:rcmp.example · RCMP · active"),
        Example(
            "!member show @nobody:rcmp.example", answers="@nobody:rcmp.example is not enrolled", refused=True
        ),
    ],
)
async def show_member(call: Call, user: UserId) -> Post:
    """One member: agency, roles, state, and the fingerprint to compare by telephone."""
    member = await enrolled(call, user)
    said = t(
        "{who} · {agency} · {state}", who=named(member), agency=member.agency, state=STATES[member.state]
    )
    return Post(card(line(Strong(said)), await details_of(call, member)), about=member.user_id)


async def details_of(call: Call, member: Member) -> list[Line]:
    """What there is to know of a member, below her name."""
    grants = await call.tx.members.grants(member.user_id, call.now)
    lines = [bullet(t("Roles: {roles}", roles=roles_of(member, grants, await room_names(call))))]
    lines += await identity_of(call, member)
    lines.append(bullet(_settings(member)))
    by = t("the configuration") if member.enrolled_by == BY_CONFIGURATION else member.enrolled_by
    lines.append(bullet(t("Enrolled {at} by {by}", at=member.enrolled_at, by=by)))
    if member.state == SUSPENDED:
        lines += await _suspension(call, member)
    return lines


def _settings(member: Member) -> Text:
    language = {"en": t("English"), "fr": t("French")}.get(member.language or "", t("the room's"))
    return t("Language: {language} · Zone: {zone}", language=language, zone=member.zone or t("the room's"))


async def _suspension(call: Call, member: Member) -> list[Line]:
    """Since when, and, for those who decide about it, by whom and why."""
    changes = [each for each in await call.tx.transitions.of(member.user_id) if each.to_state == SUSPENDED]
    if not changes:
        return []
    last = changes[-1]
    if not call.may(Role.ADMIN, Role.SUPERVISOR):
        return [bullet(t("Suspended {at}", at=last.at))]
    return [
        bullet(t("Suspended {at} by {by}: {why}", at=last.at, by=last.actor or "", why=last.reason or ""))
    ]


@members.command(
    "member suspend",
    role=Role.ADMIN,
    french=["membre suspendre"],
    names=NAMES,
    examples=[
        Example(
            '!member suspend @roy:rcmp.example "telephone lost"',
            given=ROY,
            answers="@roy:rcmp.example is suspended",
        ),
        Example(
            '!member suspend @roy:rcmp.example "again"',
            given=(*ROY, '!member suspend @roy:rcmp.example "telephone lost"'),
            answers="@roy:rcmp.example is suspended already",
            refused=True,
        ),
        Example('!member suspend @nobody:rcmp.example "gone"', answers="is not enrolled", refused=True),
    ],
)
async def suspend_member(call: Call, user: UserId, why: Quoted) -> Post:
    """Stop taking a member's commands and giving them keys, until you resume them; their roles wait."""
    refuse_oneself(call, user, t("Nobody suspends themselves."))
    member, reason = await enrolled(call, user), reason_of(why)
    if member.state == SUSPENDED:
        raise Conflict(
            t("{who} is suspended already.", who=named(member)),
            argument="user",
            example=f"!member resume {member.user_id}",
        )
    await refuse_last_admin(call, member.user_id)
    await change_state(call, member, SUSPENDED, reason)
    return Post(
        card(
            t("{who} is suspended: I take no commands from them and give them no keys.", who=named(member)),
            bullet(t("What they have read stays with them.")),
            bullet(t("Back again: {command}", command=ToType(f"!member resume {member.user_id}"))),
        ),
        about=member.user_id,
    )


@members.command(
    "member resume",
    role=Role.ADMIN,
    french=["membre rétablir"],
    names=PERSON,
    examples=[
        Example(
            "!member resume @roy:rcmp.example",
            given=(*ROY, '!member suspend @roy:rcmp.example "telephone lost"'),
            answers="@roy:rcmp.example is active again",
        ),
        Example("!member resume @roy:rcmp.example", given=ROY, answers="is not suspended", refused=True),
    ],
)
async def resume_member(call: Call, user: UserId) -> Post:
    """Take a suspended member's commands again, with the roles they had."""
    member = await enrolled(call, user)
    if member.state == ACTIVE:
        raise Conflict(
            t("{who} is not suspended.", who=named(member)),
            argument="user",
            example=f"!member show {member.user_id}",
        )
    await change_state(call, member, ACTIVE)
    grants = await call.tx.members.grants(member.user_id, call.now)
    roles = roles_of(member, grants, await room_names(call))
    return Post(
        card(t("{who} is active again.", who=named(member)), bullet(t("Roles: {roles}", roles=roles))),
        about=member.user_id,
    )


async def preview_removal(call: Call, user: UserId, why: Quoted) -> Card:
    """What removing this member would end."""
    member = await _removable(call, user)
    reason_of(why)
    grants = await call.tx.members.grants(member.user_id, call.now)
    return card(
        t("This removes {who} of {agency}.", who=named(member), agency=member.agency),
        [bullet(tn("{count} role ends", "{count} roles end", len(grants)))] if grants else [],
        bullet(t("I take no commands from them and give them no keys.")),
        bullet(t("To bring them back, enrol them again; the identity pinned now stays pinned.")),
    )


@members.command(
    "member remove",
    role=Role.ADMIN,
    french=["membre retirer"],
    names=NAMES,
    preview=preview_removal,
    examples=[
        Example(
            '!member remove @roy:rcmp.example "left the team"',
            given=ROY,
            answers="This removes @roy:rcmp.example of RCMP",
        ),
        Example('!member remove @nobody:rcmp.example "left"', answers="is not enrolled", refused=True),
    ],
)
async def remove_member(call: Call, user: UserId, why: Quoted) -> Post:
    """Remove a member and end all their roles, as when somebody leaves; asks you to confirm."""
    member, reason = await _removable(call, user), reason_of(why)
    await change_state(call, member, REMOVED, reason)
    ended = await call.tx.members.revoke(member.user_id, call.now)
    return Post(
        card(
            t("{who} is removed.", who=named(member)),
            bullet(tn("{count} role has ended", "{count} roles have ended", ended)),
            bullet(t("Remember to take them out of the rooms too: I cannot.")),
        ),
        about=member.user_id,
    )


async def _removable(call: Call, user: str) -> Member:
    refuse_oneself(call, user, t("Nobody removes themselves."))
    member = await enrolled(call, user)
    await refuse_last_admin(call, member.user_id)
    return member


async def change_state(call: Call, member: Member, state: str, why: str | None = None) -> None:
    """Change and record it; Conflict if somebody else was faster."""
    if not await call.tx.members.set_state(member.user_id, state, was=member.state):
        raise Conflict(
            t("Somebody else has just changed {who}.", who=named(member)),
            argument="user",
            example=f"!member show {member.user_id}",
        )
    await record(call, member.user_id, member.state, state, why)
