"""Texts in English and French: written in English where they are said, rendered for who reads them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, get_timezone_name
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po


class Language(Enum):
    """A language that every text exists in; the value is its ISO 639-1 code."""

    EN = "en"
    FR = "fr"


@dataclass(frozen=True)
class Text:
    """A sentence in English with `{named}` places, and what goes into them; translated when rendered.

    Values are texts, strings (never translated), numbers, instants or durations. With `many`, `one` is
    the singular and `count` decides.
    """

    one: str
    values: Mapping[str, Any] = field(default_factory=dict)
    many: str | None = None
    count: int = 1


def t(template: str, **values: Any) -> Text:
    """A text to be translated; `template` must be a literal, it is collected into the catalogue."""
    return Text(template, values)


def tn(one: str, many: str, count: int, **values: Any) -> Text:
    """A text whose form depends on `count`, which is also the value `{count}`."""
    return Text(one, {"count": count, **values}, many, count)


@dataclass(frozen=True)
class Named:
    """A name that differs between the languages and is in no catalogue, as of a parameter or an agency."""

    english: str
    french: str


@dataclass(frozen=True)
class ToType:
    """A command that the reader may type: written in English with `!`, read as it works where it is read."""

    command: str | Named


Spelling = Callable[[str, Language, str], str]


def _in_english(command: str, language: Language, prefix: str) -> str:
    return prefix + command.removeprefix("!")


@dataclass(frozen=True)
class Voice:
    """How to speak to a reader: in which language, with the clock of which zone, at what instant.

    `prefix` begins a command where it is read; `spelled` puts a command's words into a language.
    """

    language: Language
    zone: ZoneInfo
    now: datetime
    prefix: str = "!"
    spelled: Spelling = _in_english

    def say(self, value: Any) -> str:
        """Any value as the reader reads it."""
        match value:
            case Text():
                template = _template(self.language, value)
                return template.format(**{name: self.say(each) for name, each in value.values.items()})
            case ToType():
                return self.spelled(self.say(value.command), self.language, self.prefix)
            case Named():
                return value.french if self.language is Language.FR else value.english
            case datetime():
                return self.moment(value)
            case timedelta():
                return self.span(value)
            case Enum():
                return self.say(getattr(value, "label", value.value))
            case tuple() | list():
                return ", ".join(self.say(each) for each in value)
            case _:
                return str(value)

    def moment(self, instant: datetime) -> str:
        """`14:30 EST (19:30Z)`; a day that is not today in the reader's zone is named, one of UTC too."""
        local, utc = instant.astimezone(self.zone), instant.astimezone(_UTC)
        today = self.now.astimezone(self.zone).date()
        clock = f"{local:%H:%M} {self._zone_name(local)}"
        if local.utcoffset():
            other = "" if utc.date() == local.date() else f"{self._day(utc, 'EEE')} "
            clock = f"{clock} ({other}{utc:%H:%MZ})"
        if local.date() != today:
            return (
                f"{self._day(local, 'EEE d MMM' if local.year == today.year else 'EEE d MMM yyyy')} {clock}"
            )
        return clock if utc.date() == local.date() else f"{self._day(local, 'EEE')} {clock}"

    def _day(self, moment: datetime, pattern: str) -> str:
        return format_datetime(moment, pattern, locale=self.language.value)

    def _zone_name(self, local: datetime) -> str:
        """`EST`, in French `HNE`: the short name, where people have one, else the distance from UTC."""
        zone = local.strftime("%Z")
        if zone[:1] in "+-":
            return f"UTC{zone}"
        if self.language is Language.FR:
            # Only Canadian French has short names, for zones of North America; HEA stands in CLDR alone.
            french = get_timezone_name(local, width="short", locale="fr_CA").replace("HEA", "HAA")
            return french if re.fullmatch(r"H[AN][A-Z]", french) else zone
        return zone

    def span(self, length: timedelta) -> str:
        """`45 s`, `10 min`, `2 h 05`, `3 d 4 h`: never negative, cut to what matters."""
        seconds = max(int(length.total_seconds()), 0)
        days, hours, minutes = seconds // 86400, seconds % 86400 // 3600, seconds % 3600 // 60
        day = "j" if self.language is Language.FR else "d"
        if days:
            return f"{days} {day} {hours} h" if hours else f"{days} {day}"
        if hours:
            return f"{hours} h {minutes:02}" if minutes else f"{hours} h"
        return f"{minutes} min" if minutes else f"{seconds} s"


_UTC = ZoneInfo("UTC")


@cache
def catalogue(language: Language) -> Catalog:
    """The messages of a language; English has none of its own."""
    if language is Language.EN:
        return Catalog(locale="en")
    stored = files("bot.kernel").joinpath("locale", f"{language.value}.po").read_bytes()
    return read_po(BytesIO(stored), locale=language.value)


def _template(language: Language, text: Text) -> str:
    entry = catalogue(language).get(text.one)
    forms = entry.string if entry is not None and entry.string else (text.one, text.many or text.one)
    if isinstance(forms, str):
        return forms
    # French counts 0 and 1 as singular, English only 1.
    singular = text.count == 1 or (language is Language.FR and text.count == 0)
    return (forms[0] if singular else forms[1]) or text.one


def french_of(template: str) -> str | None:
    """The French of a literal, None where the catalogue lacks it."""
    entry = catalogue(Language.FR).get(template)
    return None if entry is None or not entry.string else str(entry.string)
