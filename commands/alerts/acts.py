"""What the commands of alerts have in common: whom to ring, what to write down."""

from collections.abc import Sequence

from bot.kernel.vocabulary import Call
from commands.alerts.views import View, present
from storage.alerts import Alert, Answered
from storage.members import Member
from storage.rooms import Room
from storage.transaction import Transaction
from storage.transitions import Transition


async def rung_in(tx: Transaction, view: View, room: Room) -> tuple[str, ...]:
    """Those present whose agency is asked; an agency that has spoken need not be rung."""
    there: Sequence[Member] = await present(tx, [room.room_id])
    return tuple(member.user_id for member in there if member.agency in view.silent)


async def speak(call: Call, alert: Alert, word: str) -> None:
    """Who speaks has answered: her agency's word stands on the board."""
    spoken = Answered(
        round=alert.round,
        agency=call.who.agency,
        user_id=call.who.user_id,
        answer=word,
        reason=None,
        signed=True,
        at=call.now,
        event_id=call.event_id,
    )
    await call.tx.alerts.answer(alert.number, spoken)


async def note(call: Call, alert: Alert, before: str | None, after: str, reason: str | None = None) -> None:
    """Write a change of state down, with who made it and on which device."""
    await call.tx.transitions.add(
        Transition(
            alert.ref, before, after, call.now, call.who.user_id, call.device_id, reason, call.event_id
        )
    )
