"""Encryption state: the device's secrets, its sessions, what is known of devices and rooms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.crypto_tables import (
    awaited_events,
    crypto_values,
    device_lists,
    megolm_inbound,
    megolm_indexes,
    megolm_outbound,
    olm_sessions,
    room_states,
    sealed_messages,
)
from storage.schema import upsert


@dataclass(frozen=True)
class InboundSession:
    """A Megolm session we were given: by whom (as Olm proved), with which device keys."""

    room_id: str
    session_id: str
    sender_key: str
    user_id: str
    signing_key: str
    pickle: bytes
    received_at: datetime


@dataclass(frozen=True)
class OutboundSession:
    """Our Megolm session for a room; `shared_with` is `{user: {device: curve25519 key}}`.

    `offered` has the same form: devices that a key is on its way to, and which may have it even if nobody
    has said so. `withheld_from` lists, as `user/device`, who was told that the keys are withheld.
    """

    room_id: str
    session_id: str
    pickle: bytes
    messages: int
    shared_with: dict[str, dict[str, str]]
    withheld_from: list[str]
    made_at: datetime
    offered: dict[str, dict[str, str]]


@dataclass(frozen=True)
class AwaitedEvent:
    """An event that could not be decrypted yet."""

    event_id: str
    room_id: str
    session_id: str
    event: dict[str, Any]
    received_at: datetime


@dataclass(frozen=True)
class SealedMessage:
    """A message already encrypted, until the homeserver has it: a retry sends the same bytes."""

    txn_id: str
    room_id: str
    body: str
    sealed_at: datetime


@dataclass(frozen=True)
class DeviceList:
    """What /keys/query last said of a user; `violation` is the identity shown instead of the pinned one."""

    user_id: str
    outdated: bool
    document: dict[str, Any]
    violation: str | None


@dataclass(frozen=True)
class KnownDevice:
    """A device with valid keys; `signed` by its owner's identity; `name` is what its owner calls it."""

    device_id: str
    signed: bool
    name: str | None


