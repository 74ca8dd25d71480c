"""A typed line cut into words, with what telephones do to text undone and each word's place kept."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, takewhile

from bot.kernel.errors import NotUnderstood
from bot.kernel.language import t
from bot.kernel.words import quoted

# Which quotes close which; telephones curl them, French ones point inwards.
_CLOSERS = {
    '"': '"”“″',
    "“": '”"“',
    "”": '”"',
    "„": '“”"',
    "‟": '”"',
    "«": "»",
    "″": '″"',
    "‘": "’'",
    "'": "'’",
}
_SINGLE = "‘'"
_DOUBLE = re.compile(r'(?<!\\)["“”„‟«»″]')
_SINGLE_CLOSER = re.compile(r"(?<!\\)['’](?=[\s,;.]|$)")
_PAIRS = ("“”", "«»")  # whoever typed these knew which is which
_AFTER = frozenset(" \t\n,;.!?:)")  # what may follow a quote that closes
_NAME = r"[^\W\d](?:[\w-]|[\u0300-\u036f])*"  # some telephones send an accent as a character of its own
_KEY = re.compile(rf"[-‐‑–—−]{{0,2}}({_NAME})=")
_NEXT_KEY = re.compile(rf"\s+{_NAME}=")
_CONTROLS = frozenset(each for each in map(chr, (*range(0x20), *range(0x7F, 0xA0))) if not each.isspace())
_INVISIBLE = (
    frozenset("\u00ad\u061c\u200b\u200e\u200f\ufeff\ufff9\ufffa\ufffb")
    | frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2060, 0x2070))))
    | _CONTROLS
)
_GAP = rf"[\s{''.join(sorted(_INVISIBLE))}]*"
_JOINERS = "\u200c\u200d"  # part of emoji and of some scripts; noise between plain letters


@dataclass(frozen=True)
class Word:
    """A word, or quoted text, at `start`..`end` of what was typed; `key` if it was `key=` before it.

    `opens` is where the key, the quote or the word begins, `closes` where the quote or the word ends.
    """

    text: str
    start: int
    end: int
    opens: int
    closes: int
    quoted: bool = False
    key: str | None = None


class Typed:
    """What was typed: `plain` without what telephones add, its words, and the text below the first line."""

    def __init__(self, original: str, start: int = 0) -> None:
        """Cut `original` from `start` on; NotUnderstood for a quote that is never closed."""
        self.original = original
        kept = [(place, _plain(each)) for place, each in enumerate(original) if _is_kept(original, place)]
        self.plain = "".join(each for _, each in kept)
        self._places = [place for place, _ in kept] + [len(original)]
        self._at = next((at for at, place in enumerate(self._places) if place >= start), len(self.plain))
        self.words: list[Word] = []
        self._apostrophes = False
        self._cut()
        self.body = self.plain[self._at :].strip()
        below = len(self.plain) - len(self.plain[self._at :].lstrip())
        self.body_start = self._places[min(below, len(self.plain))]

    def text(self, start: int, end: int) -> str:
        """The plain text between two places of the original."""
        return self.plain[bisect_left(self._places, start) : bisect_left(self._places, end)].strip()

    @property
    def end(self) -> int:
        """Where the last word ends."""
        return self.words[-1].closes if self.words else len(self.original.split("\n")[0])

    def _cut(self) -> None:
        while self._at < len(self.plain):
            each = self.plain[self._at]
            if each == "\n":
                break
            if each.isspace():
                self._at += 1
            else:
                self.words.append(self._word())

    def _word(self) -> Word:
        begin = self._at
        key = _KEY.match(self.plain, begin)
        if key and key.end() < len(self.plain) and not self.plain[key.end()].isspace():
            self._at = key.end()
        name = key[1] if key else None
        if key and self._at == begin:  # `key=` with nothing at once behind it
            self._at = key.end()
            return self._made("", self._at, self._at, begin, name=name)
        quoted = self._quoted(begin, name)
        if quoted:
            return quoted
        start = self._at
        while self._at < len(self.plain) and not self.plain[self._at].isspace():
            self._at += 1
        return self._made(self.plain[start : self._at], start, self._at, begin, name=name)

    def _quoted(self, begin: int, name: str | None) -> Word | None:
        start = self._at
        opener = self.plain[start]
        if opener not in _CLOSERS:
            return None
        close = self._single(start + 1) if opener in _SINGLE else self._closing(start + 1, _CLOSERS[opener])
        if close is None:
            if opener in _SINGLE:  # an apostrophe
                return None
            raise self._unclosed(start)
        self._at = close + 1
        text = re.sub(r'\\(["“”″])', r"\1", self.plain[start + 1 : close]).strip()
        return self._made(text, start + 1, close, begin, quoted=True, name=name)

    def _single(self, at: int) -> int | None:
        """Where a single quote closes in this line; once there is none, there is none further on either."""
        if self._apostrophes:
            return None
        line = self.plain.find("\n", at)
        close = _SINGLE_CLOSER.search(self.plain, at, line if line >= 0 else len(self.plain))
        self._apostrophes = close is None
        return close.start() if close else None

    def _closing(self, at: int, closers: str) -> int | None:
        """Where text in quotes ends. Quotes within it come in pairs; if not, it ends at the last one."""
        within: list[re.Match[str]] = []
        paired: set[int] = set()
        for found in _DOUBLE.finditer(self.plain, at):
            each, place = found.group(), found.start()
            if each in closers and self._is_end(place):
                if not within:
                    return place
                opener = within.pop()
                paired |= {opener.start(), place} if opener.group() + each in _PAIRS else set()
            elif each in _CLOSERS and self._is_within(place):
                within.append(found)
        key = _NEXT_KEY.search(self.plain, at)
        until = key.start() if key else len(self.plain)
        places = [each.start() for each in _DOUBLE.finditer(self.plain, at, until) if each.group() in closers]
        alone = [place for place in places if place not in paired]
        return next(filter(self._is_end, reversed(alone)), alone[-1] if alone else None)

    def _is_end(self, place: int) -> bool:
        return place + 1 == len(self.plain) or self.plain[place + 1] in _AFTER

    def _is_within(self, place: int) -> bool:
        """Whether a quote opens there: French ones always do, others if they stand between space and word."""
        before, after = self.plain[place - 1], self.plain[place + 1 : place + 2]
        return self.plain[place] == "«" or (before.isspace() or before in "([") and not after.isspace()

    def _unclosed(self, start: int) -> NotUnderstood:
        line_end = self.plain.find("\n", start)
        line_end = len(self.plain) if line_end == -1 else line_end
        rest = self.plain[start + 1 : line_end]
        key = _NEXT_KEY.search(rest)
        text, after = (rest[: key.start()], rest[key.start() :]) if key else (rest, "")
        said = t("A quotation mark was opened and never closed")
        error = NotUnderstood(said, instead=f"{quoted(text.strip())}{after}")
        error.span = (self._places[start], self._places[line_end])
        return error

    def _made(
        self, text: str, start: int, end: int, begin: int, *, quoted: bool = False, name: str | None = None
    ) -> Word:
        places = self._places
        closes = places[self._at - 1] + 1 if self._at else 0
        first = places[start - 1] + 1 if quoted else places[start]  # what is invisible may follow the quote
        return Word(text, first, max(closes - quoted, first), places[begin], closes, quoted, name)


def command_start(body: str, prefix: str, names: Iterable[str]) -> int | None:
    """Where the command begins behind the prefix, or behind the bot's name; None if it is no command."""
    at = next((place for place, each in enumerate(body) if not each.isspace() and each not in _INVISIBLE), 0)
    if "".join(map(_plain, body[at : at + len(prefix)])) == prefix:
        after = at + len(prefix)
        return after if re.compile(rf"{_GAP}[^\W_]").match(body, after) else None
    for name in sorted(names, key=len, reverse=True):
        # A bare name calls only with a colon or comma behind it: `tandem bikes` is chatter.
        bare = "" if name.startswith("@") else "@"
        called = re.match(
            rf"(?:{bare}{re.escape(name)}(?::(?!\S)|,)?\s|{re.escape(name)}(?::(?!\S)|,)\s)\s*+"
            rf"(?:{re.escape(prefix)})?\s*+(?=\w)",
            body[at:],
            re.IGNORECASE,
        )
        if called:
            return at + called.end()
    return None


