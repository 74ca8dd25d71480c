"""`tandem init`: what was not given by flags is asked, where somebody is there to answer."""

import getpass
import sys
from dataclasses import fields, replace
from pathlib import Path
from urllib.parse import urlsplit

from bot.config import EMBEDDED
from bot.setup import Wishes, write

DEFAULTS = Wishes()


def found(config: Path, *, force: bool, **given: str | None | tuple[str, ...]) -> int:
    """Ask for what is missing, and write."""
    wishes = replace(DEFAULTS, **{name: value for name, value in given.items() if value})  # type: ignore[arg-type]  # each flag is of its field's type
    if sys.stdin.isatty():
        wishes = _ask(wishes, {name for name, value in given.items() if value})
    if wishes.homeserver != EMBEDDED and not given.get("data"):
        # Never the folder of `make run`: one database belongs to one account.
        wishes = replace(wishes, data=f"data/{urlsplit(wishes.homeserver).hostname or 'own'}")
    for file in write(wishes, config, force=force):
        print(f"wrote {file}")
    print(f"Next: tandem check --config {config}")
    print(f"After the first start, for the safe: tandem identity recovery-key --config {config}")
    return 0


QUESTIONS = {
    "homeserver": 'Homeserver: its address, or "embedded" for one of Tandem\'s own',
    "user": "The bot's user there",
    "admins": "Admins, user ids with spaces between them",
    "agency": "Their agency, a short code",
    "agency_name": "The agency's name",
}


def _ask(wishes: Wishes, given: set[str]) -> Wishes:
    for name in (each.name for each in fields(Wishes) if each.name in QUESTIONS and each.name not in given):
        default = getattr(wishes, name)
        shown = " ".join(default) if isinstance(default, tuple) else default
        answer = input(f"{QUESTIONS[name]} [{shown}]: ").strip()
        if answer:
            wishes = replace(wishes, **{name: tuple(answer.split()) if name == "admins" else answer})  # type: ignore[arg-type]  # as above
    if wishes.homeserver != EMBEDDED and wishes.password is None:
        wishes = replace(
            wishes, password=getpass.getpass("The bot's password there (kept in a file, 0600): ") or None
        )
    return wishes
