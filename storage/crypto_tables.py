"""The tables of encryption state, which `storage.crypto` queries."""

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from storage.encryption import EncryptedBytes
from storage.schema import Instant, Json, metadata

crypto_values = Table(
    "crypto_values",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", EncryptedBytes("crypto_values.value"), nullable=False),
)

olm_sessions = Table(
    "olm_sessions",
    metadata,
    Column("sender_key", String, primary_key=True),
    Column("session_id", String, primary_key=True),
    Column("pickle", EncryptedBytes("olm_sessions.pickle"), nullable=False),
    Column("used_at", Instant, nullable=False),
)

megolm_inbound = Table(
    "megolm_inbound",
    metadata,
    Column("room_id", String, primary_key=True),
    Column("session_id", String, primary_key=True),
    Column("sender_key", String, primary_key=True),
    Column("user_id", String, nullable=False),
    Column("signing_key", String, nullable=False),
    Column("pickle", EncryptedBytes("megolm_inbound.pickle"), nullable=False),
    Column("received_at", Instant, nullable=False),
)

megolm_outbound = Table(
    "megolm_outbound",
    metadata,
    Column("room_id", String, primary_key=True),
    Column("session_id", String, nullable=False),
    Column("pickle", EncryptedBytes("megolm_outbound.pickle"), nullable=False),
    Column("messages", Integer, nullable=False),
    Column("shared_with", Json, nullable=False),
    Column("withheld_from", Json, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("offered", Json, nullable=False, server_default="{}"),
)

megolm_indexes = Table(
    "megolm_indexes",
    metadata,
    Column("room_id", String, primary_key=True),
    Column("session_id", String, primary_key=True),
    Column("sender_key", String, primary_key=True),
    Column("message_index", Integer, primary_key=True, autoincrement=False),
    Column("event_id", String, nullable=False),
)

device_lists = Table(
    "device_lists",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("outdated", Boolean, nullable=False),
    Column("document", Json, nullable=False),
    Column("violation", String),
)

room_states = Table(
    "room_states",
    metadata,
    Column("room_id", String, primary_key=True),
    Column("document", Json, nullable=False),
)

awaited_events = Table(
    "awaited_events",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("room_id", String, nullable=False),
    Column("session_id", String, nullable=False),
    Column("event", Json, nullable=False),
    Column("received_at", Instant, nullable=False),
    Index("ix_awaited_events_session", "room_id", "session_id"),
)

sealed_messages = Table(
    "sealed_messages",
    metadata,
    Column("txn_id", String, primary_key=True),
    Column("room_id", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("sealed_at", Instant, nullable=False),
)
