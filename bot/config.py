"""Configuration: config.toml, environment and systemd credentials; settings, or one clear line."""

import base64
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from bot.kernel.vocabulary import Role
from bot.kernel.words import nearest
from bot.toml_file import ConfigError, TomlFile

EMBEDDED = "embedded"
FIRST_SIGHT, FINGERPRINT = "first-sight", "fingerprint"
MASTER_KEY_BYTES = 32
OTHERS_MAY = 0o077  # any right of group or others
LEVELS = ("debug", "info", "warning", "error")

PASSWORD = ("TANDEM_MATRIX_PASSWORD", "matrix_password")
MASTER_KEY = ("TANDEM_MASTER_KEY", "master_key")
DATABASE_URL = ("TANDEM_DATABASE_URL", "database_url")


# Readers: what a value of the file becomes. ValueError (or TypeError) if it is not what is allowed.


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value.strip()


def _one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return read


def _homeserver(value: Any) -> str:
    address = _text(value)
    parts = urlsplit(address)
    if address != EMBEDDED and (
        parts.scheme not in ("http", "https") or not parts.hostname or parts.password
    ):
        raise ValueError
    return address.rstrip("/")


def _user(value: Any) -> str:
    if not re.fullmatch(r"[a-z0-9._=/+-]+|@[^\s:]+:\S+", _text(value)):
        raise ValueError
    return str(value).strip()


def _users(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_user(each) for each in value)


def _roles(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(Role(each).value for each in value)


def _agency(value: Any) -> str:
    if not re.fullmatch(r"[A-Z0-9](?:[A-Z0-9-]{0,8}[A-Z0-9])", _text(value)):
        raise ValueError
    return str(value).strip()


def _zone(value: Any) -> str:
    return ZoneInfo(_text(value)).key


def _url(value: Any) -> str:
    parts = urlsplit(_text(value))
    if parts.scheme not in ("sqlite+aiosqlite", "postgresql", "postgresql+asyncpg") or parts.password:
        raise ValueError
    return str(value).strip()


def _fingerprints(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError
    return {user: "".join(_fingerprint(each).split()).rstrip("=") for user, each in value.items()}


def _fingerprint(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z0-9+/]{43}=?", "".join(_text(value).split())):
        raise ValueError
    return str(value)


def _key(default: Any, read: Callable[[Any], Any], allowed: str) -> Any:
    return field(default=default, metadata={"read": read, "allowed": allowed})


_A_FILE = "the path of a file, absolute or from this file's folder"


@dataclass(frozen=True)
class MatrixSettings:
    """`[matrix]`: where the bot has its account."""

    homeserver: str = _key(
        EMBEDDED, _homeserver, '"embedded", or an address like "https://matrix.hq.example"'
    )
    user: str = _key("tandem", _user, 'a user name like "tandem", or "@tandem:hq.example"')
    device_name: str = _key("Tandem", _text, "a text")
    password_file: str | None = _key(None, _text, _A_FILE)

    @property
    def localpart(self) -> str:
        """The user's name without its server."""
        return self.user.removeprefix("@").partition(":")[0]


@dataclass(frozen=True)
class DatabaseSettings:
    """`[database]`: where everything is kept."""

    url: str | None = _key(
        None, _url, '"sqlite+aiosqlite:///path" or "postgresql://user@host/name", without a password'
    )


@dataclass(frozen=True)
class SecuritySettings:
    """`[security]`: the key over all keys."""

    master_key_file: str | None = _key(None, _text, _A_FILE)


@dataclass(frozen=True)
class MembersSettings:
    """`[members]`: the first people."""

    admins: tuple[str, ...] = _key((), _users, 'a list of user ids like ["@sam:hq.example"]')
    agency: str = _key("HQ", _agency, "a code of 2 to 10 capitals, digits or hyphens")
    agency_name: str = _key("Headquarters", _text, "a text")
    admin_roles: tuple[str, ...] = _key(
        ("admin", "liaison"), _roles, f"a list of roles: {', '.join(each.value for each in Role)}"
    )
    pinning: str = _key(FIRST_SIGHT, _one_of(FIRST_SIGHT, FINGERPRINT), f'"{FIRST_SIGHT}" or "{FINGERPRINT}"')
    fingerprints: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"read": _fingerprints, "allowed": "user ids with their fingerprints of 43 characters"},
    )


