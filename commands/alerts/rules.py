"""The rules of alerts: who is silent, when the next rung is due, what may be raised. Pure."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from bot.kernel.language import Text, t
from storage.alerts import ACTIVE, Alert, Answered, Asked


class Severity(Enum):
    """CAP 1.2, element severity; `Unknown` cannot be raised by hand. The later, the worse."""

    MINOR = "minor"
    MODERATE = "moderate"
    SEVERE = "severe"
    EXTREME = "extreme"

    @property
    def label(self) -> Text:
        """As it is typed."""
        return _SEVERITIES[self][0]

    @property
    def capitals(self) -> Text:
        """As a card shows it, to be read at a glance."""
        return _SEVERITIES[self][1]


_SEVERITIES = {
    Severity.MINOR: (t("minor"), t("MINOR")),
    Severity.MODERATE: (t("moderate"), t("MODERATE")),
    Severity.SEVERE: (t("severe"), t("SEVERE")),
    Severity.EXTREME: (t("extreme"), t("EXTREME")),
}


class AckPolicy(Enum):
    """Who must answer: nobody, any one of the agencies asked, or each of them."""

    NONE = "none"
    ANY = "any"
    EACH_AGENCY = "each"

    @property
    def label(self) -> Text:
        """As it is typed."""
        return _POLICIES[self]

    @property
    def also(self) -> tuple[str, ...]:
        """What else is understood."""
        return {"each": ("every", "chaque"), "none": ("aucun",), "any": ("one", "un")}[self.value]


_POLICIES = {AckPolicy.NONE: t("none"), AckPolicy.ANY: t("any"), AckPolicy.EACH_AGENCY: t("each")}


class Answer(Enum):
    """What an agency may say to an alert; each is an answer, so that nobody asks it again."""

    ACK = "ack"
    ACCEPT = "accept"
    HELP = "help"
    UNABLE = "unable"
    DECLINE = "decline"

    @property
    def label(self) -> Text:
        """As it is typed."""
        return _ANSWERS[self]

    @property
    def also(self) -> tuple[str, ...]:
        """What officers type for it in a hurry: a call for help must not be read as a remark."""
        words = _PLAIN_WORDS.get(self, ())
        return (*words, *(f"{who} {each}" for who in ("i", "we") for each in words))


_ANSWERS = {
    Answer.ACK: t("ack"),
    Answer.ACCEPT: t("accept"),
    Answer.HELP: t("help"),
    Answer.UNABLE: t("unable"),
    Answer.DECLINE: t("decline"),
}


_PLAIN_WORDS = {
    Answer.ACK: ("ok", "okay", "yes", "roger", "copy", "oui", "reçu", "👍", "✅", "✔"),
    Answer.HELP: ("need help", "needs help", "send help", "sos", "mayday", "besoin d'aide", "🆘"),
    Answer.UNABLE: ("no", "cannot", "can not", "can't", "cant", "not able", "unavailable", "impossible")
    + ("negative", "non", "❌"),
}


class Rung(Enum):
    """Who is told when an agency is silent at its deadline."""

    ROOMS = "rooms"
    SUPERVISORS = "supervisors"
    AUTHOR = "author"


# What stands for an answer of the agency that speaks, not asks.
RAISED, UPDATED = "raised", "updated"

# A step in the record of an alert: other words for the same, so that nobody is asked anew.
CORRECTED = "corrected"

# Steps in the record of an agency that are neither an answer nor a rung.
SILENT, WITHDRAWN, WITHOUT_SUPERVISOR = "silent", "withdrawn", "without_supervisor"

# These say that an agency has it in hand: what `ack=any` waits for.
TAKEN = frozenset({Answer.ACK.value, Answer.ACCEPT.value, Answer.HELP.value})

LADDER = (Rung.ROOMS, Rung.SUPERVISORS, Rung.AUTHOR)

# Extreme and severe: the house's own measure. Moderate goes with urgency Expected, "within the next hour"
# (CAP 1.2, urgency): the whole ladder, 30 + 15 + 7.5 min, ends inside that hour. Minor goes with urgency
# Future: the ladder, 2 h + 1 h + 30 min, ends inside one shift.
PATIENCE = {
    Severity.MINOR: timedelta(hours=2),
    Severity.MODERATE: timedelta(minutes=30),
    Severity.SEVERE: timedelta(minutes=10),
    Severity.EXTREME: timedelta(minutes=5),
}
SHORTEST_WAIT = timedelta(minutes=1)
LONGEST_PATIENCE = timedelta(hours=24)

# The house's own measure: an alert that nobody closes must not stay on the list for ever.
LIFETIME = {
    Severity.MINOR: timedelta(hours=72),
    Severity.MODERATE: timedelta(hours=24),
    Severity.SEVERE: timedelta(hours=8),
    Severity.EXTREME: timedelta(hours=4),
}

LONGEST_HEADLINE = 160  # CAP 1.2, headline: 160 characters as a useful limit
SAME_WITHIN = timedelta(minutes=10)
LATE_AFTER = timedelta(minutes=1)


@dataclass(frozen=True)
class Stand:
    """Where an agency stands: the answer that counts for it, None while it is silent.

    `asked` is None for an agency that answered without being asked, since it came later.
    """

    agency: str
    asked: Asked | None
    answer: Answered | None


def stands(alert: Alert, asked: Iterable[Asked], answers: Sequence[Answered]) -> list[Stand]:
    """Where each agency stands in the alert's present round: those asked, then those who came later."""
    present = [each for each in answers if each.round == alert.round and each.withdrawn_at is None]
    board = [Stand(each.agency, each, counting(present, each.agency)) for each in asked]
    known = {each.agency for each in board}
    later = sorted({each.agency for each in present} - known)
    return board + [Stand(agency, None, counting(present, agency)) for agency in later]


