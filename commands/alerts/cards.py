"""The cards of alerts: the standing one, the board by agency, the list, and the lines that ring."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from bot.kernel.card import Block, Card, Line, Strong, bullet, card, line
from bot.kernel.language import Text, ToType, t, tn
from commands.alerts.rules import (
    CORRECTED,
    RAISED,
    UPDATED,
    WITHDRAWN,
    WITHOUT_SUPERVISOR,
    AckPolicy,
    Answer,
    Rung,
    Severity,
    Stand,
    is_refused,
    is_settled,
)
from commands.alerts.views import View
from storage.alerts import ACTIVE, ALL_CLEAR, CANCELLED, EXPIRED, Alert
from storage.transitions import Transition

# A card is at most 12 lines: three of them are its head, one may be the rest.
AGENCIES_ON_CARD = 8

# The words beside the mark say all that the mark says.
_MARKS = {Severity.MINOR: "🟡", Severity.MODERATE: "🟠", Severity.SEVERE: "🔴", Severity.EXTREME: "🚨"}
_CLOSED_MARKS = {CANCELLED: "✖", ALL_CLEAR: "✔", EXPIRED: "⌛"}

_CLOSED = {
    CANCELLED: t("CANCELLED"),
    ALL_CLEAR: t("ALL CLEAR"),
    EXPIRED: t("EXPIRED"),
}

ANSWERS = {
    Answer.ACK.value: t("✔ ack"),
    Answer.ACCEPT.value: t("✔ accepts"),
    Answer.HELP.value: t("✔ needs HELP"),
    Answer.UNABLE.value: t("✖ unable"),
    Answer.DECLINE.value: t("✖ declines"),
}


def title(alert: Alert) -> Text:
    """What an alert says, in one line: `A-1 SEVERE: Bridge closed`, or what has become of it."""
    state = _CLOSED.get(alert.state) or Severity(alert.severity).capitals
    return t("{ref} {state}: {headline}", ref=alert.ref, state=state, headline=alert.headline)


def standing_card(view: View) -> Card:
    """The card that stands in each room of the alert and is kept current by edits."""
    alert = view.alert
    if alert.state != ACTIVE:
        return card(_head(alert), _how_it_ended(view), _raised(view), _agencies(view))
    return card(_head(alert), _raised(view), _what_to_do(view), _agencies(view))


def _head(alert: Alert) -> Line:
    mark = _CLOSED_MARKS.get(alert.state) or _MARKS[Severity(alert.severity)]
    return line(f"{mark} ", Strong(title(alert)))


def _raised(view: View) -> Line:
    alert = view.alert
    who = t("{agency} · {name} · {at}", agency=alert.agency, name=view.name(alert.author), at=alert.raised_at)
    if alert.updated_at == alert.raised_at:
        return line(who)
    return line(who, t(", updated {at}", at=alert.updated_at))


def _what_to_do(view: View) -> Line:
    alert = view.alert
    if alert.policy == AckPolicy.NONE.value:
        return line(t("No answer is asked for."))
    if not any(each.agency != alert.agency for each in view.board):
        return line(t("No other agency is in these rooms: nobody is asked."))
    if is_refused(alert, view.board):
        return line(t("No agency can: call them."))
    if is_settled(alert, view.board):
        if alert.policy == AckPolicy.ANY.value:
            return line(t("It is answered: no other agency need answer."))
        return line(t("Every agency asked has answered."))
    return line(*answer_by(view))


def answer_by(view: View) -> tuple[Text | ToType | str, ...]:
    """By when to answer, and what to type."""
    command = ToType(f"!ack {view.alert.ref}")
    waiting = [each.asked for each in view.board if each.agency in view.silent and each.asked]
    first = min((each.due_at for each in waiting if each.due_at and not each.rung), default=None)
    if first is None:
        return t("The deadline has passed. Answer now:"), " ", command
    if view.alert.policy == AckPolicy.ANY.value:
        return t("One agency must answer by {due}:", due=first), " ", command
    return t("Answer by {due}:", due=first), " ", command


def _how_it_ended(view: View) -> Line:
    alert = view.alert
    was = t("It was {severity}.", severity=view.severity.capitals)
    if alert.state == EXPIRED:
        return line(was, " ", t("Its time was over at {at}.", at=alert.closed_at))
    by = t("{name}, {at}", name=view.name(alert.closed_by), at=alert.closed_at)
    return line(was, " ", by, *([f": {alert.closed_reason}"] if alert.closed_reason else []))


def _agencies(view: View) -> list[Line]:
    if len(view.board) <= AGENCIES_ON_CARD:
        return [bullet(*_stand(view, each)) for each in view.board]
    quiet = view.silent
    answered = [each.agency for each in view.board if each.answer is not None]
    rows = [
        bullet(tn("{count} silent: {agencies}", "{count} silent: {agencies}", len(quiet), agencies=quiet))
    ]
    rows.append(bullet(tn("{count} answered", "{count} answered", len(answered))))
    rows += [bullet(*_stand(view, each)) for each in islice(_needy(view.board), AGENCIES_ON_CARD - 3)]
    return [*rows, line(t("Each agency:"), " ", ToType(f"!alert who {view.alert.ref}"))]


def _needy(board: Sequence[Stand]) -> list[Stand]:
    need = {Answer.HELP.value, Answer.UNABLE.value, Answer.DECLINE.value}
    return [each for each in board if each.answer is not None and each.answer.answer in need]


def _stand(view: View, stand: Stand) -> tuple[Text | str, ...]:
    answer = stand.answer
    if answer is None:
        return (_quiet(view, stand),)
    if answer.answer == RAISED:
        return (t("{agency} raised it", agency=stand.agency),)
    if answer.answer == UPDATED:
        return (t("{agency} updated it", agency=stand.agency),)
    values = {"agency": stand.agency, "answer": ANSWERS[answer.answer], "name": view.name(answer.user_id)}
    said = (
        t("{agency} {answer} · {name} · {at}", at=answer.at, **values)
        if answer.signed
        else t("{agency} {answer}, unsigned · {name} · {at}", at=answer.at, **values)
    )
    return (said, *([f": {answer.reason}"] if answer.reason else []))


def _quiet(view: View, stand: Stand) -> Text:
    asked = stand.asked
    if view.alert.state != ACTIVE:
        return t("{agency} did not answer", agency=stand.agency)
    if stand.agency not in view.silent or asked is None:
        return t("{agency} need not answer", agency=stand.agency)
    if asked.without_supervisor:
        return t("{agency} silent, no supervisor to tell", agency=stand.agency)
    if asked.rung >= 2:
        return t("{agency} silent, supervisors told", agency=stand.agency)
    if asked.rung == 1:
        return t("{agency} silent, asked again", agency=stand.agency)
    return t("{agency} silent", agency=stand.agency)


def board_card(view: View, now: datetime) -> Card:
    """The board by agency: who answered, when, what and why; who is silent, how long, and what is next."""
    return card(_head(view.alert), [bullet(*_stand_now(view, each, now)) for each in view.board])


def _stand_now(view: View, stand: Stand, now: datetime) -> tuple[Text | str, ...]:
    asked = stand.asked
    shown = _stand(view, stand)
    if asked is None:
        return (*shown, t(", not asked: came later"))
    if stand.agency not in view.silent or view.alert.state != ACTIVE:
        return shown
    quiet = t(", for {span}", span=now - asked.asked_at)
    return (*shown, quiet, t(", told again at {at}", at=asked.due_at)) if asked.due_at else (*shown, quiet)


def full_card(view: View, history: Sequence[Transition], names: Mapping[str, str]) -> Card:
    """Everything about an alert: its card, where it went, until when it runs, and what has happened.

    `names` are those of who made it happen. Where each agency stands follows from it, and is not repeated.
    """
    alert = view.alert
    now = _what_to_do(view) if alert.state == ACTIVE else _how_it_ended(view)
    rows: list[Block] = [
        _head(alert),
        _raised(view),
        now,
        *(
            [bullet(t("silent: {agencies}", agencies=view.silent))]
            if view.silent and alert.state == ACTIVE
            else []
        ),
        line(tn("Sent to {count} room.", "Sent to {count} rooms.", len(view.rooms) + len(view.lost))),
    ]
    if alert.state == ACTIVE:
        rows.append(line(t("Ends by itself at {at}.", at=alert.expires_at)))
    return card(rows, [bullet(*_happened(each, names)) for each in history], *lost_rooms(view))


def _happened(transition: Transition, names: Mapping[str, str]) -> tuple[Text | str, ...]:
    part = transition.object.partition("/")[2]
    state = _STEPS[transition.to_state]
    said = t("{at} {state}", at=transition.at, state=state)
    if part:
        said = t("{at} {agency}: {state}", at=transition.at, agency=part, state=state)
    by = [f" · {names[transition.actor]}"] if transition.actor else []
    return (said, *by, *([f": {transition.reason}"] if transition.reason else []))


_STEPS = {
    ACTIVE: t("active"),
    CANCELLED: t("cancelled"),
    ALL_CLEAR: t("all clear"),
    EXPIRED: t("expired"),
    UPDATED: t("updated"),
    CORRECTED: t("corrected"),
    WITHDRAWN: t("took its answer back"),
    Rung.ROOMS.value: t("asked again in the rooms"),
    Rung.SUPERVISORS.value: t("supervisors told"),
    WITHOUT_SUPERVISOR: t("no supervisor to tell"),
    Rung.AUTHOR.value: t("author told that it is still silent"),
    **ANSWERS,
}


def list_card(views: Sequence[View], *, may_raise: bool) -> Card:
    """Active alerts, newest first, with the agencies that owe an answer; without any, how to raise one."""
    if not views:
        how = [line(t("How to raise one:"), " ", ToType("!help alert"))]
        return card(t("No alert is active here."), how if may_raise else [])
    return card([bullet(title(view.alert), " · ", _owing(view)) for view in views])


def _owing(view: View) -> Text:
    if view.silent:
        return t("silent: {agencies}", agencies=view.silent)
    if view.alert.policy == AckPolicy.NONE.value:
        return t("no answer asked for")
    return t("nobody owes an answer")


def lost_rooms(view: View) -> list[Line]:
    """A line that says which rooms of the alert are not reached any more; nothing if all are."""
    if not view.lost:
        return []
    return [line(t("Not reached, I do not serve it any more: {rooms}.", rooms=view.lost))]
