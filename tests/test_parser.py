"""The parser: what telephones make of a command is read as it was meant; what is wrong is pointed at."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.kernel.arguments import Reader
from bot.kernel.errors import NotUnderstood
from bot.kernel.vocabulary import Capability, Ref
from bot.runtime.lines import Typed, caret, command_start, width
from bot.runtime.matching import Parsed
from bot.runtime.parser import Table, UnknownNoun
from bot.runtime.refusal import Asked, correction
from tests.toys import Answered, Size, toys

NOW = datetime(2026, 11, 3, 15, 0, tzinfo=UTC)
READER = Reader(NOW, ZoneInfo("America/Toronto"), {"@cho:cbp.example": "Lt Cho"})
TABLE = Table(toys.commands)


def parse(typed: str, reply: str | None = None) -> Parsed:
    reader = Reader(READER.now, READER.zone, READER.members, Ref(reply) if reply else None)
    start = command_start(typed, "!", ["Tandem", "@tandem:agency.example"])
    assert start is not None
    return TABLE.parse(typed, start, reader)


def error_in(typed: str) -> NotUnderstood | None:
    try:
        TABLE.parse(typed, 1, READER)
    except NotUnderstood as error:
        return error
    return None


def refused(typed: str, reply: str | None = None) -> NotUnderstood:
    with pytest.raises(NotUnderstood) as caught:
        parse(typed, reply)
    return caught.value


BALL = {"size": Size.SMALL, "label": "Red ball"}


@pytest.mark.parametrize(
    "typed",
    [
        '!toy small "Red ball"',
        "!toy small Red ball",
        "!TOY Small “Red ball”",
        "!toy small „Red ball“",
        "!toy small ”Red ball”",
        "!toy small «\u00a0Red ball\u00a0»",
        "!toy small «\u202fRed ball\u202f»",
        "!toy small ‘Red ball’",
        "!toy small 'Red ball'",
        "!toy\u00a0small\u00a0Red ball",
        "！ｔｏｙ small “Red ball”",
        "!\u200btoy small\ufeff Red ball",
        "!toy small \x07Red\x1b ba\x9bll\x00",
        '!toy\x08 small "\u202eRed \u2066ball\x7f\u206a\ufff9"',
        "! toy small Red ball",
        "  !toy   small   Red ball  ",
        "!jouet small Red ball",
        "Tandem: toy small Red ball",
        "Tandem, toy small Red ball",
        "@Tandem !toy small Red ball",
        "@tandem:agency.example: toy small Red ball",
        "@tandem:agency.example toy small Red ball",
        "!toy size=small Red ball",
    ],
)
def test_what_telephones_do_to_a_command_changes_nothing(typed: str) -> None:
    assert parse(typed).named == BALL


@pytest.mark.parametrize(
    ("typed", "more"),
    [
        ("!toy small Red ball to=ops", {"to": ("ops",)}),
        ("!toy to=ops,marine small Red ball", {"to": ("ops", "marine")}),
        ("!toy small to=ops Red ball", {"to": ("ops",)}),
        ("!toy small Red ball to = ops", {"to": ("ops",)}),
        ("!toy small Red ball to= ops", {"to": ("ops",)}),
        ("!toy small Red ball to =ops", {"to": ("ops",)}),
        ("!toy small Red ball —to=ops", {"to": ("ops",)}),
        ("!toy small Red ball --to=ops", {"to": ("ops",)}),
        ('!toy small "Red ball" to="ops"', {"to": ("ops",)}),
        ("!toy small Red ball in=10m", {"in_": timedelta(minutes=10)}),
        ("!toy small Red ball in=1 h 30", {"in_": timedelta(minutes=90)}),
        ("!toy small Red ball dans=10m", {"in_": timedelta(minutes=10)}),
        (
            "!toy small Red ball at=tomorrow 09:00 count=2",
            {"at": datetime(2026, 11, 4, 14, 0, tzinfo=UTC), "count": 2},
        ),
        ("!toy small Red ball at=demain 9 h", {"at": datetime(2026, 11, 4, 14, 0, tzinfo=UTC)}),
        ("!toy small Red ball wrapped=oui", {"wrapped": True}),
    ],
)
def test_names_come_anywhere(typed: str, more: dict[str, Any]) -> None:
    assert parse(typed).named == BALL | more


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("!toy small l'alerte d’hier", "l'alerte d’hier"),
        ("!toy small 'tis the season", "'tis the season"),
        ('!toy small "say \\"halt\\" once"', 'say "halt" once'),
        ('!toy small Vessel "Marie" adrift', 'Vessel "Marie" adrift'),
        ("!toy small “Vessel «Marie» adrift”", "Vessel «Marie» adrift"),
        ("!toy small Pont fermé – voie nord", "Pont fermé – voie nord"),
        ("!toy small see https://port.example/?id=7", "see https://port.example/?id=7"),
        ("!toy small Bridge closed\nUse the north lane", "Bridge closed\nUse the north lane"),
        ('!toy small "Bridge\nclosed"', "Bridge\nclosed"),
        ('!toy small "Bridge closed"\n\nUse the north lane', "Bridge closed\nUse the north lane"),
        ("!toy small 👩‍👩‍👧 lost", "👩‍👩‍👧 lost"),
    ],
)
def test_free_text_stays_as_it_was_written(typed: str, label: str) -> None:
    assert parse(typed).named["label"] == label


@pytest.mark.parametrize(
    ("typed", "reply", "named"),
    [
        ("!toy show T-1", None, {"toy": "T-1"}),
        ("!toy show t1", None, {"toy": "T-1"}),
        ("!toy show", "T-7", {"toy": "T-7"}),
        ("!toy show T-1", "T-7", {"toy": "T-1"}),
        ("!play", "T-7", {"toy": "T-7"}),
        ("!play", None, {}),
        ("!play T-1 unable", None, {"toy": "T-1", "answer": Answered.UNABLE}),
        ("!play unable", "T-7", {"toy": "T-7", "answer": Answered.UNABLE}),
        ('!play T-1 "no crew"', None, {"toy": "T-1", "why": "no crew"}),
        ("!play T-1 unable no crew", None, {"toy": "T-1", "answer": Answered.UNABLE, "why": "no crew"}),
        ("!play T-1 cannot", None, {"toy": "T-1", "answer": Answered.UNABLE}),
        ("!play T-1 no crew", None, {"toy": "T-1", "answer": Answered.UNABLE, "why": "no crew"}),
        ("!play unable T-1", None, {"toy": "T-1", "answer": Answered.UNABLE}),
        ("!play unable T-1", "T-7", {"toy": "T-1", "answer": Answered.UNABLE}),
        ("!play unable as T-1", "T-7", {"toy": "T-7", "answer": Answered.UNABLE, "why": "as T-1"}),
        ("!play unable no crew T-1", None, {"toy": "T-1", "answer": Answered.UNABLE, "why": "no crew"}),
        ('!play "no crew" T-1', None, {"toy": "T-1", "why": "no crew"}),
        ('!play unable "no crew"', "T-7", {"toy": "T-7", "answer": Answered.UNABLE, "why": "no crew"}),
        ("!note T-1 any = thing to=x goes", None, {"toy": "T-1", "text": "any = thing to=x goes"}),
        ("!note T-1 first\nsecond\nthird", None, {"toy": "T-1", "text": "first\nsecond\nthird"}),
        ("!give @cho T-1", None, {"whom": "@cho:cbp.example", "toy": "T-1"}),
        ("!give Lt Cho T-1", None, {"whom": "@cho:cbp.example", "toy": "T-1"}),
    ],
)
def test_optional_words_find_their_places(typed: str, reply: str | None, named: dict[str, Any]) -> None:
    assert parse(typed, reply).named == named


def test_many_words_are_a_tuple() -> None:
    assert parse("!tag T-1 red large round").positional == ("T-1", "red", "large", "round")
    assert parse("!tag T-1").positional == ("T-1",)


def test_the_longest_spelling_wins() -> None:
    assert parse("!toy show T-1").command.path == ("toy", "show")
    assert parse("!jouet montrer T-1").command.path == ("toy", "show")
    assert parse("!toy small show").command.path == ("toy",)


@pytest.mark.parametrize(
    ("typed", "under", "corrected"),
    [
        ("!toy smal Red ball", "smal", "!toy small Red ball"),
        ('!toy red "Ball"', "red", "!help"),
        ('!toy "Ball"', "", "!help"),
        ("!toy big T-1", "big", "!toy show T-1"),
        ("!toy smal T-1", "smal", "!help"),
        ("!play T-1 soon", "soon", "!help"),
        ("!play T-1 unabel", "unabel", "!play T-1 unable"),
        ("!play T-1 yes but cannot", "cannot", "!help"),
        ("!toy shw T-1", "shw", "!toy show T-1"),
        ("!toi small Ball", "toi", "!toy small Ball"),
        ("!toy small", "", '!toy small "…"'),
        ("!toy", "", "!help"),
        ("!toy small Ball tp=ops", "tp=", "!toy small Ball to=ops"),
        ("!toy small Ball colour=red", "colour=red", "!toy small Ball"),
        ("!toy small Ball to=ops to=marine", "to=marine", "!toy small Ball to=ops"),
        ("!toy small Ball in=10", "10", "!toy small Ball in=10m"),
        ("!toy small Ball in=soon", "soon", "!toy small Ball in=5m"),
        ("!toy small Ball at=14:30 CST", "14:30 CST", "!toy small Ball at=14:30 CT"),
        ("!toy small Ball at=03/04/2026 14:00", "03/04/2026 14:00", "!help"),
        ("!toy small Ball at=13/04/2026 14:00", "13/04/2026 14:00", "!toy small Ball at=13 Apr 2026 14:00"),
        ('!toy small "Ball', '"Ball', '!toy small "Ball"'),
        ("!toy small “Red ball to=ops", "“Red ball to=ops", '!toy small "Red ball" to=ops'),
        ('!toy small "Red" ball', "ball", '!toy small "Red ball"'),
        ("!toy smal Ball tp=ops in=10", "smal", "!toy small Ball to=ops in=10m"),
        ("!toy show A-1", "A-1", "!toy show T-1"),
        ("!toy show T-1 T-2", "T-2", "!toy show T-1"),
        ("!toy show T-1\n!toy show T-2", "!toy show T-2", "!toy show T-1"),
        ("!give @chp T-1", "@chp", "!give @cho:cbp.example T-1"),
        ("!box", "box", "!box open"),
        ("!box opne", "opne", "!box open"),
        ("!zzzzzzzz", "zzzzzzzz", "!help"),
    ],
)
def test_the_first_thing_wrong_is_pointed_at_and_mended(typed: str, under: str, corrected: str) -> None:
    error = refused(typed)
    assert error.span is not None
    assert typed[error.span[0] : error.span[1]] == under
    assert correction(error, Asked(typed, 1, "!", READER), TABLE) == corrected


def test_a_reply_to_another_kind_of_card_is_no_reference() -> None:
    assert "You replied to" in refused("!toy show", "A-7").said.one


def test_a_noun_that_is_unknown_is_told_apart_from_a_verb_that_is() -> None:
    assert isinstance(refused("!lunch anyone"), UnknownNoun)
    assert not isinstance(refused("!box lunch"), UnknownNoun)


@pytest.mark.parametrize(
    "chat",
    ["hello", "!", "!!!", "! ", "!?", "well!done", "tandem bikes", "@tandemly yours", "Tandem", "…", ""],
)
def test_chat_is_not_a_command(chat: str) -> None:
    assert command_start(chat, "!", ["Tandem"]) is None


def test_two_commands_of_one_name_are_refused_when_they_are_declared() -> None:
    other = Capability("other")
    with pytest.raises(ValueError, match="two commands are called"):
        Table([*toys.commands, *toys.commands, *other.commands])


WORDS = st.sampled_from(
    [
        "small",
        "smal",
        "T-1",
        "A-9",
        "ball",
        '"red ball"',
        '"red',
        "to=ops",
        "tp=x",
        "in=10",
        "in=",
        "at=fri",
        "'",
        "=",
        "«",
        "»",
        "“a”",
        "at=14:30",
        "CST",
        "show",
        "x=y",
        "\n",
        "–",
        "count=two",
        "@cho",
        "10m",
        "9",
    ]
)


@given(
    st.sampled_from(["!toy", "!toy show", "!play", "!note", "!give", "!tag", "!box", "!zzz"]), st.lists(WORDS)
)
def test_whatever_is_refused_its_correction_is_accepted(command: str, words: list[str]) -> None:
    typed = " ".join([command, *words])
    error = error_in(typed)
    if error is not None:
        assert error.span is None or 0 <= error.span[0] <= error.span[1] <= len(typed)
        mended = correction(error, Asked(typed, 1, "!", READER), TABLE)
        assert mended.split()[0] == "!help" or TABLE.parse(mended, 1, READER)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    typed = "!toy " + text
    error = error_in(typed)
    assert error is None or error.span is None or caret(typed, error.span)


@given(st.text(max_size=200), st.integers(0, 200), st.integers(0, 30))
def test_a_caret_stands_under_what_is_shown_and_fits_a_telephone(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    shown, _, marks = caret(text, (start, min(start + length, len(text)))).partition("\n")
    assert "\n" not in shown
    assert "\n" not in marks
    assert width(shown) <= 46
    assert set(marks.strip()) == {"^"}


@pytest.mark.parametrize(
    ("typed", "span", "shown"),
    [
        ("!toy smal", (5, 9), "!toy smal\n     ^^^^"),
        ("!toy", (4, 4), "!toy\n    ^"),
        ("!玩具 x", (4, 5), "!玩具 x\n      ^"),
        ("!e\u0301te\u0301 x", (7, 8), "!e\u0301te\u0301 x\n     ^"),
        ("one\n!toy smal", (9, 13), "!toy smal\n     ^^^^"),
    ],
)
def test_a_caret_counts_columns_not_characters(typed: str, span: tuple[int, int], shown: str) -> None:
    assert caret(typed, span) == shown


def test_of_a_long_line_a_caret_shows_what_stands_about_it() -> None:
    typed = "!toy small " + "very " * 20 + "long tp=ops " + "and more " * 10
    at = typed.index("tp=")
    shown, marks = caret(typed, (at, at + 3)).split("\n")
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert shown[marks.index("^") : marks.rindex("^") + 1] == "tp="


def test_new_lines_and_the_joiners_of_scripts_and_emoji_are_kept() -> None:
    joined = "👩\u200d✈️ نمی\u200cخواهم"
    assert parse(f"!toy small {joined}\n\x07below\x1b").named["label"] == f"{joined}\nbelow"


def test_the_line_about_a_caret_has_nothing_that_a_terminal_obeys() -> None:
    assert caret("!toy \x1b[31mhuge", (5, 14)) == "!toy [31mhuge\n     ^^^^^^^^"


def test_words_keep_their_places_in_what_was_typed() -> None:
    typed = "\u200b!toy\u00a0\u200bsmall «\u202fRed ball\u202f» to=“ops”"
    places = [(word.text, typed[word.opens : word.closes]) for word in Typed(typed, 2).words]
    assert places == [
        ("toy", "toy"),
        ("small", "small"),
        ("Red ball", "«\u202fRed ball\u202f»"),
        ("ops", "to=“ops”"),
    ]


@pytest.mark.parametrize("typed", ["9999-12-31 23:59", "0001-01-01 00:00", "0001-01-01 00:00 +14:00"])
def test_the_ends_of_the_calendar_are_no_days(typed: str) -> None:
    """They have no instant in every zone."""
    assert refused(f'!toy small "Red ball" at="{typed}"').argument == "at"


def test_a_length_of_thousands_of_digits_is_refused_like_any_other() -> None:
    """Python itself does not read such a number."""
    assert refused(f'!toy small "Red ball" in={"9" * 5000}').instead is None
