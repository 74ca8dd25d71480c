"""What the commands of alerts have in common: whom to ring, what to write down."""

from collections.abc import Sequence
from datetime import datetime

from bot.kernel.card import Card, card
from bot.kernel.errors import NotAllowed, NotUnderstood
from bot.kernel.language import t
from bot.kernel.vocabulary import Attachment, Call, Post, Role, Said, agencies_with, speaks_for
from bot.kernel.words import quoted
from commands.alerts.rules import rested, resumed
from commands.alerts.views import View, is_shown_here, present, view_of
from storage.alerts import Alert, Answered
from storage.members import Member
from storage.rooms import Room
from storage.transaction import Transaction
from storage.transitions import Transition

LONGEST_REASON = 200


def agency_of(call: Call, role: Role, named: str | None) -> str:
    """The agency for which the caller speaks in this role here; BotError if she has to say which."""
    held = agencies_with(call.grants, role, call.room.room_id)
    meant = named and named.strip().upper()
    agency = speaks_for(call.who.agency, held, meant)
    if agency is not None:
        return agency
    allowed = t("You may speak for {agencies}.", agencies=held)
    if meant:
        own = speaks_for(call.who.agency, held) or held[0]
        said = t("You may not speak for {agency} here.", agency=meant)
        raise NotAllowed(said, argument="for_", allowed=allowed, instead=own)
    said = t("You are {role} for several agencies: say for which one.", role=role)
    raise NotUnderstood(said, argument="for_", allowed=allowed, instead=f"for={held[0]}")


def checked_reason(typed: str | None, argument: str) -> str | None:
    """A reason in one line, None without words; NotUnderstood if it is too long."""
    said = " ".join(typed.split()) if typed else ""
    if len(said) <= LONGEST_REASON:
        return said or None
    raise NotUnderstood(
        t("The reason has {count} characters.", count=len(said)),
        argument=argument,
        allowed=t("It takes up to {count} characters, in quotes.", count=LONGEST_REASON),
        instead=quoted(said[:LONGEST_REASON].rstrip()),
    )


async def rung_in(tx: Transaction, view: View, room: Room) -> tuple[str, ...]:
    """Those present whose agency is asked; an agency that has spoken need not be rung."""
    there: Sequence[Member] = await present(tx, [room.room_id])
    return tuple(member.user_id for member in there if member.agency in view.silent)


async def speak(call: Call, alert: Alert, word: str) -> None:
    """The agency of the alert has spoken, not answered: its word stands on the board."""
    spoken = Answered(
        round=alert.round,
        agency=alert.agency,
        user_id=call.who.user_id,
        answer=word,
        reason=None,
        signed=True,
        at=call.now,
        event_id=call.event_id,
    )
    await call.tx.alerts.answer(alert.number, spoken)


async def told(call: Call, alert: Alert, shown: Card, file: Attachment | None = None) -> list[Said]:
    """Here, if the room may read it; otherwise to her alone."""
    if await is_shown_here(call, alert):
        return [Post(shown, about=alert.ref, attachment=file)]
    here = card(t("{ref} is an alert of other rooms. I have written to you directly.", ref=alert.ref))
    return [Post(shown, to_user=call.who.user_id, about=alert.ref, attachment=file), here]


async def note(call: Call, alert: Alert, before: str | None, after: str, reason: str | None = None) -> None:
    """Write a change of state down, with who made it and on which device."""
    await call.tx.transitions.add(
        Transition(
            alert.ref, before, after, call.now, call.who.user_id, call.device_id, reason, call.event_id
        )
    )


async def reckoned(tx: Transaction, before: View, now: datetime) -> View:
    """The alert after answers changed: who owes none any more has no deadline, who owes again has one."""
    alert, after = before.alert, await view_of(tx, before.alert)
    unasked = [each.asked for each in after.board if each.asked is not None and each.answer is None]
    freed = [rested(each) for each in unasked if each.agency in set(before.silent) - set(after.silent)]
    owing = [each for each in unasked if each.agency in set(after.silent) - set(before.silent)]
    if not freed and not owing:
        return after
    await tx.alerts.ask(alert.number, [*freed, *(resumed(each, alert.patience, now) for each in owing)])
    return await view_of(tx, alert)
