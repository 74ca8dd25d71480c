"""Messages on a terminal: the HTML of cards as styled text, harmless whatever it carries."""

import unicodedata
from html.parser import HTMLParser

from rich.text import Text

from bot.demo.conversation import Heard

_STYLES = {"strong": "bold", "b": "bold", "em": "italic", "i": "italic", "code": "cyan", "a": "underline"}
_BLOCKS = {"p", "ul", "ol", "li", "pre", "blockquote", "br", "h1", "h2", "h3", "div"}
UPDATE_WIDTH = 100


def styled(heard: Heard) -> Text:
    """A message as styled lines."""
    if heard.html is None:
        return Text(harmless(heard.body))
    reader = _Reader()
    reader.feed(heard.html)
    reader.close()
    return reader.text()


def update_line(before: Heard, after: Heard) -> str:
    """What an edit changed, on one line: the lines that were not there before."""
    old = set(before.body.splitlines())
    lines = after.body.splitlines() or [""]
    fresh = [line for line in lines if line not in old] or lines[:1]
    said = " · ".join(harmless(line).strip("• ") for line in fresh)
    return said if len(said) <= UPDATE_WIDTH else said[: UPDATE_WIDTH - 1] + "…"


def harmless(text: str) -> str:
    """Text without anything a terminal obeys: what others wrote must not move the cursor or hide text."""
    return "".join(char for char in text if char == "\n" or unicodedata.category(char) not in _OBEYED)


_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class _Reader(HTMLParser):
    """The few elements that Matrix clients show, as lines of styled pieces."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[Text] = [Text()]
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._new_line(always=tag == "br")
        if tag == "li":
            self._lines[-1].append("• ")
        if tag in _STYLES or tag in ("pre", "mx-reply"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS and tag != "br":
            self._new_line()
        if tag in self._open:
            self._open.reverse()
            self._open.remove(tag)
            self._open.reverse()

    def handle_data(self, data: str) -> None:
        if "mx-reply" in self._open:
            return
        pieces = harmless(data).split("\n") if "pre" in self._open else [harmless(data.replace("\n", " "))]
        for number, piece in enumerate(pieces):
            if number:
                self._new_line(always=True)
            style = " ".join(_STYLES[tag] for tag in self._open if tag in _STYLES)
            self._lines[-1].append(piece, style or None)

    def text(self) -> Text:
        """All lines, without empty ones at either end."""
        return Text("\n").join(line for line in self._trimmed())

    def _new_line(self, *, always: bool = False) -> None:
        if always or self._lines[-1].plain:
            self._lines.append(Text())

    def _trimmed(self) -> list[Text]:
        lines = list(self._lines)
        while lines and not lines[-1].plain.strip():
            lines.pop()
        return lines