def counting(answers: Sequence[Answered], agency: str) -> Answered | None:
    """The one of its answers that counts: the last signed one; without any, the last unsigned one."""
    own = [each for each in answers if each.agency == agency]
    signed = [each for each in own if each.signed]
    best = signed or own
    return best[-1] if best else None


def silent(alert: Alert, board: Sequence[Stand]) -> list[Stand]:
    """The agencies that still owe an answer: none if none is wanted, or if one was and it is there."""
    policy = AckPolicy(alert.policy)
    if policy is AckPolicy.NONE or (policy is AckPolicy.ANY and _is_taken(alert, board)):
        return []
    return [each for each in board if each.asked is not None and each.answer is None]


def _others(alert: Alert, board: Sequence[Stand]) -> list[Stand]:
    """All but the agency that asks: it cannot answer itself."""
    return [each for each in board if each.agency != alert.agency]


def _is_taken(alert: Alert, board: Sequence[Stand]) -> bool:
    return any(each.answer is not None and each.answer.answer in TAKEN for each in _others(alert, board))


def is_settled(alert: Alert, board: Sequence[Stand]) -> bool:
    """Whether others were asked and have answered: each of them or, with `any`, one that takes it on."""
    if alert.policy == AckPolicy.ANY.value:
        return _is_taken(alert, board)
    asks = alert.policy != AckPolicy.NONE.value and bool(_others(alert, board))
    return asks and not silent(alert, board)


def is_refused(alert: Alert, board: Sequence[Stand]) -> bool:
    """Whether one agency was to take it on, and each of those asked has said that it does not."""
    others = _others(alert, board)
    is_open = alert.policy == AckPolicy.ANY.value and not _is_taken(alert, board)
    return is_open and bool(others) and not silent(alert, board)


def due(alert: Alert, board: Sequence[Stand], now: datetime) -> list[Asked]:
    """The agencies whose next rung is due: silent in an alert that is not over, and past their deadline."""
    if alert.state != ACTIVE or now >= alert.expires_at:
        return []
    waiting = (each.asked for each in silent(alert, board))
    return [each for each in waiting if each is not None and each.due_at is not None and each.due_at <= now]


