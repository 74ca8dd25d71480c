"""Secret storage: our identity under a recovery key (Matrix specification, "Secrets")."""

import hashlib
import hmac

import base58
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bot.kernel import clock
from bot.matrix.account import Account
from bot.matrix.api import Homeserver
from bot.matrix.canonical import decode64, encode64
from bot.matrix.cross_signing import SEED_BYTES, SEEDS, USAGES, OwnIdentity
from bot.matrix.errors import ForeignIdentity
from bot.matrix.identities import read_identity
from bot.matrix.login import sign_in
from bot.matrix.wire import Json, Malformed, need, obj, text
from storage.transaction import Database

ALGORITHM = "m.secret_storage.v1.aes-hmac-sha2"
PREFIX = b"\x8b\x01"
KEY_BYTES = 32
DEFAULT_KEY = "m.secret_storage.default_key"


def recovery_text(key: bytes) -> str:
    """The key as people write it: base58 in groups of four, with a parity byte."""
    raw = PREFIX + key
    parity = 0
    for byte in raw:
        parity ^= byte
    written = base58.b58encode(raw + bytes([parity])).decode()
    return " ".join(written[at : at + 4] for at in range(0, len(written), 4))


def recovery_key(typed: str) -> bytes:
    """The key from its text; Malformed if it was mistyped."""
    try:
        raw = base58.b58decode("".join(typed.split()))
    except ValueError as error:
        raise Malformed("not a recovery key") from error
    parity = 0
    for byte in raw:
        parity ^= byte
    if len(raw) != len(PREFIX) + KEY_BYTES + 1 or raw[:2] != PREFIX or parity != 0:
        raise Malformed("not a recovery key")
    return raw[2:-1]


def _keys(key: bytes, name: str) -> tuple[bytes, bytes]:
    derived = HKDF(SHA256(), 64, salt=bytes(32), info=name.encode()).derive(key)
    return derived[:32], derived[32:]


def _crypt(key: bytes, iv: bytes, value: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(value) + cipher.finalize()


def seal(key: bytes, name: str, secret: bytes, iv: bytes) -> Json:
    """Encrypt a secret under its name; bit 63 of the iv is cleared, for clients that count in 64 bits."""
    iv = iv[:8] + bytes([iv[8] & 0x7F]) + iv[9:]
    aes, mac = _keys(key, name)
    sealed = _crypt(aes, iv, secret)
    return {
        "iv": encode64(iv),
        "ciphertext": encode64(sealed),
        "mac": encode64(hmac.digest(mac, sealed, hashlib.sha256)),
    }


def unseal(key: bytes, name: str, sealed: Json) -> bytes:
    """The secret again; Malformed if key, name or bytes are not those it was sealed with."""
    aes, mac = _keys(key, name)
    ciphertext = decode64(need(sealed.get("ciphertext"), 4096))
    if not hmac.compare_digest(
        hmac.digest(mac, ciphertext, hashlib.sha256), decode64(need(sealed.get("mac")))
    ):
        raise Malformed("this recovery key does not open the secret")
    iv = decode64(need(sealed.get("iv")))
    if len(iv) != 16:
        raise Malformed("an iv of the wrong length")
    return _crypt(aes, iv, ciphertext)


async def store_identity(server: Homeserver, own: OwnIdentity) -> str:
    """Put the three seeds into secret storage under a new key; its text, kept nowhere else."""
    key, key_id = clock.random_bytes(KEY_BYTES), encode64(clock.random_bytes(16)).replace("/", "_")
    check = seal(key, "", bytes(32), clock.random_bytes(16))
    description = {"algorithm": ALGORITHM, "iv": check["iv"], "mac": check["mac"]}
    user = own.user_id
    await server.put_account_data(user, f"m.secret_storage.key.{key_id}", description)
    for usage in USAGES:
        name = f"m.cross_signing.{usage}"
        seed = encode64(getattr(own, usage).seed).encode()
        sealed = seal(key, name, seed, clock.random_bytes(16))
        await server.put_account_data(user, name, {"encrypted": {key_id: sealed}})
    await server.put_account_data(user, DEFAULT_KEY, {"key": key_id})
    return recovery_text(key)


async def read_seeds(server: Homeserver, user: str, typed: str) -> bytes:
    """The three seeds from secret storage, 96 bytes; Malformed if the recovery key is not theirs."""
    key = recovery_key(typed)
    default = need((await server.account_data(user, DEFAULT_KEY) or {}).get("key"))
    seeds = b""
    for usage in USAGES:
        name = f"m.cross_signing.{usage}"
        stored = obj(await server.account_data(user, name))
        seeds += _seed(unseal(key, name, obj(obj(stored.get("encrypted")).get(default))))
    return seeds


def _seed(secret: bytes) -> bytes:
    """A seed of 32 bytes from what was sealed; Malformed if it is none."""
    try:
        seed = decode64(secret.decode())
    except UnicodeDecodeError as error:
        raise Malformed("not a seed") from error
    if len(seed) != SEED_BYTES:
        raise Malformed("a seed of the wrong length")
    return seed


async def is_stored(server: Homeserver, user: str) -> bool:
    """Whether all three seeds lie in secret storage under its present key."""
    default = text(obj(await server.account_data(user, DEFAULT_KEY)).get("key"))
    for usage in USAGES:
        stored = obj(obj(await server.account_data(user, f"m.cross_signing.{usage}")).get("encrypted"))
        if default is None or default not in stored:
            return False
    return True


async def recover(database: Database, account: Account, typed: str) -> OwnIdentity:
    """Sign in, and keep the identity that the recovery key opens; MatrixError if that is not to be had.

    Only into a database that has none: the next start then signs its device with it.
    """
    async with database.transaction() as tx:
        if await tx.crypto.value(SEEDS) is not None:
            raise ForeignIdentity("this database has an identity already; there is nothing to recover")
    server = Homeserver(account.homeserver)
    try:
        recovery_key(typed)  # before a device is made for it
        user, _ = await sign_in(database, server, account, recovering=True)
        seeds = await read_seeds(server, user, typed)
        shown = read_identity(user, await server.keys_query([user]))
    except Malformed as error:
        raise ForeignIdentity("this recovery key does not open the account's secret storage") from error
    finally:
        await server.close()
    own = OwnIdentity.of(user, seeds)
    if shown.master != own.master.public:
        raise ForeignIdentity(
            "the account shows another identity than the recovery key opens; look why first"
        )
    async with database.transaction() as tx:
        await tx.crypto.set_value(SEEDS, seeds)
    return own
