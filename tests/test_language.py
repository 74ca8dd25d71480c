"""Language: each reader's own words, clock and way to write a length of time."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

import pytest

from bot.kernel.language import Language, Named, Voice, t, tn

NOW = datetime(2026, 11, 3, 15, 0, tzinfo=UTC)
EN = Voice(Language.EN, ZoneInfo("America/Toronto"), NOW)
FR = Voice(Language.FR, ZoneInfo("America/Toronto"), NOW)


@pytest.mark.parametrize(
    ("instant", "english", "french"),
    [
        ("2026-11-03T19:30", "14:30 EST (19:30Z)", "14:30 HNE (19:30Z)"),
        ("2026-11-04T04:36", "Tue 23:36 EST (Wed 04:36Z)", "mar. 23:36 HNE (mer. 04:36Z)"),
        ("2026-11-06T04:36", "Thu 5 Nov 23:36 EST (Fri 04:36Z)", "jeu. 5 nov. 23:36 HNE (ven. 04:36Z)"),
        ("2026-11-04T14:00", "Wed 4 Nov 09:00 EST (14:00Z)", "mer. 4 nov. 09:00 HNE (14:00Z)"),
        ("2027-07-01T12:00", "Thu 1 Jul 2027 08:00 EDT (12:00Z)", "jeu. 1 juil. 2027 08:00 HAE (12:00Z)"),
    ],
)
def test_a_moment_is_told_with_zone_and_utc(instant: str, english: str, french: str) -> None:
    meant = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert EN.say(meant) == english
    assert FR.say(meant) == french


@pytest.mark.parametrize(
    ("zone", "english", "french"),
    [
        ("UTC", "15:00 UTC", "15:00 UTC"),
        ("Europe/London", "15:00 GMT", "15:00 GMT"),
        ("Europe/Paris", "16:00 CET (15:00Z)", "16:00 CET (15:00Z)"),
        ("America/Regina", "09:00 CST (15:00Z)", "09:00 HNC (15:00Z)"),
        ("America/Halifax", "11:00 AST (15:00Z)", "11:00 HNA (15:00Z)"),
        ("America/Sao_Paulo", "12:00 UTC-03 (15:00Z)", "12:00 UTC-03 (15:00Z)"),
        ("Asia/Tokyo", "Wed 00:00 JST (Tue 15:00Z)", "mer. 00:00 JST (mar. 15:00Z)"),
    ],
)
def test_a_zone_is_named_as_its_people_do_and_utc_is_added_where_it_differs(
    zone: str, english: str, french: str
) -> None:
    assert Voice(Language.EN, ZoneInfo(zone), NOW).say(NOW) == english
    assert Voice(Language.FR, ZoneInfo(zone), NOW).say(NOW) == french


def test_the_advanced_time_of_the_atlantic_has_the_name_that_is_used_there() -> None:
    summer = datetime(2026, 7, 1, 15, 0, tzinfo=UTC)
    assert Voice(Language.FR, ZoneInfo("America/Halifax"), summer).say(summer) == "12:00 HAA (15:00Z)"


@pytest.mark.parametrize(
    ("length", "english", "french"),
    [
        (timedelta(seconds=45), "45 s", "45 s"),
        (timedelta(minutes=10), "10 min", "10 min"),
        (timedelta(hours=2, minutes=5), "2 h 05", "2 h 05"),
        (timedelta(days=3, hours=4), "3 d 4 h", "3 j 4 h"),
        (timedelta(seconds=-5), "0 s", "0 s"),
    ],
)
def test_a_length_of_time_is_cut_to_what_matters(length: timedelta, english: str, french: str) -> None:
    assert EN.say(length) == english
    assert FR.say(length) == french


def test_values_within_texts_are_said_as_well() -> None:
    class Colour(Enum):
        RED = "red"

    inner = t("{a} and {b}", a=Colour.RED, b=[1, "two"])
    assert EN.say(t("It is {inner}", inner=inner)) == "It is red and 1, two"


def test_a_count_decides_the_form() -> None:
    texts = [EN.say(tn("{count} agency", "{count} agencies", count)) for count in (0, 1, 2)]
    assert texts == ["0 agencies", "1 agency", "2 agencies"]


def test_a_name_of_its_own_in_french_is_used() -> None:
    name = Named("severity", "gravité")
    assert (EN.say(name), FR.say(name)) == ("severity", "gravité")
