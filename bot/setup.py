"""`tandem init`: writes a configuration with comments, and its secrets into files of their own."""

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

from bot.config import EMBEDDED, FINGERPRINT, FIRST_SIGHT, MASTER_KEY_BYTES, load
from bot.kernel import clock
from bot.toml_file import ConfigError

MASTER_KEY_FILE = "master.key"
PASSWORD_FILE = "matrix.password"  # noqa: S105  # a file's name


@dataclass(frozen=True)
class Wishes:
    """What an operator decides at the beginning; `data` is relative to the configuration's folder."""

    homeserver: str = EMBEDDED
    user: str = "tandem"
    password: str | None = None
    admins: tuple[str, ...] = ()
    agency: str = "HQ"
    agency_name: str = "Headquarters"
    language: str = "en"
    zone: str = "UTC"
    pinning: str = FIRST_SIGHT
    data: str = "data"
    master_key_file: str = MASTER_KEY_FILE


def write(wishes: Wishes, file: Path, *, force: bool = False) -> list[Path]:
    """Write the configuration and its secrets; what was written. A master key is never replaced.

    ConfigError if a file is there already and `force` is not given, or if the wishes make no configuration.
    """
    folder = file.parent
    password, key = folder / PASSWORD_FILE, folder / wishes.master_key_file
    wanted = [file, *([password] if wishes.password else [])]
    refuse_existing(*wanted, force=force)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    _put(draft, text(wishes))
    try:
        load(draft, {})
    except ConfigError as error:
        draft.unlink()
        raise ConfigError(str(error).partition(": ")[2]) from None
    if not key.exists():
        # Never replaced, not even by force: without its key a database is lost.
        _put(key, base64.b64encode(clock.random_bytes(MASTER_KEY_BYTES)).decode() + "\n")
        wanted.append(key)
    if wishes.password:
        _put(password, wishes.password + "\n")
    draft.replace(file)
    return wanted


def refuse_existing(*files: Path, force: bool) -> None:
    """ConfigError if one of the files is there already, unless it is to be replaced."""
    for each in files:
        if each.exists() and not force:
            raise ConfigError(
                f"{each} is there already; choose another --config, or give --force to replace it"
            )


def _put(file: Path, content: str) -> None:
    """Write a file for this user's eyes only; a crash leaves the old content or the new."""
    draft = file.with_name(f"{file.name}.tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(content)
    draft.replace(file)


def text(wishes: Wishes) -> str:
    """The configuration file."""
    own = wishes.homeserver != EMBEDDED
    password = f"password_file = {_toml(PASSWORD_FILE)}" if own else f'# password_file = "{PASSWORD_FILE}"'
    return _TEMPLATE.format(
        password=password,
        embedded=EMBEDDED,
        first_sight=FIRST_SIGHT,
        fingerprint=FINGERPRINT,
        **{name: _toml(value) for name, value in vars(wishes).items() if name != "password"},
    )


def _toml(value: object) -> str:
    """A text or a list as TOML; its basic strings are those of JSON."""
    return json.dumps(value, ensure_ascii=False)


_TEMPLATE = """\
# Tandem's configuration. No secret stands in this file: secrets come from files that only the bot's user can
# read (chmod 600), from the environment, or from systemd credentials. Paths are relative to this file.
# `tandem check` says whether all is well with it.

# Where everything is kept: database, lock, the embedded homeserver. Only the bot's user may enter it (0700).
data = {data}

[matrix]
# "{embedded}": Tandem runs a homeserver of its own on 127.0.0.1. Or the address of yours.
homeserver = {homeserver}
# The bot's account: a user name, or a full id (@tandem:hq.example).
user = {user}
# How the bot's device is called in other people's clients.
device_name = "Tandem"
# The account's password; or TANDEM_MATRIX_PASSWORD, or the systemd credential matrix_password.
{password}

[database]
# SQLite in the data folder, unless an address is given. With a password in it, give it as TANDEM_DATABASE_URL
# or as the systemd credential database_url instead.
# url = "postgresql://tandem@db.hq.example/tandem"

[security]
# 32 bytes in base64 (openssl rand -base64 32); or TANDEM_MASTER_KEY, or the systemd credential master_key.
# Without this key the database cannot be read, by anybody: keep a copy in a safe, away from the backups.
master_key_file = {master_key_file}

[members]
# Enrolled when the bot first starts; they enrol everybody else, in a room, with !member add.
admins = {admins}
# Their agency: a code of 2 to 10 capitals, digits or hyphens, and its name.
agency = {agency}
agency_name = {agency_name}
# The roles that they get.
admin_roles = ["admin", "liaison"]
# "{first_sight}": the identity that the homeserver shows first is pinned; compare it by telephone afterwards.
# "{fingerprint}": an admin gives each fingerprint, and this file gives the admins'.
pinning = {pinning}
# fingerprints = {{ "@sam:hq.example" = "fO37 Gq0X yL6z 1oTn 8Vb4 WcRk 2mDs 9HaE uPjI 5tQx NZk" }}

[rooms]
# How a room is spoken to until an admin chooses otherwise with !room policy: "en" or "fr", and an IANA zone.
language = {language}
zone = {zone}

[logs]
# debug, info, warning or error. Logs go to stderr and hold ids, never text.
level = "info"
"""
