"""README.md and docs/: what they tell people to type exists, and is understood as it stands there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from bot.cli import app
from bot.config import DATABASE_URL, MASTER_KEY, PASSWORD, SECTIONS
from bot.kernel.arguments import Reader
from bot.kernel.vocabulary import Ref
from bot.runtime.dispatcher import complete
from bot.runtime.lines import command_start
from commands import CAPABILITIES
from tests.fakes import NOON

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_, TABLE = complete(CAPABILITIES)

FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
COMMAND = re.compile(r"(?:^|(?<=[\s:>]))!\w.*$")
TANDEM = re.compile(r"(?:^|(?<=[\s=]))(?:\S*/)?tandem[ ](?P<rest>[^&>|;]+)")
MAKE = re.compile(r"(?:^|(?<=[\s;&]))make (?P<target>\S+)")
KEY = re.compile(r"(?:\[(?P<section>[a-z]+)\]\s*)?(?P<key>[a-z]\w*)?(?:\s=\s.+)?")

KEYS = {section: {each.name for each in fields(kind)} for section, kind in SECTIONS.items()}
CREDENTIALS = {each[1] for each in (PASSWORD, MASTER_KEY, DATABASE_URL)}
# Single words in code on the operators' page that are no keys: programs, tags, levels, schemes.
NO_KEYS = {"audit", "error", "https", "pg_dump", "tandem"}


@dataclass(frozen=True)
class Shown:
    """One piece of code on a page."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def shown_on(page: Path) -> Iterator[Shown]:
    """Every code span, in tables too, and every line of a fenced block, without the shell's comments."""
    text = page.read_text()
    for block in FENCED.findall(text):
        yield from (Shown(page.name, re.sub(r"\s+# .*", "", line).strip()) for line in block.splitlines())
    yield from (Shown(page.name, span) for span in SPAN.findall(FENCED.sub("", text)))


SHOWN = [each for page in PAGES for each in shown_on(page)]


def found(pattern: re.Pattern[str], group: str | int = 0) -> list[Shown]:
    """What the pattern finds in the code of all pages, each once."""
    matches = [(each.page, match) for each in SHOWN if (match := pattern.search(each.text))]
    return list(dict.fromkeys(Shown(page, match[group].strip()) for page, match in matches))


def test_the_pages_are_read() -> None:
    """Else all that follows would be true of nothing."""
    pages = {each.name for each in PAGES}
    assert pages >= {"README.md", "officers.md", "operators.md", "security.md", "decisions.md"}
    assert Shown("officers.md", '!alert severe "Bridge closed" to=ops') in found(COMMAND)
    assert Shown("README.md", '!accuser A-2 aide "deux bateaux en route"') in found(COMMAND)
    assert Shown("operators.md", "db upgrade") in found(TANDEM, "rest")
    assert Shown("README.md", "demo") in found(MAKE, "target")


def is_named_only(shown: Shown) -> bool:
    """A command without its arguments, as prose speaks of it; officers are shown what can be typed."""
    paths = {path for command in TABLE.commands for path in command.spellings}
    return shown.page != "officers.md" and tuple(shown.text[1:].split()) in paths


@pytest.mark.parametrize("shown", [each for each in found(COMMAND) if not is_named_only(each)], ids=str)
def test_a_command_that_is_shown_is_understood(shown: Shown) -> None:
    start = command_start(shown.text, "!", [])
    assert start is not None
    # As a reply to a card, since officers are told that they need not type its number then.
    TABLE.parse(shown.text, start, Reader(NOON, UTC, reply=Ref("A-1")))


@pytest.mark.parametrize("shown", found(TANDEM, "rest"), ids=str)
def test_a_tandem_command_that_is_shown_is_one(shown: Shown) -> None:
    """With its options: a usage error is raised for one that there is not."""
    words = [word for word in shown.text.split() if word != "--help"]
    command, context = typer.main.get_command(app), None
    while isinstance(command, TyperGroup) and words:
        context = command.make_context("tandem", [words[0]], parent=context)
        inner = command.get_command(context, words.pop(0))
        assert inner is not None
        command = inner
    assert not isinstance(command, TyperGroup)
    command.make_context("tandem", words, parent=context)


def names_of(command: object) -> Iterator[str]:
    """The names of all commands in this one."""
    for name, inner in command.commands.items() if isinstance(command, TyperGroup) else ():
        yield name
        yield from names_of(inner)


@pytest.mark.parametrize("shown", found(MAKE, "target"), ids=str)
def test_a_make_target_that_is_shown_is_there(shown: Shown) -> None:
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    assert re.search(rf"^{re.escape(shown.text)}:", makefile, re.MULTILINE)


def keys_shown() -> list[Shown]:
    """`[section] key`, a section or a key alone, and `key = value`: for operators only."""
    on_page = [each for each in found(re.compile("^.+$")) if each.page == "operators.md"]
    others = NO_KEYS | CREDENTIALS | set(names_of(typer.main.get_command(app)))
    return [each for each in on_page if KEY.fullmatch(each.text) and each.text not in others]


@pytest.mark.parametrize("shown", keys_shown(), ids=str)
def test_a_configuration_key_that_is_shown_is_one(shown: Shown) -> None:
    match = KEY.fullmatch(shown.text)
    assert match is not None
    section, key = match["section"], match["key"]
    assert section in (None, *KEYS)
    allowed = KEYS[section] if section else {"data"}.union(*KEYS.values())
    assert key is None or key in allowed


@pytest.mark.parametrize("shown", found(re.compile(r"TANDEM_[A-Z_]+")), ids=str)
def test_a_variable_of_the_environment_that_is_shown_is_read(shown: Shown) -> None:
    assert any(f'"{shown.text}"' in file.read_text() for file in (ROOT / "bot").rglob("*.py"))
