"""What a homeserver keeps on its disk, and whether something that was said is in it."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SHORTEST = 12  # characters; a shorter line may stand anywhere by chance


class Disk:
    """Everything in the homeserver's folder: the database's values, and the bytes of every file.

    The values, because SQLite cuts a long one into pages; the bytes, because the write-ahead log, media and
    logs are no tables.
    """

    def __init__(self, folder: Path) -> None:
        files = [file for file in folder.rglob("*") if file.is_file()]
        self.names = {file.name for file in files}
        with contextlib.closing(sqlite3.connect(f"file:{folder}/homeserver.db?mode=ro", uri=True)) as db:
            values = b"\n".join(_values(db))
        self._all = b"\n".join([values, *(file.read_bytes() for file in files)])

    def holds(self, text: str) -> bool:
        """Whether this text is there: as it is, or as JSON writes it, in ASCII or not."""
        forms = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        return any(form.encode() in self._all for form in forms)


def _values(db: sqlite3.Connection) -> Iterator[bytes]:
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in db.execute(f'SELECT * FROM "{table}"'):  # noqa: S608  # the database's own names
            yield from (value if isinstance(value, bytes) else str(value).encode() for value in row)


def texts_of(content: Any) -> Iterator[str]:
    """Every `body` and `formatted_body` in an event's content, in that of an edit too."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name in ("body", "formatted_body") and isinstance(value, str):
                yield value
            else:
                yield from texts_of(value)


def lines_of(texts: Iterable[str]) -> set[str]:
    """The lines of these texts, and what stands between their tags, that are long enough to tell."""
    pieces = (piece.strip() for text in texts for piece in re.split(r"\n|<[^>]*>", text))
    return {piece for piece in pieces if len(piece) >= SHORTEST}
