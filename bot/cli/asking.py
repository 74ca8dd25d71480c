"""`tandem init`: what was not given by flags is asked, where somebody is there to answer."""

import getpass
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.config import EMBEDDED, problem, without_server
from bot.setup import MASTER_KEY_FILE, PASSWORD_FILE, Wishes, refuse_existing, write
from bot.toml_file import ConfigError

DEFAULTS = Wishes()
NOBODY = "nobody could command a bot without admins"


@dataclass(frozen=True)
class Keyboard:
    """How somebody is asked: each takes the question and returns what was typed."""

    line: Callable[[str], str] = input
    secret: Callable[[str], str] = getpass.getpass


def keyboard() -> Keyboard | None:
    """None where nobody is there to answer."""
    return Keyboard() if sys.stdin.isatty() else None


def found(config: Path, asked: Keyboard | None, *, force: bool, **given: str | None | tuple[str, ...]) -> int:
    """Ask for what is missing, and write."""
    given = {name: value for name, value in given.items() if value}
    wishes = _in_capitals(replace(DEFAULTS, **given))  # type: ignore[arg-type]  # each flag is of its field's type
    if asked:
        refuse_existing(config, force=force)  # before the questions: answers are not to be lost
        wishes = _ask(
            wishes, set(given), asked, lambda file: refuse_existing(config.parent / file, force=force)
        )
    elif not wishes.admins and _wrong(wishes, "admins") and not _wrong(wishes, "homeserver"):
        raise ConfigError(f"{NOBODY}; name one: --admin @sam:hq.example")
    if "data" not in given:
        wishes = _at_home(wishes, config.parent)
    for file in write(wishes, config, force=force):
        print(f"wrote {file}")
    print(f"Next: tandem check --config {config}")
    print(f"After the first start, for the safe: tandem identity recovery-key --config {config}")
    return 0


def _at_home(wishes: Wishes, folder: Path) -> Wishes:
    """The data folder: never that of another account, and with the master key that it has already."""
    if wishes.homeserver != EMBEDDED:
        return replace(wishes, data=f"data/{urlsplit(wishes.homeserver).hostname or 'own'}")
    key = Path(wishes.data) / MASTER_KEY_FILE  # the console has made one, for the database there
    return replace(wishes, master_key_file=str(key)) if (folder / key).exists() else wishes


QUESTIONS = {
    "homeserver": 'Homeserver: its address, or "embedded" for one of Tandem\'s own',
    "user": "The bot's user there",
    "admins": "Admins, user ids with spaces between them",
    "agency": "Their agency, a short code",
    "agency_name": "The agency's name",
}
_SECTIONS = {"homeserver": "matrix", "user": "matrix", "language": "rooms", "zone": "rooms"}


def _ask(wishes: Wishes, given: set[str], asked: Keyboard, refuse: Callable[[str], None]) -> Wishes:
    for name in ("language", "zone"):
        if wrong := _wrong(wishes, name):
            raise ConfigError(wrong)
    for name in QUESTIONS:
        wrong = _wrong(wishes, name)
        while name not in given or wrong:
            if wrong and name in given:
                print(f"  {wrong}")
            wishes, given = _answered(wishes, name, asked), given | {name}
            wrong = _wrong(wishes, name)
    if wishes.homeserver != EMBEDDED and wishes.password is None:
        refuse(PASSWORD_FILE)
        secret = asked.secret("The bot's password there (kept in a file, 0600): ")
        wishes = replace(wishes, password=secret or None)
    return wishes


def _answered(wishes: Wishes, name: str, asked: Keyboard) -> Wishes:
    """The wishes with one answer; an empty one leaves the default."""
    default = getattr(DEFAULTS, name)
    shown = " ".join(default) if isinstance(default, tuple) else default
    answer: Any = asked.line(f"{QUESTIONS[name]}{f' [{shown}]' if shown else ''}: ").strip() or shown
    if name == "admins":
        answer = tuple(answer.split())
    return _in_capitals(replace(wishes, **{name: answer}))


def _in_capitals(wishes: Wishes) -> Wishes:
    return replace(wishes, agency=wishes.agency.upper())


def _wrong(wishes: Wishes, name: str) -> str | None:
    """What is wrong with one of the wishes, in one line."""
    if name != "admins":
        return problem(_SECTIONS.get(name, "members"), name, getattr(wishes, name))
    for admin in wishes.admins:
        if problem("members", name, [admin]):
            return f"{admin!r} is no user id; one reads @sam:hq.example"
        if wishes.homeserver != EMBEDDED and not admin.startswith("@"):
            return without_server(admin)
    return NOBODY if wishes.homeserver != EMBEDDED and not wishes.admins else None
