"""config.example.toml: what `tandem init` writes, with every key there is, and all of it allowed."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from bot.config import SECTIONS, load
from bot.setup import Wishes, text
from bot.toml_file import TomlFile

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"
KEYS = [f"{section}.{key.name}" for section, kind in SECTIONS.items() for key in fields(kind)]
SWITCHED_OFF = re.compile(r"^# (?=\w+ = )", re.MULTILINE)


@pytest.fixture
def with_every_key(tmp_path: Path) -> Path:
    """The example with each key that is commented out put to work."""
    file = tmp_path / "config.toml"
    file.write_text(SWITCHED_OFF.sub("", EXAMPLE.read_text()))
    return file


def test_the_example_is_what_init_writes() -> None:
    wishes = Wishes(
        homeserver="https://matrix.hq.example",
        user="@tandem:hq.example",
        admins=("@sam:hq.example",),
        zone="America/Toronto",
    )
    assert EXAMPLE.read_text() == text(wishes)


def test_the_example_is_allowed() -> None:
    assert load(EXAMPLE, {}).members.admins == ("@sam:hq.example",)


def test_the_example_is_allowed_with_every_key_put_to_work(with_every_key: Path) -> None:
    assert load(with_every_key, {}).database.url == "postgresql://tandem@db.hq.example/tandem"


@pytest.mark.parametrize("key", KEYS)
def test_the_example_has_the_key(with_every_key: Path, key: str) -> None:
    assert key in TomlFile.read(with_every_key).lines


@pytest.mark.parametrize("key", KEYS)
def test_the_example_says_what_the_key_is_for(key: str) -> None:
    section, _, name = key.partition(".")
    lines = EXAMPLE.read_text().partition(f"[{section}]\n")[2].splitlines()
    at = next(number for number, line in enumerate(lines) if re.match(rf"(# )?{name} = ", line))
    # Keys that belong together share what stands above the first of them.
    above = next(line for line in reversed(lines[:at]) if not re.match(r"\w+ = ", line))
    assert above.startswith("# ")
