"""Typed lines: quotes within quotes are read as they were meant, and a long line is answered at once."""

from datetime import UTC

import pytest

from bot.kernel import clock
from bot.kernel.arguments import Reader
from bot.kernel.card import render
from bot.kernel.errors import BotError
from bot.kernel.language import Language, Voice
from bot.kernel.words import nearest, quoted
from bot.kernel.zones import zone_named
from bot.runtime.dispatcher import complete
from bot.runtime.lines import Typed, caret, command_start
from bot.runtime.parser import LONGEST
from bot.runtime.refusal import Asked, correction, refused
from commands import CAPABILITIES
from tests.alert_scene import set_scene
from tests.fakes import NOON
from tests.story import Story

_, TABLE = complete(CAPABILITIES)
READER = Reader(NOON, UTC)
NAMES = ["@tandem:agency.example", "Tandem", "tandem"]
LONG = 20_000  # characters, of the 64 KiB that an event may have


def answered(typed: str) -> str | None:
    """The whole answer to a line that is refused; None if it is not, or no command."""
    start = command_start(typed, "!", NAMES)
    if start is None:
        return None
    try:
        TABLE.parse(typed, start, READER)
    except BotError as error:
        voice = Voice(Language.EN, READER.zone, NOON)  # type: ignore[arg-type]
        return render(refused(error, Asked(typed, start, "!", READER), TABLE), voice)[0].body
    return None


@pytest.mark.parametrize("length", [LONGEST - 100, LONG])
@pytest.mark.parametrize(
    ("begin", "again", "end"),
    [
        ("!", "a", ""),
        ("!tz ", "a", ""),
        ('!alert severe "', "a", '" bogus=1'),
        ("!alert severe x in=", "9", ""),
        ("!alert severe x to=", "a,", ""),
        ("!ack A-1 ", "'a ", ""),
        ("!help ", '"a" ', ""),
        ("!ack A-1 ", '"a ', ""),
        ("!ack A-1 ", "a=b ", ""),
        ("!alert red", "a\u0301\u0323", ""),
        ("@tandem", " ", "."),
        ("!", "\u200b", "."),
    ],
)
def test_a_long_line_is_answered_at_once(begin: str, again: str, end: str, length: int) -> None:
    typed = begin + again * (length // len(again)) + end
    begun = clock.monotonic()
    answered(typed)
    assert clock.monotonic() - begun < 2


def test_a_long_word_is_near_to_nothing() -> None:
    begun = clock.monotonic()
    assert nearest("a" * LONG, ["alert", "ack"] * 1000) is None
    with pytest.raises(BotError, match="I know no zone"):
        zone_named("a" * LONG, "zone")
    assert len(caret("x" * LONG, (5, LONG - 5)).split("\n")[0]) <= 46
    assert clock.monotonic() - begun < 2


def test_a_command_that_is_too_long_says_so_and_how_to_be_brief() -> None:
    typed = f'!alert severe "{"a" * LONGEST}"'
    said = answered(typed) or ""
    assert said.startswith(f"A command has at most {LONGEST} characters, not {len(typed) - 1}.\n")
    assert said.endswith("Nothing was changed. Try:\n!help alert")
    assert answered(typed[: LONGEST + 1] + '"') is not None
    assert answered(f'!alert severe "{"a" * (LONGEST - 20)}"') is None


async def test_the_bot_goes_on_at_once_after_a_long_line(story: Story) -> None:
    scene = await set_scene(story)
    begun = clock.monotonic()
    assert "at most" in await scene.anna.says(scene.ops, "!tz " + "a" * LONG)
    assert clock.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("“He said “go” and left”", "He said “go” and left"),
        ('"He said "go" and left"', 'He said "go" and left'),
        ('"Ferry "Ann""', 'Ferry "Ann"'),
        ("« Il a dit « oui » hier »", "Il a dit « oui » hier"),
        ('"Depth 5" and 6""', "Depth 5"),
        ('"He said "go and left" to=ops', 'He said "go and left'),
        ('"Bridge closed"to=ops', "Bridge closed"),
        ('"Bridge closed"!', "Bridge closed"),
        ('"Bridge closed" "and open"', "Bridge closed"),
        (r'"Ferry \"Ann\" lost"', 'Ferry "Ann" lost'),
        (quoted('Ferry "Ann" is “lost” ″'), 'Ferry "Ann" is “lost” ″'),
        (quoted("back\\"), "back\\"),
    ],
)
def test_a_quotation_within_a_quotation_belongs_to_it(typed: str, text: str) -> None:
    assert Typed(typed).words[0].text == text


def test_a_quotation_that_is_never_closed_keeps_its_words() -> None:
    typed = '!alert severe "He said “go” and left to=ops'
    start = command_start(typed, "!", NAMES)
    with pytest.raises(BotError) as caught:
        TABLE.parse(typed, start or 0, READER)
    mended = correction(caught.value, Asked(typed, start or 0, "!", READER), TABLE)
    assert TABLE.parse(mended, 1, READER).named["headline"] == "He said “go” and left"
    assert mended.endswith(" to=ops")


@pytest.mark.parametrize("key", ["à=marine", "a\u0300=marine", "À=marine", "to=marine"])
def test_a_key_may_have_its_accent_as_a_character_of_its_own(key: str) -> None:
    parsed = TABLE.parse(f"!alerte grave Pont fermé {key}", 1, READER)
    assert parsed.named["to"] == ("marine",)
    assert parsed.named["headline"] == "Pont fermé"
