"""Arguments: what officers type for each type, and what is refused with what instead."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.kernel.arguments import Parameter, Reader, parameters, read
from bot.kernel.errors import NotUnderstood
from bot.kernel.language import Language, t
from bot.kernel.moments import read_moment, read_span
from bot.kernel.vocabulary import AlertRef, Call, Moment, Prefix, Quoted, Ref, Rest, Span, Until, UserId
from bot.kernel.words import distance, folded, nearest
from bot.runtime.usage import usage

TORONTO = ZoneInfo("America/Toronto")
NOW = datetime(2026, 11, 3, 15, 0, tzinfo=UTC)  # Tuesday, 10:00 in Toronto


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [
        ("90m", 90),
        ("90 min", 90),
        ("2h", 120),
        ("1h30", 90),
        ("1 h 30", 90),
        ("1h 30m", 90),
        ("1,5 h", 90),
        ("1.5h", 90),
        ("1d", 24 * 60),
        ("1 j", 24 * 60),
        ("3 jours", 3 * 24 * 60),
        ("2 weeks", 14 * 24 * 60),
        ("45 MINUTES", 45),
    ],
)
def test_a_span_is_read(typed: str, minutes: int) -> None:
    assert read_span(typed) == timedelta(minutes=minutes)


@pytest.mark.parametrize("typed", ["10", "h", "-5m", "10x", "2d30", "", "m10", "999999999d", "1h30h30"])
def test_what_is_no_span_is_not_guessed_at(typed: str) -> None:
    assert read_span(typed) is None


@pytest.mark.parametrize(
    ("typed", "utc"),
    [
        ("14:30", "2026-11-03 19:30"),
        ("14h30", "2026-11-03 19:30"),
        ("14 h 30", "2026-11-03 19:30"),
        ("2:30 pm", "2026-11-03 19:30"),
        ("2pm", "2026-11-03 19:00"),
        ("12am", "2026-11-03 05:00"),
        ("noon", "2026-11-03 17:00"),
        ("midi", "2026-11-03 17:00"),
        ("0900", "2026-11-03 14:00"),
        ("1430Z", "2026-11-03 14:30"),
        ("14:30 Z", "2026-11-03 14:30"),
        ("14:30 ET", "2026-11-03 19:30"),
        ("14:30 HNE", "2026-11-03 19:30"),
        ("14:30 edt", "2026-11-03 18:30"),
        ("14:30 PT", "2026-11-03 22:30"),
        ("14:30 UTC-5", "2026-11-03 19:30"),
        ("14:30-05:00", "2026-11-03 19:30"),
        ("14:30 America/Regina", "2026-11-03 20:30"),
        ("tomorrow 09:00", "2026-11-04 14:00"),
        ("tomorrow 0630", "2026-11-04 11:30"),
        ("tomorrow at 09:00", "2026-11-04 14:00"),
        ("demain 9h", "2026-11-04 14:00"),
        ("demain à 9 h", "2026-11-04 14:00"),
        ("09:00 tomorrow", "2026-11-04 14:00"),
        ("fri 0900", "2026-11-06 14:00"),
        ("ven 9h", "2026-11-06 14:00"),
        ("vendredi 9 h 15", "2026-11-06 14:15"),
        ("tue 14:00", "2026-11-03 19:00"),
        ("tue 09:00", "2026-11-10 14:00"),
        ("tue 10 nov 09:00", "2026-11-10 14:00"),
        ("2026-11-03T14:30", "2026-11-03 19:30"),
        ("2026-11-03 14:30", "2026-11-03 19:30"),
        ("2026-11-03T14:30Z", "2026-11-03 14:30"),
        ("3 Apr 14:30", "2027-04-03 18:30"),
        ("Apr 3 14:30", "2027-04-03 18:30"),
        ("3 avril 2027 14 h 30", "2027-04-03 18:30"),
        ("1er mai 9h", "2027-05-01 13:00"),
        ("+90m", "2026-11-03 16:30"),
        ("in 1h30", "2026-11-03 16:30"),
        ("dans 90 min", "2026-11-03 16:30"),
        ("now", "2026-11-03 15:00"),
        ("2026-11-01T01:30", "2026-11-01 05:30"),  # the fold: first of the two
    ],
)
def test_a_moment_is_read_in_the_speakers_zone(typed: str, utc: str) -> None:
    assert read_moment(typed, NOW, TORONTO) == instant(utc)


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("14:30 CST", "14:30 CT"),
        ("14:30 ist", "14:30 Asia/Kolkata"),
        ("13/04/2026 14:00", "13 Apr 2026 14:00"),
        ("3/25 14:00", "25 Mar 14:00"),
        ("04.04.2026 14:00", "4 Apr 2026 14:00"),
        ("tomorrow 9", "tomorrow 09:00"),
        ("fri", "fri 09:00"),
        ("tomorrow midnight", "tomorrow 23:59"),
        ("wed 3 nov 14:00", "2026-11-03 14:00"),
        ("2027-03-14T02:30", "2027-03-14T03:30"),  # the gap
    ],
)
def test_what_could_be_misread_is_refused_with_a_reading_that_cannot(typed: str, instead: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        read_moment(typed, NOW, TORONTO)
    assert refused.value.instead == instead
    assert read_moment(instead, NOW, TORONTO) is not None


@pytest.mark.parametrize("typed", ["03/04/2026 14:00", "03.04.2026", "3/4 14:00"])
def test_of_two_readings_of_a_date_none_is_proposed(typed: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        read_moment(typed, NOW, TORONTO)
    assert refused.value.asks
    assert refused.value.instead is None


@pytest.mark.parametrize(
    "typed", ["Bridge", "9", "2400", "25:00", "14:61", "14:30 et", "14:30 at", "mar 10:00", "10 Downing", ""]
)
def test_what_is_no_moment_is_not_guessed_at(typed: str) -> None:
    assert read_moment(typed, NOW, TORONTO) is None


@pytest.mark.parametrize(
    "typed",
    ["9999-12-31 23:59 PT", "0001-01-01 00:00 Asia/Kathmandu", "9999-12-31T23:59", "0001-01-01 00:00+14:00"],
)
def test_a_moment_beyond_the_calendar_is_no_day(typed: str) -> None:
    with pytest.raises(NotUnderstood, match="no such day"):
        read_moment(typed, NOW, TORONTO)


@given(st.text(max_size=30))
def test_no_text_breaks_the_clock(typed: str) -> None:
    with suppress(NotUnderstood):
        found = read_moment(typed, NOW, TORONTO)
        assert found is None or found.tzinfo is UTC


@given(st.timedeltas(timedelta(), timedelta(days=2000)))
def test_a_full_date_and_time_comes_back_as_it_was_typed(later: timedelta) -> None:
    meant = (NOW + later).replace(second=0, microsecond=0)
    assert read_moment(f"{meant:%Y-%m-%dT%H:%M}Z", NOW, TORONTO) == meant


class Level(Enum):
    LOW = "low"
    VERY_HIGH = "very_high"

    @property
    def label(self) -> object:
        return {Level.LOW: t("low"), Level.VERY_HIGH: t("very high")}[self]


async def everything(
    call: Call,
    level: Level,
    ref: AlertRef,
    label: Quoted,
    optional: str | None = None,
    *,
    in_: Span = timedelta(minutes=10),
    at: Moment | None = None,
    who: UserId | None = None,
    many: tuple[str, ...] = (),
    count: int = 1,
    loud: bool = False,
    until: Until | None = None,
) -> None:
    """One parameter of each type."""


GRAMMAR = {each.name: each for each in parameters(everything, {"level": "niveau"})}
PEOPLE = {
    "@roy:rcmp.example": "Sgt Émile Roy",
    "@cho:cbp.example": "Lt Cho",
    "@roy:opp.example": "Cst Roy",
    "@anna:opp.example": None,
}
READER = Reader(NOW, TORONTO, PEOPLE)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("level", "low", Level.LOW),
        ("level", "LOW", Level.LOW),
        ("level", "very-high", Level.VERY_HIGH),
        ("level", "very–high", Level.VERY_HIGH),
        ("ref", "A-142", "A-142"),
        ("ref", "a142", "A-142"),
        ("ref", "A142", "A-142"),
        ("ref", "A–142", "A-142"),
        ("ref", "a 142", "A-142"),
        ("ref", "142", "A-142"),
        ("ref", "#142", "A-142"),
        ("ref", "A-0142", "A-142"),
        ("in_", "10m", timedelta(minutes=10)),
        ("at", "14:30", instant("2026-11-03 19:30")),
        ("who", "@roy:rcmp.example", "@roy:rcmp.example"),
        ("who", "@new:cbsa.example", "@new:cbsa.example"),
        ("who", "@cho", "@cho:cbp.example"),
        ("who", "Lt Cho", "@cho:cbp.example"),
        ("who", "@new:cbsa.example,", "@new:cbsa.example"),
        ("who", "@new:cbsa.example:8448", "@new:cbsa.example:8448"),
        ("who", "@new:[2001:db8::1]:8448", "@new:[2001:db8::1]:8448"),
        ("who", "sgt emile roy", "@roy:rcmp.example"),
        ("many", "ops, marine", ("ops", "marine")),
        ("many", "ops", ("ops",)),
        ("many", "ops,,marine,", ("ops", "marine")),
        ("until", "2027-01-01", "2027-01-01"),
        ("until", "tomorrow 14:00", "tomorrow 14:00"),
        ("count", "12", 12),
        ("count", "１２", 12),
        ("loud", "oui", True),
        ("loud", "off", False),
    ],
)
def test_a_word_is_read_as_its_type(name: str, typed: str, value: Any) -> None:
    assert read(GRAMMAR[name], typed, READER) == value


@pytest.mark.parametrize(
    ("name", "typed", "instead"),
    [
        ("level", "lo", "low"),
        ("level", "vrey_high", "very_high"),
        ("level", "red", None),
        ("ref", "M-17", "A-17"),
        ("ref", "bridge", None),
        ("in_", "10", "10m"),
        ("in_", "soon", None),
        ("who", "@roy", "@roy:rcmp.example"),
        ("who", "@chp", "@cho:cbp.example"),
        ("who", "zzzzzz", None),
        ("who", "@new:cbsa_example", None),
        ("who", "@new:cbsa.example/x", None),
        ("who", f"@{'é' * 130}:cbsa.example", None),
        ("in_", "90000", None),
        ("in_", "9" * 5000, None),
        ("many", "", ""),
        ("many", " , ", ""),
        ("until", "tomorrow perhaps", None),
        ("count", "two", None),
        ("loud", "perhaps", "yes"),
    ],
)
def test_a_word_that_is_not_of_its_type_is_refused(name: str, typed: str, instead: str | None) -> None:
    with pytest.raises(NotUnderstood) as refused:
        read(GRAMMAR[name], typed, READER)
    assert refused.value.argument == name
    assert refused.value.instead == instead


def test_a_signature_is_a_grammar() -> None:
    shown = [usage(each, Language.EN) for each in GRAMMAR.values()]
    assert " ".join(shown) == (
        'LEVEL A-1 "LABEL" [OPTIONAL] [in=10m] [at=14:30] [who=@name] [many=MANY] [count=2] [loud=yes]'
        " [until=90d]"
    )
    assert usage(GRAMMAR["level"], Language.FR) == "NIVEAU"
    assert GRAMMAR["level"].is_called("Niveau")


def test_a_type_that_nobody_can_type_is_refused_when_it_is_declared() -> None:
    async def handler(call: Call, what: bytes) -> None: ...

    with pytest.raises(TypeError, match="nobody can type"):
        parameters(handler)


def test_words_of_a_signature_have_their_kind() -> None:
    async def handler(
        call: Call, ref: Annotated[Ref, Prefix("M")] | None, *words: str, rest: Rest
    ) -> None: ...

    ref, words, rest = parameters(handler)
    assert (ref.letter, ref.required) == ("M", True)
    assert isinstance(words, Parameter)
    assert (words.many, words.required) == (True, False)
    assert rest.keyword


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [("", "", 0), ("sevre", "severe", 1), ("serevs", "serves", 1), ("red", "rd", 1)],
)
def test_swapped_neighbours_are_one_slip(one: str, other: str, apart: int) -> None:
    assert distance(one, other) == apart


@given(st.text(max_size=12), st.text(max_size=12))
def test_distance_is_the_same_from_both_ends(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)


def test_a_short_word_must_be_nearer() -> None:
    assert nearest("no", ["yes", "to"]) == "to"
    assert nearest("a", ["b"]) is None
    assert nearest("évère", ["severe", "moderate"]) == "severe"
    assert folded("Modérée–1") == "moderee-1"
