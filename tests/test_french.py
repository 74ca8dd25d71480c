"""Every text that an officer can read exists in French, with the same values in it."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.extract import extract

from bot.kernel.language import Language, catalogue
from bot.runtime.dispatcher import complete
from commands import CAPABILITIES

ROOT = Path(__file__).parent.parent
KEYWORDS = {"t": None, "tn": (1, 2)}


def written() -> Iterator[tuple[str | tuple[str, ...], str]]:
    """Each text in the code, and where it stands."""
    for folder in ("bot", "commands"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            with path.open("rb") as source:
                for number, text, _comments, _context in extract("python", source, KEYWORDS):
                    yield text, f"{path.relative_to(ROOT)}:{number}"
    for capability in complete(CAPABILITIES)[0]:
        for command in capability.commands:
            for paragraph in (inspect.getdoc(command.handler) or "").split("\n\n"):
                yield paragraph.replace("\n", " "), f"docstring of {' '.join(command.path)}"


def places(text: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


WRITTEN = list(written())


@pytest.mark.parametrize(("text", "where"), WRITTEN, ids=[where for _, where in WRITTEN])
def test_a_text_has_its_french(text: str | tuple[str, ...], where: str) -> None:
    english = (text,) if isinstance(text, str) else text
    entry = catalogue(Language.FR).get(english[0])
    assert entry is not None, f"{where}: no French for {english[0]!r}"
    french = (entry.string,) if isinstance(entry.string, str) else tuple(entry.string or ())
    assert len(french) == len(english), f"{where}: wrong number of forms"
    for form in french:
        assert form, f"{where}: empty French for {english[0]!r}"
        assert places(form) <= places(" ".join(english)), f"{where}: {form!r} names other values"
    assert places(english[-1]) == places(french[-1]), f"{where}: {french[-1]!r} lacks a value"


def test_the_catalogue_has_nothing_that_is_no_longer_said() -> None:
    said = {text if isinstance(text, str) else text[0] for text, _ in WRITTEN}
    kept = {entry.id if isinstance(entry.id, str) else entry.id[0] for entry in catalogue(Language.FR)}
    assert kept - said - {""} == set()
