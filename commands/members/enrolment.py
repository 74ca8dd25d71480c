"""Enrolment: a person becomes a member, with an agency, a first role and an identity of her own."""

from dataclasses import replace

from bot.kernel.card import Card, Code, bullet, card, line
from bot.kernel.errors import Conflict
from bot.kernel.language import Language, ToType, t
from bot.kernel.vocabulary import Call, Example, Post, Quoted, Role, UserId
from bot.kernel.words import grouped
from bot.kernel.zones import zone_named
from commands.agencies import known_agency
from commands.members.capability import PERSON, enrolled, identity_of, members, record, refuse_oneself
from commands.members.rules import SAMPLE, STATES, key_of, name_of, named
from storage.members import ACTIVE, ENROLMENT, FINGERPRINT, REMOVED, SUSPENDED, Member

NAMES = {
    **PERSON,
    "agency": "agence",
    "role": "rôle",
    "name": "nom",
    "lang": "langue",
    "tz": "fuseau",
    "fingerprint": "empreinte",
}


@members.command(
    "member add",
    role=Role.ADMIN,
    french=["membre ajouter"],
    names=NAMES,
    examples=[
        Example(
            "!member add @roy:rcmp.example RCMP", answers="@roy:rcmp.example is enrolled for RCMP as officer"
        ),
        Example(
            '!member add @cho:cbp.example CBP liaison name="Lt Cho" lang=fr tz=America/Detroit',
            answers="Lt Cho (@cho:cbp.example) is enrolled for CBP as liaison",
        ),
        Example("!member add @cho:cbp.example CBP name=Lt Cho lang=fr", answers="Lt Cho (@cho:cbp.example)"),
        Example("!member add @roy:rcmp.example RCPM", answers="There is no agency RCPM", refused=True),
        Example(
            "!member add @roy:rcmp.example RCMP fingerprint=abcd",
            answers="That is not a fingerprint",
            refused=True,
        ),
        Example(
            "!member add @roy:rcmp.example RCMP",
            given=("!member add @roy:rcmp.example RCMP",),
            answers="@roy:rcmp.example is enrolled already",
            refused=True,
        ),
    ],
)
async def enrol_member(
    call: Call,
    user: UserId,
    agency: str,
    role: Role = Role.OFFICER,
    *,
    name: Quoted | None = None,
    lang: Language | None = None,
    tz: Quoted | None = None,
    fingerprint: str | None = None,
) -> Post:
    """Enrol a person for an agency: from then on I take their commands, and they can read what I write."""
    refuse_oneself(call, user, t("You are enrolled already, and nobody enrols themselves."))
    home = await known_agency(call, agency)
    before = await _refuse_enrolled(call, user)
    key, how = await _identity(call, user, fingerprint)
    if fingerprint is not None and before is not None and before.master_key not in (None, key):
        raise Conflict(
            t("{user} had another identity before: two people compare a new one.", user=user),
            argument="fingerprint",
            allowed=t("Enrol them without it first, then:"),
            example=f"!member verify {user}",
        )
    member = Member(
        user_id=user,
        agency=home.code,
        name=name_of(name),
        language=lang.value if lang else None,
        zone=zone_named(tz, "tz").key if tz else None,
        state=ACTIVE,
        master_key=key,
        pinned_how=how,
        pinned_at=call.now if key else None,
        enrolled_by=call.who.user_id,
        enrolled_at=call.now,
    )
    await call.tx.members.enrol(member if fingerprint else _with_old_pin(member, before))
    await call.tx.members.grant(user, role.value, home.code, by=call.who.user_id, now=call.now)
    await record(call, user, before.state if before else None, ACTIVE)
    return Post(await _welcome(call, await enrolled(call, user), role), about=user)


