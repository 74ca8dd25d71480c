"""Identities: which devices of a member count and why, and how a new identity comes to count."""

from datetime import timedelta

from bot.kernel.card import Card, Code, Line, Strong, bullet, card, line
from bot.kernel.errors import Conflict
from bot.kernel.language import Text, ToType, t
from bot.kernel.vocabulary import Call, Example, Post, Role, UserId
from bot.kernel.words import grouped
from commands.members.capability import PERSON, enrolled, members, record, refuse_oneself
from commands.members.rules import named, why_not_counted
from storage.members import ACTIVE, COMPARED, Member
from storage.repins import Repin

COMPARED_FOR = timedelta(hours=24)  # how long a comparison waits for the second person
ROY = ("!member add @roy:rcmp.example RCMP",)


@members.command(
    "member devices",
    role=Role.ADMIN,
    french=["membre appareils"],
    names=PERSON,
    examples=[
        Example("!member devices @roy:rcmp.example", given=ROY, answers="I have seen no device of"),
        Example("!member devices @nobody:rcmp.example", answers="is not enrolled", refused=True),
    ],
)
async def list_devices(call: Call, user: UserId) -> Card:
    """A member's devices, as the homeserver shows them, and why each of them counts or does not."""
    member = await enrolled(call, user)
    shown, devices = await call.tx.crypto.identity(user), await call.tx.crypto.devices(user)
    if not devices:
        return card(t("I have seen no device of {who}.", who=named(member)))
    lines = []
    for device in devices:
        reason = why_not_counted(member, shown, signed=device.signed)
        verdict = reason or t("counts: signed by the identity that is pinned")
        lines.append(
            bullet(Code(device.device_id), *([f" {device.name}"] if device.name else []), " · ", verdict)
        )
    return card(line(Strong(t("Devices of {who}", who=named(member)))), lines)


async def preview_confirmation(call: Call, user: UserId) -> Card:
    """Both identities, once an admin has compared them."""
    await _comparison(call, *await _changed(call, user))
    return await preview_comparison(call, user)


async def preview_comparison(call: Call, user: UserId) -> Card:
    """Both identities, and what a yes would mean: by the first person, and by the second."""
    member, shown = await _changed(call, user)
    waiting = await _waiting(call, user, shown)
    lines = [
        line(t("{who} has another identity than the one pinned.", who=named(member))),
        bullet(t("Pinned:"), " ", Code(grouped(member.master_key or ""))),
        bullet(t("Shown now:"), " ", Code(grouped(shown))),
        bullet(t("Telephone them. Go on only if they read you the second one, group by group.")),
    ]
    if waiting is not None and waiting.compared_by != call.who.user_id:
        lines.append(
            bullet(t("{by} has compared it too; with your word it is pinned.", by=waiting.compared_by))
        )
    return card(lines)


@members.command(
    "member verify",
    role=Role.ADMIN,
    french=["membre vérifier"],
    names=PERSON,
    preview=preview_comparison,
    examples=[
        Example(
            "!member verify @roy:rcmp.example", given=ROY, answers="I have seen no identity of", refused=True
        ),
        Example("!member verify @nobody:rcmp.example", answers="is not enrolled", refused=True),
    ],
)
async def compare_identity(call: Call, user: UserId) -> Post:
    """Have a member's new identity count: you compare it by telephone, a second person does so too."""
    member, shown = await _changed(call, user)
    waiting = await _waiting(call, user, shown)
    if waiting is None or waiting.compared_by == call.who.user_id:
        await call.tx.repins.put(Repin(user, shown, call.who.user_id, call.now))
        return Post(card(_asks_for_second(member)), about=user)
    return await _pin(call, member, waiting)


@members.command(
    "member confirm",
    role=Role.SUPERVISOR,
    french=["membre confirmer"],
    names=PERSON,
    preview=preview_confirmation,
    examples=[
        Example(
            "!member confirm @roy:rcmp.example", given=ROY, answers="I have seen no identity of", refused=True
        ),
        Example("!member confirm @nobody:rcmp.example", answers="is not enrolled", refused=True),
    ],
)
async def confirm_identity(call: Call, user: UserId) -> Post:
    """As a supervisor: confirm a member's new identity that an admin has compared by telephone."""
    member, shown = await _changed(call, user)
    return await _pin(call, member, await _comparison(call, member, shown))


async def _changed(call: Call, user: str) -> tuple[Member, str]:
    """The member and the identity that is shown instead of the pinned one; Conflict if there is none."""
    refuse_oneself(call, user, t("Nobody verifies their own identity."))
    member = await enrolled(call, user)
    shown = await call.tx.crypto.identity(user)
    if shown is None:
        raise Conflict(
            t("I have seen no identity of {who}.", who=named(member)),
            argument="user",
            allowed=t("They must set up their recovery, or verify their device, in their own client first"),
            example=f"!member devices {user}",
        )
    if shown == member.master_key:
        raise Conflict(
            t("{who} has just the identity that is pinned.", who=named(member)),
            argument="user",
            example=f"!member show {user}",
        )
    return member, shown


async def _waiting(call: Call, user: str, shown: str) -> Repin | None:
    """The comparison that waits for a second person: of this identity, not too old, by a member in force."""
    waiting = await call.tx.repins.find(user)
    if waiting is None or waiting.master_key != shown or call.now - waiting.compared_at >= COMPARED_FOR:
        return None
    first = await call.tx.members.find(waiting.compared_by)
    return waiting if first is not None and first.state == ACTIVE else None


async def _comparison(call: Call, member: Member, shown: str) -> Repin:
    """The comparison by an admin that the caller may confirm; Conflict if there is none."""
    waiting = await _waiting(call, member.user_id, shown)
    if waiting is None or waiting.compared_by == call.who.user_id:
        raise Conflict(
            t("No other person has compared the new identity of {who} yet.", who=named(member)),
            argument="user",
            allowed=t("First an admin does:"),
            example=f"!member verify {member.user_id}",
        )
    return waiting


async def _pin(call: Call, member: Member, waiting: Repin) -> Post:
    """Have the identity count that two people have compared."""
    user, shown = member.user_id, waiting.master_key
    if not await call.tx.repins.take(waiting):
        raise Conflict(
            t("Somebody else has just confirmed it."), argument="user", example=f"!member show {user}"
        )
    await call.tx.members.repin(user, shown, COMPARED, call.now)
    await call.tx.crypto.end_violation(user)
    await record(
        call, user, member.state, member.state, f"{grouped(member.master_key or '')} > {grouped(shown)}"
    )
    said = t("The new identity of {who} is pinned: I take their commands again.", who=named(member))
    both = t("Compared by {first} and {second}", first=waiting.compared_by, second=call.who.user_id)
    return Post(card(line(said), bullet(Code(grouped(shown))), bullet(both)), about=user)


def _asks_for_second(member: Member) -> list[Line]:
    first: Text = t("Noted. A second person must compare it too, within 24 hours:")
    return [
        line(first),
        bullet(t("an admin:"), " ", ToType(f"!member verify {member.user_id}")),
        bullet(t("or a supervisor:"), " ", ToType(f"!member confirm {member.user_id}")),
    ]
