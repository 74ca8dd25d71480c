"""The audit record: each act and each refusal, written with the act, then sealed into a chain."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.chain import START, Chain, Head, Sealed, Verdict, digest, public_key, signature
from storage.encryption import keyring_of
from storage.schema import Instant, Json, metadata

BATCH = 1000
SEAL_LOCK = 0x7A4D5EA1  # any number that no other advisory lock of this database has

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("type", String, nullable=False),
    Column("actor", String),
    Column("device_id", String),
    Column("device_verified", Boolean),
    Column("room_id", String),
    Column("agency", String),
    Column("object", String),
    Column("action", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason_code", String),
    Column("fields", Json),
    Column("event_id", String),
    Column("seq", Integer, unique=True),
    Column("prev_hash", LargeBinary),
    Column("hash", LargeBinary),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("signed_at", Instant, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

OK, REFUSED, ERROR = "ok", "refused", "error"


@dataclass(frozen=True)
class Entry:
    """One act. Ids and names of fields only, never what people wrote.

    `type` is command, job, event or system; `action` names it (`alert.raise`); `outcome` is ok, refused or
    error, `reason_code` why; `fields` are the names of what changed.
    """

    at: datetime
    type: str
    action: str
    outcome: str = OK
    actor: str | None = None
    device_id: str | None = None
    device_verified: bool | None = None
    room_id: str | None = None
    agency: str | None = None
    object: str | None = None
    reason_code: str | None = None
    fields: tuple[str, ...] = ()
    event_id: str | None = None


_SEALED = [audit.c[name] for name in Sealed.__dataclass_fields__]
_HEAD = [audit_heads.c[name] for name in Head.__dataclass_fields__]


class Audit:
    """Queries on the audit record, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, entry: Entry) -> None:
        """Write an entry, still unsealed."""
        values = vars(entry) | {"fields": list(entry.fields)}
        await self._connection.execute(audit.insert().values(**values))

    async def seal(self, limit: int = BATCH) -> int:
        """Give the oldest unsealed entries their places in the chain; how many got one.

        On PostgreSQL ids may be committed out of order: places are given under a lock, in the order in
        which this sees the entries.
        """
        await self._lock()
        query = select(*_SEALED).where(audit.c.seq.is_(None)).order_by(audit.c.id).limit(limit)
        waiting = [Sealed(*row) for row in await self._connection.execute(query)]
        if not waiting:
            return 0
        seq, last = await self._tip()
        rows = []
        for entry in waiting:
            seq += 1
            hash_ = digest(entry, seq, last)
            rows.append({"which": entry.id, "seq": seq, "prev_hash": last, "hash": hash_})
            last = hash_
        statement = update(audit).where(audit.c.id == bindparam("which"), audit.c.seq.is_(None))
        values: dict[str, Any] = {name: bindparam(name) for name in ("seq", "prev_hash", "hash")}
        await self._connection.execute(statement.values(**values), rows)
        return len(rows)

    async def sign(self, now: datetime, every: timedelta = timedelta()) -> Head | None:
        """Sign the end of the chain; None if it was signed already, or less than `every` ago."""
        await self._lock()
        seq, last = await self._tip()
        newest = await self.newest_head()
        if seq == 0 or (newest and (newest.seq == seq or now - newest.signed_at < every)):
            return None
        keyring = keyring_of(self._connection.dialect)
        head = Head(seq, last, now, signature(keyring, seq, last, now))
        await self._connection.execute(audit_heads.insert().values(**vars(head)))
        return head

    async def newest_head(self) -> Head | None:
        """The head that was signed last."""
        query = select(*_HEAD).order_by(audit_heads.c.seq.desc()).limit(1)
        row = (await self._connection.execute(query)).one_or_none()
        return Head(*row) if row else None

    async def heads(self, after: int, limit: int = BATCH) -> list[Head]:
        """Signed heads behind this place of the chain, in order."""
        query = select(*_HEAD).where(audit_heads.c.seq > after).order_by(audit_heads.c.seq).limit(limit)
        return [Head(*row) for row in await self._connection.execute(query)]

    async def sealed(self, after: int, since: datetime | None = None, limit: int = BATCH) -> list[Sealed]:
        """Sealed entries behind this place of the chain, in order; only those at or after `since`."""
        query = select(*_SEALED).where(audit.c.seq > after, *((audit.c.at >= since,) if since else ()))
        return [
            Sealed(*row) for row in await self._connection.execute(query.order_by(audit.c.seq).limit(limit))
        ]

    async def count(self, reason_code: str, since: datetime) -> int:
        """How many entries have this reason since then."""
        query = select(func.count()).where(audit.c.reason_code == reason_code, audit.c.at >= since)
        return int((await self._connection.execute(query)).scalar_one())

    async def count_unsealed(self) -> int:
        """How many entries have no place in the chain yet."""
        query = select(func.count()).where(audit.c.seq.is_(None))
        return int((await self._connection.execute(query)).scalar_one())

    async def _tip(self) -> tuple[int, bytes]:
        """Place and hash of the last sealed entry, or of the last head if that is further.

        It is further if the tail was removed: the chain then goes on behind the gap, so that it shows.
        """
        query = select(audit.c.seq, audit.c.hash).where(audit.c.seq.is_not(None))
        row = (await self._connection.execute(query.order_by(audit.c.seq.desc()).limit(1))).one_or_none()
        seq, last = (int(row[0]), bytes(row[1])) if row else (0, START)
        head = await self.newest_head()
        return (head.seq, bytes(head.hash)) if head and head.seq > seq else (seq, last)

    async def _lock(self) -> None:
        """One sealer at a time. SQLite has one writer at a time anyway."""
        if self._connection.dialect.name == "postgresql":
            await self._connection.execute(text(f"SELECT pg_advisory_xact_lock({SEAL_LOCK})"))


async def verify(engine: AsyncEngine, posted: Mapping[int, bytes] | None = None) -> Verdict:
    """Walk the whole chain, in bounded memory and short transactions; the first thing that does not fit.

    `posted` are places and hashes of heads that were posted elsewhere: a tail that was removed together
    with its signed heads shows by them alone.
    """
    chain = Chain(public_key(keyring_of(engine.dialect)), posted or {})
    while True:
        async with engine.begin() as connection:
            audited = Audit(connection)
            # Heads first: whatever is sealed and signed meanwhile is behind the entries read next.
            heads = await audited.heads(chain.seq)
            batch = await audited.sealed(chain.seq)
            unsealed = await audited.count_unsealed()
        signed = {head.seq: head for head in heads}
        if not all(chain.follow(entry, signed.get(chain.seq + 1)) for entry in batch):
            break
        if not batch:
            chain.finish(heads)
            break
    return chain.verdict(unsealed)


async def export(engine: AsyncEngine, since: datetime | None = None) -> AsyncIterator[list[Sealed]]:
    """All sealed entries in order, in batches, each read in a transaction of its own."""
    after = 0
    while True:
        async with engine.begin() as connection:
            batch = await Audit(connection).sealed(after, since)
        if not batch:
            return
        yield batch
        after = batch[-1].seq or after