@dataclass(frozen=True)
class RoomsSettings:
    """`[rooms]`: how a room is spoken to until an admin says otherwise."""

    language: str = _key("en", _one_of("en", "fr"), '"en" or "fr"')
    zone: str = _key("UTC", _zone, 'a time zone like "America/Toronto"')


@dataclass(frozen=True)
class LogsSettings:
    """`[logs]`: how much is said on stderr."""

    level: str = _key("info", _one_of(*LEVELS), " or ".join(f'"{each}"' for each in LEVELS))


@dataclass(frozen=True)
class Settings:
    """Everything an operator decides; `data` is absolute. Secrets are read when they are asked for."""

    data: Path
    matrix: MatrixSettings = field(default_factory=MatrixSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    security: SecuritySettings = field(default_factory=SecuritySettings)
    members: MembersSettings = field(default_factory=MembersSettings)
    rooms: RoomsSettings = field(default_factory=RoomsSettings)
    logs: LogsSettings = field(default_factory=LogsSettings)
    file: TomlFile = TomlFile(Path("config.toml"))
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_embedded(self) -> bool:
        """Whether the bot brings its own homeserver."""
        return self.matrix.homeserver == EMBEDDED

    def master_key(self) -> bytes:
        """The master key; ConfigError if there is none, or others can read it."""
        text = self._secret(MASTER_KEY, "security", "master_key_file", self.security.master_key_file)
        try:
            key = base64.b64decode(text, validate=True)
        except ValueError:
            key = b""
        if len(key) != MASTER_KEY_BYTES:
            raise self.file.error(
                "security.master_key_file",
                f"the master key is not {MASTER_KEY_BYTES} bytes in base64 (openssl rand -base64 32)",
            )
        return key

    def password(self) -> str:
        """The password of the bot's account on the operator's homeserver."""
        return self._secret(PASSWORD, "matrix", "password_file", self.matrix.password_file)

    def database_url(self) -> str:
        """The URL for SQLAlchemy; SQLite in the data folder unless said otherwise."""
        url = (
            self._given(DATABASE_URL) or self.database.url or f"sqlite+aiosqlite:///{self.data / 'tandem.db'}"
        )
        return re.sub(r"^postgresql://", "postgresql+asyncpg://", url)

    def _given(self, names: tuple[str, str]) -> str | None:
        """A secret from the environment, or from a systemd credential."""
        variable, credential = names
        if value := self.environ.get(variable, "").strip():
            return value
        folder = self.environ.get("CREDENTIALS_DIRECTORY")
        if folder and (file := Path(folder) / credential).is_file():
            return file.read_text().strip()
        return None

    def _secret(self, names: tuple[str, str], section: str, key: str, path: str | None) -> str:
        if (given := self._given(names)) is not None:
            return given
        about = f"{section}.{key}"
        sources = f"{key}, {names[0]} in the environment, or the systemd credential {names[1]}"
        if path is None:
            raise self.file.error(about, f"a secret is missing in [{section}]: give {sources}")
        file = self.file.beside(path)
        try:
            mode = file.stat().st_mode
            value = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not a text"
            raise self.file.error(about, f"cannot read {file} ({why}); allowed: {sources}") from None
        if mode & OTHERS_MAY:
            raise self.file.error(about, f"others can read {file}; mend it with: chmod 600 {file}")
        if not value:
            raise self.file.error(about, f"{file} is empty; allowed: {sources}")
        return value


SECTIONS: dict[str, type[Any]] = {
    "matrix": MatrixSettings,
    "database": DatabaseSettings,
    "security": SecuritySettings,
    "members": MembersSettings,
    "rooms": RoomsSettings,
    "logs": LogsSettings,
}
_SECRET = re.compile(r"(^|_)(password|passphrase|token|secret|key|credential)$")
_ELSEWHERE = "a file of its own, the environment, or a systemd credential"
_INSTEAD = {
    "database": f"the whole address in {DATABASE_URL[0]}, or in the systemd credential {DATABASE_URL[1]}",
    "matrix": f"password_file, {PASSWORD[0]} in the environment, or the systemd credential {PASSWORD[1]}",
    "security": f"master_key_file, {MASTER_KEY[0]} in the environment, or the credential {MASTER_KEY[1]}",
}


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file; ConfigError with its line for the first thing wrong."""
    file = TomlFile.read(path)
    values = {name: _section(file, name) for name in SECTIONS}
    _refuse_unknown(file)
    settings = Settings(_data(file, environ), **values, file=file, environ=environ)
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    """What each key alone cannot know."""
    members, file = settings.members, settings.file
    for user in members.admins:
        if not user.startswith("@") and not settings.is_embedded:
            raise file.error("members.admins", without_server(user))
        if members.pinning == FINGERPRINT and user not in members.fingerprints:
            wanted = f'fingerprints = {{ "{user}" = "…" }} in [members]'
            raise file.error("members.pinning", f"pinning by fingerprint needs that of {user}: {wanted}")
    for user in members.fingerprints:
        if user not in members.admins:
            raise file.error("members.fingerprints", f"{user} is not among admins")


def without_server(user: str) -> str:
    """What is wrong with a user's name that does not say where the user is."""
    return f'"{user}" needs its server: "@{user}:hq.example"'


def problem(section: str, key: str, value: Any) -> str | None:
    """What is wrong with the value of a key by itself, in one line; None if it is allowed."""
    metadata = next(each.metadata for each in fields(SECTIONS[section]) if each.name == key)
    try:
        metadata["read"](value)
    except _NOT_ALLOWED:
        return _wrong(section, key, value, metadata)
    return None


_NOT_ALLOWED = (ValueError, TypeError, LookupError, OSError)  # OSError: a zone named like a folder


def _section(file: TomlFile, name: str) -> Any:
    kind, table = SECTIONS[name], file.document.get(name, {})
    if not isinstance(table, dict):
        raise file.error(name, f"{name} is a section: [{name}]")
    known = {each.name: each for each in fields(kind)}
    values = {}
    for key, value in table.items():
        if key not in known:
            raise _unknown(file, name, key, known)
        try:
            values[key] = known[key].metadata["read"](value)
        except _NOT_ALLOWED:
            raise file.error(f"{name}.{key}", _wrong(name, key, value, known[key].metadata)) from None
    return kind(**values)


def _wrong(section: str, key: str, value: Any, metadata: Mapping[str, Any]) -> str:
    if isinstance(value, str) and re.search(r"://[^/@]*:[^/]*@", value):
        return (
            f"a password does not belong into this file ({key}); allowed: {_INSTEAD.get(section, _ELSEWHERE)}"
        )
    shown = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}: {value!r}"
    return f"{key} cannot be {shown}; allowed: {metadata['allowed']}"


