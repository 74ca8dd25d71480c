"""Encryption at rest: AES-256-GCM by column, wrapped data keys, blind indexes for look-ups."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, Dialect, Integer, LargeBinary, Table, TypeDecorator, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.schema import Instant, metadata, upsert

NONCE_BYTES = 12  # NIST SP 800-38D 8.2.1: 96-bit nonces
KEY_BYTES = 32

data_keys = Table(
    "data_keys",
    metadata,
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)


class WrongMasterKey(Exception):
    """The master key does not open this database's data keys."""


class Keyring:
    """The open data keys of one database; the newest encrypts, all decrypt."""

    def __init__(self, keys: dict[int, bytes], random_bytes: Callable[[int], bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._newest = max(keys)
        self._random_bytes = random_bytes
        # The oldest key is never taken out of use: what is derived from it must outlive a rotation.
        self._root = keys[min(keys)]
        self._index_key = self.derive("tandem blind index")

    def encrypt(self, plain: bytes, label: str) -> bytes:
        """Key id (4 bytes), nonce (12), ciphertext and tag; `label` is authenticated, not stored."""
        nonce = self._random_bytes(NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, plain, label.encode())
        return self._newest.to_bytes(4, "big") + nonce + sealed

    def decrypt(self, stored: bytes, label: str) -> bytes:
        """The plain bytes; raises InvalidTag if the value was changed or moved to another column."""
        cipher = self._ciphers.get(int.from_bytes(stored[:4], "big"))
        nonce, sealed = stored[4 : 4 + NONCE_BYTES], stored[4 + NONCE_BYTES :]
        if cipher is None or len(nonce) < NONCE_BYTES:
            raise InvalidTag
        return cipher.decrypt(nonce, sealed, label.encode())

    def derive(self, label: str) -> bytes:
        """A key of 32 bytes for one other purpose; the same for ever."""
        return hmac.digest(self._root, label.encode(), hashlib.sha256)

    def blind(self, value: str, label: str) -> bytes:
        """A keyed digest by which an encrypted value can be looked up exactly."""
        return hmac.digest(self._index_key, f"{label}\0{value}".encode(), hashlib.sha256)


async def open_keyring(
    connection: AsyncConnection, master_key: bytes, now: datetime, random_bytes: Callable[[int], bytes]
) -> Keyring:
    """Unwrap the data keys, making the first one in a new database; WrongMasterKey if they do not open."""
    if len(master_key) != KEY_BYTES:
        raise WrongMasterKey(f"the master key must be {KEY_BYTES} bytes, not {len(master_key)}")
    master = AESGCM(master_key)
    wrapped_keys = await _wrapped_keys(connection)
    if not wrapped_keys:
        nonce = random_bytes(NONCE_BYTES)
        wrapped = nonce + master.encrypt(nonce, random_bytes(KEY_BYTES), _wrap_label(1))
        statement = upsert(connection, data_keys).values(key_id=1, wrapped=wrapped, created_at=now)
        await connection.execute(statement.on_conflict_do_nothing())
        # Read again: of processes that start at once on a new database, one has made the key for all.
        wrapped_keys = await _wrapped_keys(connection)
    try:
        keys = {
            key_id: master.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _wrap_label(key_id))
            for key_id, wrapped in wrapped_keys.items()
        }
    except InvalidTag as error:
        raise WrongMasterKey("the master key does not belong to this database") from error
    return Keyring(keys, random_bytes)


async def _wrapped_keys(connection: AsyncConnection) -> dict[int, bytes]:
    rows = await connection.execute(select(data_keys.c.key_id, data_keys.c.wrapped))
    return {key_id: bytes(wrapped) for key_id, wrapped in rows}


def _wrap_label(key_id: int) -> bytes:
    return f"tandem data key {key_id}".encode()


class EncryptedColumn(TypeDecorator[Any]):
    """A column whose value is sealed with the engine's keyring under its own label, `table.column`."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def encode(self, value: Any) -> bytes:
        """The value as plain bytes."""
        raise TypeError("use one of the subclasses")

    def decode(self, plain: bytes) -> Any:
        """The value again from plain bytes."""
        raise TypeError("use one of the subclasses")

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        """Seal for the driver."""
        return None if value is None else keyring_of(dialect).encrypt(self.encode(value), self.label)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        """Open what the driver gave."""
        return None if value is None else self.decode(keyring_of(dialect).decrypt(bytes(value), self.label))


class Encrypted(EncryptedColumn):
    """Text that people wrote."""

    cache_ok = True

    def encode(self, value: str) -> bytes:
        """UTF-8."""
        return value.encode()

    def decode(self, plain: bytes) -> str:
        """From UTF-8."""
        return plain.decode()


class EncryptedBytes(EncryptedColumn):
    """Key material and other bytes."""

    cache_ok = True

    def encode(self, value: bytes) -> bytes:
        """As they are."""
        return value

    def decode(self, plain: bytes) -> bytes:
        """As they are."""
        return plain


class EncryptedJson(EncryptedColumn):
    """A JSON document, for example a message's content."""

    cache_ok = True

    def encode(self, value: Any) -> bytes:
        """Compact JSON."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def decode(self, plain: bytes) -> Any:
        """From JSON."""
        return json.loads(plain)


def keyring_of(dialect: Dialect) -> Keyring:
    """The keyring that `Database.unlock` put on the engine's dialect; RuntimeError before that."""
    keyring = getattr(dialect, "tandem_keyring", None)
    if not isinstance(keyring, Keyring):
        raise RuntimeError("the database is locked: call Database.unlock first")
    return keyring
