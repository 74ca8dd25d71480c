"""Files as they lie on the homeserver: each encrypted with a key that goes with its message.

Source: Matrix specification, client-server API, "Sending encrypted attachments" (version 2).
"""

import base64
import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bot.kernel import clock
from bot.matrix.canonical import decode64, encode64
from bot.matrix.wire import Json, Malformed, obj, text

KEY_BYTES = 32
BLOCK = 16
VERSION = "v2"


def seal(content: bytes) -> tuple[bytes, Json]:
    """The ciphertext, and what a reader needs to open it; where it lies, `url`, is still to be added."""
    key = clock.random_bytes(KEY_BYTES)
    # The counter is the lower half; that it begins at 0 keeps it from running over (specification, ibid.).
    start = clock.random_bytes(BLOCK // 2) + bytes(BLOCK // 2)
    ciphertext = _crypt(content, key, start)
    web_key = {
        "kty": "oct",
        "key_ops": ["encrypt", "decrypt"],
        "alg": "A256CTR",
        "k": base64.urlsafe_b64encode(key).decode().rstrip("="),
        "ext": True,
    }
    digest = encode64(hashlib.sha256(ciphertext).digest())
    return ciphertext, {"v": VERSION, "key": web_key, "iv": encode64(start), "hashes": {"sha256": digest}}


def unseal(ciphertext: bytes, file: Json) -> bytes:
    """The content again; Malformed if these are not the bytes that were sent, or no key for them."""
    key = decode64((text(obj(file.get("key")).get("k")) or "").replace("-", "+").replace("_", "/"))
    start = decode64(text(file.get("iv")) or "")
    if file.get("v") != VERSION or len(key) != KEY_BYTES or len(start) != BLOCK:
        raise Malformed("not the description of an encrypted file")
    digest = decode64(text(obj(file.get("hashes")).get("sha256")) or "")
    if hashlib.sha256(ciphertext).digest() != digest:
        raise Malformed("not the file that was sent")
    return _crypt(ciphertext, key, start)


def _crypt(content: bytes, key: bytes, start: bytes) -> bytes:
    """AES in counter mode: the same both ways."""
    stream = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()
    return stream.update(content) + stream.finalize()