def next_deadline(patience: timedelta, rung: int, now: datetime) -> datetime:
    """When this rung runs out: the patience, halved per rung, never under a minute."""
    return now + max(patience / (1 << rung), SHORTEST_WAIT)


def climbed(asked: Asked, patience: timedelta, now: datetime, *, reached: bool) -> Asked:
    """One rung up. Where nobody could be reached, the next one is due at once."""
    rung = asked.rung + 1
    if rung >= len(LADDER):
        return replace(asked, rung=rung, due_at=None)
    return replace(asked, rung=rung, due_at=next_deadline(patience, rung, now) if reached else now)


def rested(asked: Asked) -> Asked:
    """Off the ladder, where it stands: nothing is owed, so nothing falls due."""
    return replace(asked, due_at=None)


def resumed(asked: Asked, patience: timedelta, now: datetime) -> Asked:
    """On the ladder again, where it was, after an answer was taken back; with a minute to give another."""
    rung = min(asked.rung, len(LADDER) - 1)
    # Off the ladder the deadline was forgotten: the first one can be told again, later ones cannot.
    due_at = asked.due_at or (next_deadline(patience, 0, asked.asked_at) if rung == 0 else now)
    return replace(asked, rung=rung, due_at=max(due_at, now + SHORTEST_WAIT))


def asked_anew(
    agency: str, patience: timedelta, now: datetime, policy: AckPolicy = AckPolicy.EACH_AGENCY
) -> Asked:
    """An agency at the foot of the ladder; off it where nobody is asked."""
    asked = Asked(agency, asked_at=now, rung=0, due_at=next_deadline(patience, 0, now))
    return rested(asked) if policy is AckPolicy.NONE else asked


def expires_at(severity: Severity, patience: timedelta, now: datetime) -> datetime:
    """The severity's lifetime from now; never before the whole ladder could be climbed."""
    end = now
    for rung in range(len(LADDER)):
        end = next_deadline(patience, rung, end)
    return max(now + LIFETIME[severity], end)


def is_patience(span: timedelta) -> bool:
    """Whether a first deadline may be this far off: one minute to 24 hours."""
    return SHORTEST_WAIT <= span <= LONGEST_PATIENCE


def is_late(due_at: datetime, now: datetime) -> bool:
    """Whether something due then and done now must be marked as late."""
    return now - due_at > LATE_AFTER


def may_answer_unsigned(severity: Severity) -> bool:
    """Whether a reaction may count: a homeserver can forge one, so never for severe and extreme."""
    return severity in (Severity.MINOR, Severity.MODERATE)


def folded(headline: str) -> str:
    """A headline without what does not change its meaning: case, width, spaces and punctuation.

    Signs (`<`, `+`, 🔥) mean something and stay; a headline of nothing but punctuation stays as it is.
    """
    plain = unicodedata.normalize("NFKC", headline).casefold()
    words = "".join(" " if unicodedata.category(each)[0] in "PZ" else each for each in plain)
    return " ".join(words.split()) or headline.strip()


def same_as(
    headline: str, room_ids: Iterable[str], earlier: Iterable[tuple[Alert, Sequence[str]]]
) -> Alert | None:
    """The earlier alert that says the same to all of these rooms."""
    wanted = set(room_ids)
    for alert, its_rooms in earlier:
        if folded(alert.headline) == folded(headline) and wanted <= set(its_rooms):
            return alert
    return None


def shortened(headline: str) -> str:
    """The headline cut after the last whole word that fits; within a word where there is none."""
    if len(headline) <= LONGEST_HEADLINE:
        return headline
    cut = headline[: LONGEST_HEADLINE + 1]
    words = cut[: cut.rfind(" ")] if " " in cut.strip() else cut[:LONGEST_HEADLINE]
    return words.rstrip(" ,;:-–—")