class Crypto:
    """Queries on encryption state, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def value(self, name: str) -> bytes | None:
        """One of the device's own secrets: its account, its identity's seeds, the sync token."""
        query = select(crypto_values.c.value).where(crypto_values.c.name == name)
        value: bytes | None = (await self._connection.execute(query)).scalar_one_or_none()
        return value

    async def set_value(self, name: str, value: bytes | None) -> None:
        """Keep it; None forgets it."""
        if value is None:
            await self._connection.execute(delete(crypto_values).where(crypto_values.c.name == name))
        else:
            await self._put(crypto_values, {"name": name, "value": value})

    async def forget_device(self) -> None:
        """Drop all that belongs to the signed-in device; identity, pins and received keys stay.

        So does the place in the sync: what was said meanwhile is still taken in, if only to ask for it again.
        What it encrypted and still owes goes too: from another device it would be taken for a replay.
        """
        for name in ("account", "token", "device_id", "published"):
            await self.set_value(name, None)
        for table in (olm_sessions, megolm_outbound, sealed_messages):
            await self._connection.execute(delete(table))

    async def olm_sessions(self, sender_key: str) -> list[tuple[str, bytes]]:
        """Ids and pickles of the sessions with this device, the one last used first."""
        query = (
            select(olm_sessions.c.session_id, olm_sessions.c.pickle)
            .where(olm_sessions.c.sender_key == sender_key)
            .order_by(olm_sessions.c.used_at.desc())
        )
        return [(row[0], row[1]) for row in await self._connection.execute(query)]

    async def latest_olm_sessions(self, sender_keys: list[str]) -> dict[str, tuple[str, bytes]]:
        """For each device key the session last used, where there is one."""
        table = olm_sessions.c
        query = (
            select(table.sender_key, table.session_id, table.pickle)
            .where(table.sender_key.in_(sender_keys))
            .order_by(table.used_at)
        )
        return {row[0]: (row[1], row[2]) for row in await self._connection.execute(query)}

    async def with_olm_session(self, sender_keys: list[str]) -> set[str]:
        """Those of these device keys with which there is a session."""
        query = select(olm_sessions.c.sender_key).where(olm_sessions.c.sender_key.in_(sender_keys))
        return set((await self._connection.execute(query)).scalars())

    async def save_olm_sessions(self, rows: list[tuple[str, str, bytes, datetime]]) -> None:
        """Keep sessions: device key, session id, pickle, when it last received or was made."""
        names = ("sender_key", "session_id", "pickle", "used_at")
        await self._put(olm_sessions, *(dict(zip(names, row, strict=True)) for row in rows))

    async def update_olm_sessions(self, rows: list[tuple[str, str, bytes]]) -> None:
        """Keep the ratchets of sessions that have sent: device key, session id, pickle."""
        if not rows:
            return
        table = olm_sessions
        statement = update(table).where(
            table.c.sender_key == bindparam("of"), table.c.session_id == bindparam("which")
        )
        values = [{"of": row[0], "which": row[1], "pickle": row[2]} for row in rows]
        await self._connection.execute(statement.values(pickle=bindparam("pickle")), values)

    async def prune_olm_sessions(self, sender_key: str, keep: int) -> None:
        """Forget all but the `keep` sessions last used with this device."""
        stale = [session_id for session_id, _ in (await self.olm_sessions(sender_key))[keep:]]
        where = (olm_sessions.c.sender_key == sender_key, olm_sessions.c.session_id.in_(stale))
        await self._connection.execute(delete(olm_sessions).where(*where))

    async def inbound(self, room_id: str, session_id: str) -> list[InboundSession]:
        """All sessions of this id in this room, whoever gave them."""
        columns = [megolm_inbound.c[name] for name in InboundSession.__dataclass_fields__]
        query = select(*columns).where(
            megolm_inbound.c.room_id == room_id, megolm_inbound.c.session_id == session_id
        )
        return [InboundSession(*row) for row in await self._connection.execute(query)]

    async def inbound_count(self, sender_key: str) -> int:
        """How many sessions this device has given us."""
        query = select(func.count()).where(megolm_inbound.c.sender_key == sender_key)
        return int((await self._connection.execute(query)).scalar_one())

    async def save_inbound(self, session: InboundSession) -> None:
        """Keep a received session."""
        await self._put(megolm_inbound, dict(vars(session)))

    async def outbound(self, room_id: str) -> OutboundSession | None:
        """Our session for this room."""
        columns = [megolm_outbound.c[name] for name in OutboundSession.__dataclass_fields__]
        query = select(*columns).where(megolm_outbound.c.room_id == room_id)
        row = (await self._connection.execute(query)).one_or_none()
        return OutboundSession(*row) if row else None

    async def save_outbound(self, session: OutboundSession) -> None:
        """Keep a new session for its room."""
        await self._put(megolm_outbound, dict(vars(session)))

    async def change_outbound(self, session: OutboundSession, *columns: str) -> None:
        """Write these columns of a session anew; nothing if it was ended meanwhile."""
        table = megolm_outbound.c
        statement = (
            update(megolm_outbound)
            .where(table.room_id == session.room_id, table.session_id == session.session_id)
            .values({name: getattr(session, name) for name in columns})
        )
        await self._connection.execute(statement)

    async def end_outbound(self, room_ids: list[str]) -> None:
        """The next message to these rooms begins a new session."""
        await self._connection.execute(delete(megolm_outbound).where(megolm_outbound.c.room_id.in_(room_ids)))

    async def take_index(self, session: InboundSession, message_index: int, event_id: str) -> str:
        """Claim a ratchet index for an event; the event that has it, which is another one in a replay."""
        values = {
            "room_id": session.room_id,
            "session_id": session.session_id,
            "sender_key": session.sender_key,
            "message_index": message_index,
        }
        statement = upsert(self._connection, megolm_indexes).values(**values, event_id=event_id)
        await self._connection.execute(statement.on_conflict_do_nothing())
        query = select(megolm_indexes.c.event_id).filter_by(**values)
        return str((await self._connection.execute(query)).scalar_one())

    async def device_lists(self, users: list[str]) -> dict[str, DeviceList]:
        """What is known of these users' devices; a user who is not tracked is left out."""
        columns = [device_lists.c[name] for name in DeviceList.__dataclass_fields__]
        query = select(*columns).where(device_lists.c.user_id.in_(users))
        return {row[0]: DeviceList(*row) for row in await self._connection.execute(query)}

    async def fresh_device_lists(self, users: Sequence[str]) -> set[str]:
        """Those of these users whose devices are known and were not said to have changed."""
        table = device_lists.c
        query = select(table.user_id).where(table.user_id.in_(users), table.outdated.is_(False))
        return set((await self._connection.execute(query)).scalars())

    async def identity(self, user_id: str) -> str | None:
        """The valid master key that the homeserver last showed for this user; None if none was seen."""
        query = select(device_lists.c.document).where(device_lists.c.user_id == user_id)
        document = (await self._connection.execute(query)).scalar_one_or_none()
        return None if document is None else document.get("master")

    async def devices(self, user_id: str) -> list[KnownDevice]:
        """The devices that the homeserver last showed for this user, by id."""
        known = (await self.device_lists([user_id])).get(user_id)
        devices = known.document["devices"] if known else []
        found = [KnownDevice(each["device_id"], each["signed"], each["name"]) for each in devices]
        return sorted(found, key=lambda device: device.device_id)

    async def save_device_lists(self, known: Sequence[DeviceList]) -> None:
        """Keep what was learnt."""
        await self._put(device_lists, *(dict(vars(each)) for each in known))

    async def outdate_devices(self, users: list[str]) -> None:
        """These users' devices must be asked for again; None of them need be tracked."""
        statement = update(device_lists).where(device_lists.c.user_id.in_(users)).values(outdated=True)
        await self._connection.execute(statement)

    async def violations(self) -> list[str]:
        """Users whose identity is not the pinned one."""
        query = select(device_lists.c.user_id).where(device_lists.c.violation.is_not(None))
        return list((await self._connection.execute(query.order_by(device_lists.c.user_id))).scalars())

    async def end_violation(self, user_id: str) -> None:
        """What is shown for this user is what is pinned now."""
        statement = update(device_lists).where(device_lists.c.user_id == user_id)
        await self._connection.execute(statement.values(violation=None))

    async def room_states(self) -> dict[str, dict[str, Any]]:
        """What is remembered of every room."""
        query = select(room_states.c.room_id, room_states.c.document)
        return {row[0]: row[1] for row in await self._connection.execute(query)}

    async def save_room_state(self, room_id: str, document: dict[str, Any]) -> None:
        """Remember this of the room."""
        await self._put(room_states, {"room_id": room_id, "document": document})

    async def await_event(self, awaited: AwaitedEvent) -> None:
        """Keep an event until its key is here or its time is up; a second time changes nothing."""
        statement = upsert(self._connection, awaited_events).values(**vars(awaited))
        await self._connection.execute(statement.on_conflict_do_nothing())

    async def awaited(self, limit: int = 200) -> list[AwaitedEvent]:
        """The events that wait, oldest first."""
        columns = [awaited_events.c[name] for name in AwaitedEvent.__dataclass_fields__]
        order = (awaited_events.c.received_at, awaited_events.c.event_id)
        query = select(*columns).order_by(*order).limit(limit)
        return [AwaitedEvent(*row) for row in await self._connection.execute(query)]

    async def stop_awaiting(self, event_id: str) -> None:
        """It was decrypted, or given up."""
        await self._connection.execute(delete(awaited_events).where(awaited_events.c.event_id == event_id))

    async def sealed(self, txn_id: str) -> SealedMessage | None:
        """The encrypted form of a message that is still owed."""
        columns = [sealed_messages.c[name] for name in SealedMessage.__dataclass_fields__]
        query = select(*columns).where(sealed_messages.c.txn_id == txn_id)
        row = (await self._connection.execute(query)).one_or_none()
        return SealedMessage(*row) if row else None

    async def seal(self, message: SealedMessage) -> None:
        """Keep the encrypted form until it is sent."""
        await self._put(sealed_messages, dict(vars(message)))

    async def all_sealed(self) -> list[str]:
        """The transaction ids of all that is kept encrypted."""
        return list((await self._connection.execute(select(sealed_messages.c.txn_id))).scalars())

    async def unseal(self, txn_ids: Iterable[str]) -> None:
        """The homeserver has these."""
        gone = sealed_messages.c.txn_id.in_(list(txn_ids))
        await self._connection.execute(delete(sealed_messages).where(gone))

    async def _put(self, table: Table, *rows: dict[str, Any]) -> None:
        """Insert rows or replace those with the same key."""
        if not rows:
            return
        keys = list(table.primary_key.columns)
        names = [name for name in rows[0] if name not in {key.name for key in keys}]
        statement = upsert(self._connection, table)
        statement = statement.on_conflict_do_update(
            index_elements=keys, set_={name: statement.excluded[name] for name in names}
        )
        await self._connection.execute(statement, list(rows))
