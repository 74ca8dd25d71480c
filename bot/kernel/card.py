"""Cards: one document tree, rendered to a plain body and to the HTML that officers' clients show."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from bot.kernel.language import Text, ToType, Voice, t

MAX_LINES = 12
MAX_BYTES = 32 * 1024  # an event is at most 64 KiB (Matrix spec, size limits); encrypted, with body and HTML
_CUT = "…"


@dataclass(frozen=True)
class Strong:
    """Bold."""

    content: "Inline"


@dataclass(frozen=True)
class Code:
    """Words to be compared letter by letter, never translated; a command of ours is a `ToType`."""

    content: str


@dataclass(frozen=True)
class Mention:
    """A person, named so that her client rings; `name` is what is shown."""

    user_id: str
    name: str | None = None


Inline = str | Text | ToType | Strong | Code | Mention


@dataclass(frozen=True)
class Line:
    """One line; a `bullet` stands in a list."""

    parts: tuple[Inline, ...]
    bullet: bool = False


@dataclass(frozen=True)
class Pre:
    """Lines whose columns matter, as under a caret."""

    text: str


Block = Line | Pre


@dataclass(frozen=True)
class Card:
    """What the bot says: blocks from top to bottom, the first one the sentence that matters."""

    blocks: tuple[Block, ...]

    def mentioned(self) -> list[str]:
        """The user ids that are to be rung, in order, each once."""
        lines = (block for block in self.blocks if isinstance(block, Line))
        found = (part.user_id for line in lines for part in line.parts if isinstance(part, Mention))
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Rendered:
    """A page of a card: `body` is complete without `html`."""

    body: str
    html: str


def line(*parts: Inline) -> Line:
    """A line of text."""
    return Line(parts)


def bullet(*parts: Inline) -> Line:
    """A line in a list."""
    return Line(parts, bullet=True)


def card(*blocks: Block | Text | str | Iterable[Block]) -> Card:
    """A card of blocks; a bare text is a line, an iterable of blocks is spread."""
    spread: list[Block] = []
    for block in blocks:
        if isinstance(block, str | Text):
            spread.append(Line((block,)))
        elif isinstance(block, Line | Pre):
            spread.append(block)
        else:
            spread.extend(block)
    return Card(tuple(spread))


def render(shown: Card, *voices: Voice) -> list[Rendered]:
    """The card's pages, at most MAX_LINES lines and MAX_BYTES each.

    Voices stand one below another, and each page says the same in all of them.
    """
    told = [[row for block in shown.blocks for row in _rows(block, voice)] for voice in voices]
    pages = _pages(list(zip(*told, strict=True)))
    if len(pages) == 1:
        return [_join(_stacked(pages[0]))]
    return [
        _join([*_stacked(page), *([_more(number, len(pages), voices[0])] if number < len(pages) else [])])
        for number, page in enumerate(pages, start=1)
    ]


@dataclass(frozen=True)
class _Row:
    body: str
    html: str
    kind: str


_Page = list[tuple[_Row, ...]]  # each row in every voice


def _rows(block: Block, voice: Voice) -> list[_Row]:
    if isinstance(block, Pre):
        return [_Row(each, escape(each, quote=False), "pre") for each in block.text.split("\n")]
    body = "".join(_plain(part, voice) for part in block.parts)
    html = "".join(_html(part, voice) for part in block.parts).replace("\n", "<br>")
    return [_Row(f"• {body}" if block.bullet else body, html, "bullet" if block.bullet else "line")]


def _plain(part: Inline, voice: Voice) -> str:
    match part:
        case Strong():
            return _plain(part.content, voice)
        case Code():
            return part.content
        case Mention():
            return part.name or part.user_id
        case _:
            return voice.say(part)


def _html(part: Inline, voice: Voice) -> str:
    match part:
        case Strong():
            return f"<strong>{_html(part.content, voice)}</strong>"
        case Code():
            return f"<code>{escape(part.content, quote=False)}</code>"
        case ToType():
            return f"<code>{escape(voice.say(part), quote=False)}</code>"
        case Mention():
            shown = escape(part.name or part.user_id, quote=False)
            return f'<a href="https://matrix.to/#/{escape(part.user_id)}">{shown}</a>'
        case _:
            return escape(voice.say(part), quote=False)


def _more(number: int, of: int, voice: Voice) -> _Row:
    text = voice.say(
        t("Page {number} of {of}. Next: {command}", number=number, of=of, command=ToType("!more"))
    )
    return _Row(text, escape(text, quote=False), "line")


def _stacked(page: _Page) -> list[_Row]:
    return [row for voice in zip(*page, strict=True) for row in voice]


def _pages(rows: _Page) -> list[_Page]:
    if sum(map(_height, rows)) <= MAX_LINES and sum(map(_weight, rows)) <= MAX_BYTES:
        return [rows]
    pages: list[_Page] = [[]]
    for row in map(_short, rows):
        page = pages[-1]
        tall = sum(map(_height, page)) + _height(row) > MAX_LINES - 1
        if page and (tall or sum(map(_weight, page)) + _weight(row) > MAX_BYTES):
            pages.append([])
        pages[-1].append(row)
    return pages


def _height(row: tuple[_Row, ...]) -> int:
    return sum(each.body.count("\n") + 1 for each in row)


def _weight(row: tuple[_Row, ...]) -> int:
    return sum(len(each.body.encode()) + len(each.html.encode()) + len("<li></li>") for each in row)


def _short(row: tuple[_Row, ...]) -> tuple[_Row, ...]:
    if _weight(row) <= MAX_BYTES:
        return row
    cut = [each.body.encode()[: MAX_BYTES // 8 // len(row)].decode(errors="ignore") + _CUT for each in row]
    return tuple(
        _Row(body, escape(body, quote=False), each.kind) for body, each in zip(cut, row, strict=True)
    )


def _join(rows: list[_Row]) -> Rendered:
    html: list[str] = []
    kind = ""
    for row in rows:
        if kind != row.kind:
            html += [_CLOSE.get(kind, ""), _OPEN.get(row.kind, "")]
        elif kind == "line":
            html.append("<br>")
        elif kind == "pre":
            html.append("\n")
        html.append(f"<li>{row.html}</li>" if row.kind == "bullet" else row.html)
        kind = row.kind
    html.append(_CLOSE.get(kind, ""))
    return Rendered("\n".join(row.body for row in rows), "".join(html))


_OPEN = {"bullet": "<ul>", "pre": "<pre><code>", "line": "<p>"}
_CLOSE = {"bullet": "</ul>", "pre": "</code></pre>", "line": "</p>"}