async def _refuse_enrolled(call: Call, user: str) -> Member | None:
    """The member who was removed before, if there was one; Conflict if she is not removed."""
    there = await call.tx.members.find(user)
    if there is None or there.state == REMOVED:
        return there
    raise Conflict(
        t(
            "{user} is enrolled already, for {agency}: {state}.",
            user=user,
            agency=there.agency,
            state=STATES[there.state],
        ),
        argument="user",
        example=f"!member {'resume' if there.state == SUSPENDED else 'show'} {user}",
    )


def _with_old_pin(member: Member, before: Member | None) -> Member:
    """Who comes back is held to the identity she had: two people replace a pin, never one."""
    if before is None or before.master_key is None:
        return member
    pin = {name: getattr(before, name) for name in ("master_key", "pinned_how", "pinned_at")}
    return replace(member, **pin)


async def _identity(call: Call, user: str, fingerprint: str | None) -> tuple[str | None, str | None]:
    """The identity to pin now, and how it is known; None and None to wait for it."""
    shown = await call.tx.crypto.identity(user)
    if fingerprint is None:
        return (shown, ENROLMENT) if shown and call.pins_at_sight else (None, None)
    key = key_of(fingerprint)
    if shown in (None, key):
        return key, FINGERPRINT
    # What is shown is not repeated here: copied into the command, it would pin what nobody has compared.
    raise Conflict(
        t("The homeserver shows another identity for {user} than this fingerprint.", user=user),
        argument="fingerprint",
        allowed=t("If they read you just this fingerprint, do not go on: somebody stands between you"),
        example=f"!member show {user}",
    )


async def _welcome(call: Call, member: Member, role: Role) -> Card:
    """Who is enrolled, what is pinned or how it will be, and where they can meet me."""
    said = t(
        "{who} is enrolled for {agency} as {role}.", who=named(member), agency=member.agency, role=role.label
    )
    lines = [line(said), *await identity_of(call, member)]
    if member.master_key is not None:
        lines.append(bullet(t("Compare it with them by telephone, group by group.")))
    elif call.pins_at_sight:
        lines.append(
            bullet(
                t("I am asking the homeserver for it, pin it when I see it, and then tell you. Until then:"),
                " ",
                ToType(f"!member show {member.user_id}"),
            )
        )
    else:
        lines.append(
            bullet(t("I take no commands before that:"), " ", ToType(f'!member pin {member.user_id} "…"'))
        )
    if not await call.tx.rooms.rooms_of(member.user_id):
        lines.append(bullet(t("We share no room yet: invite them into one that I serve.")))
    return card(lines)


@members.command(
    "member pin",
    role=Role.ADMIN,
    french=["membre épingler"],
    names=NAMES,
    examples=[
        Example(
            f'!member pin @roy:rcmp.example "{SAMPLE}"',
            given=("!member add @roy:rcmp.example RCMP",),
            answers="The identity of @roy:rcmp.example is pinned",
        ),
        Example(
            "!member pin @roy:rcmp.example 1234",
            given=("!member add @roy:rcmp.example RCMP",),
            answers="That is not a fingerprint",
            refused=True,
        ),
        Example(
            f'!member pin @nobody:cbp.example "{SAMPLE}"',
            answers="@nobody:cbp.example is not enrolled",
            refused=True,
        ),
    ],
)
async def pin_identity(call: Call, user: UserId, fingerprint: Quoted) -> Post:
    """Pin the first identity of an officer by the fingerprint that they read to you."""
    refuse_oneself(call, user, t("Nobody pins their own identity."))
    member = await enrolled(call, user)
    key, _how = await _identity(call, user, fingerprint)
    if member.master_key == key:
        raise Conflict(
            t("Just this identity is pinned for {user}.", user=user),
            argument="fingerprint",
            example=f"!member show {user}",
        )
    if member.master_key is not None:
        raise Conflict(
            t("{user} has an identity already: two people compare a new one.", user=user),
            argument="fingerprint",
            example=f"!member verify {user}",
        )
    await call.tx.members.repin(user, str(key), FINGERPRINT, call.now)
    said = t("The identity of {who} is pinned.", who=named(member))
    return Post(card(line(said), bullet(Code(grouped(str(key))))), about=user)
