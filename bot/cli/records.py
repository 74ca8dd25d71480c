"""`tandem db` and `tandem audit`: the database and its record, without the bot."""

import asyncio
import csv
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from bot.alone import make_private
from bot.config import load
from bot.kernel import clock
from bot.toml_file import ConfigError
from storage.audit import Entry, export, verify
from storage.chain import Sealed, Verdict
from storage.migrations import revisions
from storage.transaction import Database

# What a spreadsheet would take for a formula (OWASP, "CSV Injection"); a user id is none.
_FORMULA = re.compile(r"[=+\-@\t\r](?!(?<=@)[\w.=/+-]+:[\w.:\[\]-]+$)")


class Format(StrEnum):
    """How an export is written."""

    CSV = "csv"
    JSON = "json"


def run_upgrade(config: Path, *, as_json: bool) -> int:
    """Bring the database to this release's tables; the exit code."""

    async def upgrade() -> tuple[str | None, str]:
        async with opened(config, upgraded=False) as database:
            return await database.upgrade()

    before, after = asyncio.run(upgrade())
    if as_json:
        print(json.dumps({"before": before, "after": after}))
    elif before == after:
        print(f"The database is at revision {after} already.")
    else:
        print(f"The database is upgraded from {before or 'nothing'} to revision {after}.")
    return 0


def run_verify(config: Path, posted: Sequence[str], *, as_json: bool) -> int:
    """Walk the audit chain; the exit code is 1 if something does not fit."""

    async def walk(heads: Mapping[int, bytes]) -> Verdict:
        async with opened(config) as database:
            return await verify(database.engine, heads)

    verdict = asyncio.run(walk(dict(map(_head, posted))))
    if as_json:
        print(json.dumps({"ok": verdict.fault is None, **asdict(verdict)}, indent=2))
    else:
        print("\n".join(_told(verdict)))
    return 1 if verdict.fault else 0


def _head(text: str) -> tuple[int, bytes]:
    """Place and hash, as verify prints them."""
    place, _, hash_ = text.partition(":")
    try:
        return int(place), bytes.fromhex(hash_)
    except ValueError:
        raise ConfigError(f"--posted {text} is no head; it reads PLACE:HASH, as verify prints it") from None


def _told(verdict: Verdict) -> list[str]:
    if verdict.fault:
        row = "" if verdict.fault.id is None else f" (row {verdict.fault.id})"
        return [
            f"Entry {verdict.fault.seq}{row} does not fit: {verdict.fault.reason}.",
            f"The {verdict.entries} entries before it fit. Copy the database before you do anything else.",
        ]
    return [
        f"All {verdict.entries} entries fit; heads signed: {verdict.heads}; not sealed: {verdict.unsealed}.",
        f"Head {verdict.entries}:{verdict.last_hash}",
        f"Public key {verdict.public_key}",
    ]


def run_export(config: Path, since: str | None, how: Format) -> int:
    """Write the sealed entries; the exit code. That this was done is an entry itself."""

    async def write() -> None:
        first = _instant(since)
        async with opened(config) as database:
            put = (_csv if how is Format.CSV else _json_lines)(sys.stdout)
            async for batch in export(database.engine, first):
                for entry in batch:
                    put(entry)
            async with database.transaction() as tx:
                await tx.audit.add(Entry(clock.now(), "system", "audit.export", actor="operator"))

    asyncio.run(write())
    return 0


def _instant(since: str | None) -> datetime | None:
    """A day or an instant in ISO 8601, in UTC unless it says otherwise."""
    if since is None:
        return None
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        raise ConfigError(
            f"--since {since} is no day or instant; write 2026-11-03 or 2026-11-03T14:30Z"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _csv(out: TextIO) -> Callable[[Sealed], None]:
    rows = csv.DictWriter(out, list(Sealed.__dataclass_fields__), lineterminator="\n")
    rows.writeheader()

    def put(entry: Sealed) -> None:
        document = entry.document() | {"fields": " ".join(entry.fields or ())}
        rows.writerow({name: harmless(value) for name, value in document.items()})

    return put


def _json_lines(out: TextIO) -> Callable[[Sealed], None]:
    def put(entry: Sealed) -> None:
        out.write(json.dumps(entry.document(), ensure_ascii=False) + "\n")

    return put


def harmless(value: Any) -> Any:
    """The value, so that no spreadsheet takes it for a formula."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


@asynccontextmanager
async def opened(config: Path, *, upgraded: bool = True) -> AsyncIterator[Database]:
    """The configured database; ConfigError if it is not there, or not at this release's revision."""
    settings = load(config)
    database = Database(settings.database_url(), clock.random_bytes)
    try:
        if not upgraded:
            make_private(settings.data)
        elif database.is_missing():
            raise ConfigError(f"there is no database in {settings.data} yet; the first start makes it")
        elif await database.revision() != revisions()[-1]:
            raise ConfigError("the database is not at this release's revision; run: tandem db upgrade")
        else:
            await database.unlock(settings.master_key(), clock.now())
        yield database
    finally:
        await database.close()
