"""Canonical JSON, unpadded base64 and signatures over objects (Matrix specification, Appendices)."""

import base64
import binascii
import json
from typing import Any, TypeGuard

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from vodozemac import Ed25519PublicKey, Ed25519Signature

from bot.matrix.wire import Json, Malformed, obj, text

MAX_INTEGER = 2**53 - 1
KEY_BYTES = 32


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value; Malformed for floats and integers out of range."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, float) or (isinstance(each, int) and abs(each) > MAX_INTEGER):
            raise Malformed("a number that canonical JSON does not know")
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise Malformed("no canonical form") from error


def signable(value: Json) -> bytes:
    """What a signature over this object covers: all but `signatures` and `unsigned`."""
    return canonical({key: each for key, each in value.items() if key not in ("signatures", "unsigned")})


def encode64(raw: bytes) -> str:
    """Unpadded base64."""
    return base64.b64encode(raw).decode().rstrip("=")


def decode64(value: str) -> bytes:
    """From base64, padded or not; Malformed if it is none."""
    try:
        return base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("not base64") from error


def is_key(value: Any) -> TypeGuard[str]:
    """Whether this is a public key as Matrix writes one: 32 bytes in unpadded base64, in its one form."""
    if text(value, 43) is None or len(value) != 43:
        return False
    try:
        raw = decode64(value)
    except Malformed:
        return False
    return len(raw) == KEY_BYTES and encode64(raw) == value


def verify(public_key: str, message: bytes, signature: Any) -> bool:
    """Whether `signature` (base64) is by `public_key` over `message`; False for anything malformed."""
    if not isinstance(signature, str) or not is_key(public_key):
        return False
    try:
        Ed25519PublicKey.from_base64(public_key).verify_signature(
            message, Ed25519Signature.from_base64(signature)
        )
    except ValueError:
        return False
    return True


def is_signed(value: Json, user_id: str, public_key: str, key_name: str | None = None) -> bool:
    """Whether `value` carries a valid signature of `user_id` by this key, named by itself or by a device."""
    signature = obj(obj(value.get("signatures")).get(user_id)).get(f"ed25519:{key_name or public_key}")
    try:
        return verify(public_key, signable(value), signature)
    except Malformed:
        return False


class SigningKey:
    """An Ed25519 key pair from its 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.seed = seed
        self.public = encode64(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> str:
        """The signature in unpadded base64."""
        return encode64(self._private.sign(message))

    def add_signature(self, value: Json, user_id: str) -> None:
        """Sign an object in place, beside the signatures it has."""
        signature = self.sign(signable(value))
        value.setdefault("signatures", {}).setdefault(user_id, {})[f"ed25519:{self.public}"] = signature
