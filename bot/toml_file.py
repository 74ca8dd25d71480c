"""A TOML file that knows its lines: whatever is wrong with it is told with the place."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line with file, line number and what is allowed."""


@dataclass(frozen=True)
class TomlFile:
    """A file as read; `lines` says where each section (`matrix`) and key (`matrix.user`) stands, from 1."""

    path: Path
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path) -> "TomlFile":
        """Read it; ConfigError if it is not there or not TOML."""
        try:
            text = path.read_text()
            return cls(path, tomllib.loads(text), dict(_lines(text)))
        except FileNotFoundError:
            raise ConfigError(f"there is no {path}; make one with: tandem init") from None
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ConfigError(f"cannot read {path} ({why})") from None
        except (ValueError, RecursionError) as error:  # also a number of thousands of digits
            raise ConfigError(_syntax(path, text, str(error))) from None

    def error(self, key: str, text: str) -> ConfigError:
        """An error about a key, with its line, or that of its section where it is missing."""
        line = self.lines.get(key) or self.lines.get(key.partition(".")[0])
        return ConfigError(f"{self.path}, line {line}: {text}" if line else f"{self.path}: {text}")

    def beside(self, path: str) -> Path:
        """A path that the file names, relative to the file's folder."""
        return Path(os.path.normpath(self.path.parent.absolute() / Path(path).expanduser()))


def _syntax(path: Path, text: str, said: str) -> str:
    found = re.fullmatch(r"(.*?) \(at (?:line (\d+), column \d+|end of document)\)", said)
    what, at = (found[1], found[2] or len(text.splitlines())) if found else (said, "?")
    return f'{path}, line {at}: not TOML: {what[:1].lower()}{what[1:]}; a line reads: key = "value"'


_HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+")
_ASSIGNS = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Where each section and key stands; the parser of the standard library keeps no lines."""
    section = ""
    for number, row in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(row):
            section = _plain(header[1])
            yield section, number
        elif assigns := _ASSIGNS.match(row):
            yield ".".join(filter(None, (section, _plain(assigns[1])))), number


def _plain(dotted: str) -> str:
    return re.sub(r"""\s*\.\s*""", ".", dotted.replace('"', "").replace("'", ""))