def caret(original: str, span: tuple[int, int], wide: int = 44) -> str:
    """The line with a caret under the span; of a long line what stands about it, to fit a telephone."""
    start, end = span
    begin = original.rfind("\n", 0, min(start, len(original))) + 1
    line = original[begin:].split("\n")[0]
    start, end = start - begin, min(max(end - begin, start - begin + 1), max(len(line), start - begin + 1))
    before, marked, after = (_shown(each) for each in (line[:start], line[start:end], line[end:]))
    if width(before + marked + after) > wide:
        marked = _clipped(marked, wide // 2)
        room = wide - width(marked)
        left = before if width(before) <= room // 2 else "…" + _tail(before, max(room // 2 - 1, 0))
        before, after = left, _clipped(after, room - width(left))
    return f"{before}{marked}{after}\n{' ' * width(before)}{'^' * max(width(marked), 1)}"


def width(text: str) -> int:
    """How many columns the text takes in a fixed-width font."""
    return sum(_columns(each) for each in text)


def _columns(each: str) -> int:
    if unicodedata.combining(each) or unicodedata.category(each) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(each) in "WF" else 1


def _shown(text: str) -> str:
    """As it can stand in one line: tabs are spaces, what is invisible is gone."""
    return "".join(" " if each.isspace() else each for each in text if each not in _INVISIBLE)


def _clipped(text: str, columns: int) -> str:
    if width(text) <= columns:
        return text
    return text[: _fitting(text, columns - 1)] + "…"


def _tail(text: str, columns: int) -> str:
    return text[len(text) - _fitting(text[::-1], columns) :]


def _fitting(text: Iterable[str], columns: int) -> int:
    """How many characters from its beginning fit into so many columns."""
    wide = accumulate(map(_columns, text))
    return sum(1 for _ in takewhile(lambda taken: taken <= columns, wide))


def _plain(each: str) -> str:
    if "！" <= each <= "～":  # full-width forms
        return chr(ord(each) - 0xFEE0)
    if each in "\r\u2028\u2029\x0b\x0c":
        return "\n"
    return " " if each != "\n" and each.isspace() else each


def _is_kept(text: str, place: int) -> bool:
    each = text[place]
    if each == "\r" and text[place + 1 : place + 2] == "\n":
        return False
    if each in _JOINERS:
        around = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
        return len(around) == 2 and not any(side.isascii() for side in around)
    return each not in _INVISIBLE
