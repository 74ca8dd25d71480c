"""What people type: commands in both languages, and the operator's configuration."""

import tempfile
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.config import load
from bot.kernel.arguments import Reader
from bot.kernel.card import card, render
from bot.kernel.errors import NotUnderstood
from bot.kernel.language import Language, Voice, t
from bot.kernel.vocabulary import Ref
from bot.runtime.dispatcher import complete
from bot.runtime.incoming import words_of
from bot.runtime.lines import command_start
from bot.runtime.matching import Parsed
from bot.runtime.parser import Table
from bot.runtime.refusal import Asked, refused
from bot.toml_file import ConfigError
from commands import CAPABILITIES
from tests.fakes import NOON
from tests.fuzz.mutation import Choices
from tests.story import BOT
from tests.toys import toys

LONGEST_LINE = 2000  # characters
MEMBERS = {"@anna:rcmp.example": "Anna", "@bob:cbp.example": "Lt Bob", "@eve:elsewhere.example": None}
ZONES = ("America/Toronto", "UTC", "Pacific/Auckland", "America/St_Johns")


@cache
def table() -> Table:
    """Every command of the bot, and the toys of its tests."""
    return complete((*CAPABILITIES, toys))[1]


def command(raw: bytes) -> None:
    """A line; the first byte chooses language, zone and what is replied to."""
    choices = Choices(raw[:1])
    chosen = choices.below(16)
    language = (Language.EN, Language.FR)[chosen % 2]
    zone = ZoneInfo(ZONES[chosen // 2 % 4])
    reply = Ref("A-1") if chosen > 7 else None
    typed = words_of({"body": raw[1:].decode("utf-8", errors="ignore")[:LONGEST_LINE]})
    start = command_start(typed, "!", (BOT, "Tandem", "tandem"))
    if start is None:
        return
    reader = Reader(NOON, zone, MEMBERS, reply, language)
    try:
        parsed = table().parse(typed, start, reader)
    except NotUnderstood as error:
        shown = refused(error, Asked(typed, start, "!", reader), table())
    else:
        shown = card(t("Understood: {what}", what=_values(parsed)))
    render(shown, Voice(language, ZoneInfo(ZONES[chosen % 4]), NOON))


def _values(parsed: Parsed) -> tuple[object, ...]:
    """Every argument, and the moments that follow from it."""
    return (*parsed.positional, *parsed.named.values())


def pill(raw: bytes) -> None:
    """A body and its HTML, as clients name people in them; any text, quickly."""
    text = raw.decode("utf-8", errors="ignore")
    body, _, html = text.partition("\n")
    words_of({"body": body, "formatted_body": html * (1 + len(html) % 7), "reply_to": "$card"})


@cache
def _folder() -> Path:
    made = tempfile.TemporaryDirectory(prefix="fuzz-")
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def config(raw: bytes) -> None:
    """A configuration file: settings, or one line that says what is wrong."""
    path = _folder() / "config.toml"
    path.write_bytes(raw)
    try:
        load(path, {})
    except ConfigError as error:
        str(error)
