"""The audit chain: what an entry's hash covers, how a head is signed, and what does not fit. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.encryption import Keyring

START = bytes(32)  # what the first entry follows on
LABEL = "tandem audit head"
FORGED = "the signature on the head at this place is not ours"


@dataclass(frozen=True)
class Sealed:
    """An entry as it is stored; `seq` is its place in the chain from 1, None before it is sealed."""

    id: int
    at: datetime
    type: str
    actor: str | None
    device_id: str | None
    device_verified: bool | None
    room_id: str | None
    agency: str | None
    object: str | None
    action: str
    outcome: str
    reason_code: str | None
    fields: list[str] | None
    event_id: str | None
    seq: int | None
    prev_hash: bytes | None
    hash: bytes | None

    def document(self) -> dict[str, Any]:
        """As JSON: instants in ISO 8601 with microseconds, hashes in hexadecimal."""
        values = dict(vars(self))
        for name in ("prev_hash", "hash"):
            values[name] = None if values[name] is None else bytes(values[name]).hex()
        return values | {"at": _iso(self.at)}


@dataclass(frozen=True)
class Head:
    """The end of the chain at one instant: place and hash of its last entry, signed with Ed25519."""

    seq: int
    hash: bytes
    signed_at: datetime
    signature: bytes

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "seq": self.seq,
            "hash": bytes(self.hash).hex(),
            "signed_at": _iso(self.signed_at),
            "signature": bytes(self.signature).hex(),
        }


@dataclass(frozen=True)
class Fault:
    """The first thing that does not fit: at which place of the chain, in which row (None: it is gone)."""

    seq: int
    id: int | None
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What a walk along the chain found; counts are up to the fault."""

    entries: int
    heads: int
    unsealed: int
    last_hash: str
    public_key: str
    fault: Fault | None


def digest(entry: Sealed, seq: int, prev_hash: bytes) -> bytes:
    """SHA-256 over the canonical JSON of all fields, this place and the hash before it."""
    document = entry.document() | {"seq": seq, "prev_hash": prev_hash.hex()}
    del document["hash"]
    return hashlib.sha256(_canonical(document)).digest()


def signature(keyring: Keyring, seq: int, hash_: bytes, signed_at: datetime) -> bytes:
    """The signature on a head, by the key that this database's master key leads to."""
    return _private_key(keyring).sign(_signed(seq, hash_, signed_at))


def public_key(keyring: Keyring) -> bytes:
    """What verifies the signatures on heads: 32 bytes, fit to be published."""
    return _private_key(keyring).public_key().public_bytes_raw()


@dataclass
class Chain:
    """A walk along the chain: entry follows entry, past the heads that were signed, then it is finished.

    `posted` are heads known from elsewhere, place and hash: what a copy outside the database remembers.
    """

    public_key: bytes
    posted: Mapping[int, bytes]
    last: bytes = START
    seq: int = 0
    heads: int = 0
    fault: Fault | None = None

    def follow(self, entry: Sealed, head: Head | None) -> bool:
        """Whether the entry is the next one, as it was sealed and as a head there says; a fault if not."""
        place = self.seq + 1
        if entry.seq != place:
            return self._wrong(place, None, f"the entry is gone; the next one there is {entry.seq}")
        if entry.prev_hash is None or bytes(entry.prev_hash) != self.last:
            return self._wrong(place, entry.id, "it does not follow on the entry before it")
        computed = digest(entry, place, self.last)
        if entry.hash is None or bytes(entry.hash) != computed:
            return self._wrong(place, entry.id, "it was changed after it was sealed")
        if head and not self._is_ours(head):
            return self._wrong(place, entry.id, FORGED)
        if head and bytes(head.hash) != computed:
            return self._wrong(place, entry.id, "it is not the entry that was signed at this place")
        if self.posted.get(place, computed) != computed:
            return self._wrong(place, entry.id, "it is not the entry whose head was posted")
        self.seq, self.last, self.heads = place, computed, self.heads + bool(head)
        return True

    def finish(self, beyond: Sequence[Head]) -> bool:
        """No more entries: False, and a fault, if a head was signed or posted behind the last one."""
        for head in beyond:
            if not self._is_ours(head):
                return self._wrong(head.seq, None, FORGED)
        signed = max([head.seq for head in beyond] + list(self.posted), default=0)
        if signed > self.seq:
            return self._wrong(self.seq + 1, None, f"the entry is gone: the chain was signed up to {signed}")
        return True

    def verdict(self, unsealed: int) -> Verdict:
        """What was found."""
        return Verdict(self.seq, self.heads, unsealed, self.last.hex(), self.public_key.hex(), self.fault)

    def _is_ours(self, head: Head) -> bool:
        signed = _signed(head.seq, bytes(head.hash), head.signed_at)
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(bytes(head.signature), signed)
        except InvalidSignature:
            return False
        return True

    def _wrong(self, seq: int, row: int | None, reason: str) -> bool:
        self.fault = Fault(seq, row, reason)
        return False


def _private_key(keyring: Keyring) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(keyring.derive(LABEL))


def _signed(seq: int, hash_: bytes, signed_at: datetime) -> bytes:
    return _canonical({"seq": seq, "hash": hash_.hex(), "signed_at": _iso(signed_at)})


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds")