def _unknown(file: TomlFile, section: str, key: str, known: Mapping[str, Any]) -> ConfigError:
    if _SECRET.search(key):
        instead = _INSTEAD.get(section, _ELSEWHERE)
        return file.error(
            f"{section}.{key}", f"secrets are not kept in this file ({key}); allowed: {instead}"
        )
    near = nearest(key, known)
    meant = f"did you mean {near}?" if near else f"allowed: {', '.join(known)}"
    return file.error(f"{section}.{key}", f"unknown key {key} in [{section}]; {meant}")


def _refuse_unknown(file: TomlFile) -> None:
    """ConfigError for a section or top-level key that nobody knows."""
    known = ("data", *SECTIONS)
    for key, value in file.document.items():
        if key in known:
            continue
        if _SECRET.search(key):
            raise file.error(key, f"secrets are not kept in this file ({key}); allowed: {_ELSEWHERE}")
        near = nearest(key, known)
        meant = f"did you mean {near}?" if near else f"allowed: {', '.join(known)}"
        what = f"section [{key}]" if isinstance(value, dict) else f"key {key}"
        raise file.error(key, f"unknown {what}; {meant}")


def _data(file: TomlFile, environ: Mapping[str, str]) -> Path:
    """The data folder: as the file says, else TANDEM_DATA, else `data` beside the file."""
    value = file.document.get("data")
    if value is None and environ.get("TANDEM_DATA"):
        return Path(environ["TANDEM_DATA"]).expanduser().absolute()
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise file.error("data", f"data cannot be {value!r}; allowed: the path of a folder")
    return file.beside(value or "data")
