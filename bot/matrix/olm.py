"""Olm: the device's account, its published keys, and one-to-one sessions with other devices."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass

from vodozemac import Account, AnyOlmMessage, Curve25519PublicKey, PreKeyMessage, Session

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.canonical import decode64, encode64, is_key, is_signed, signable
from bot.matrix.identities import MEGOLM, OLM
from bot.matrix.trust import Device, Owner
from bot.matrix.wire import Json, Malformed, need, number, obj, parse_plaintext
from storage.transaction import Database, Transaction

PICKLE_KEY_BYTES = 32
SESSIONS_A_DEVICE = 8  # older ones are forgotten; matrix-sdk-crypto needs two or three at most
SENDER_DEVICE_KEYS = ("sender_device_keys", "org.matrix.msc4147.device_keys")  # MSC4147
ACCOUNT, PICKLE_KEY = "account", "pickle_key"


@dataclass(frozen=True)
class OlmPayload:
    """What one Olm message carried: all that Olm proves of its sender is in `owner`."""

    owner: Owner
    kind: str
    content: Json


class Unopened(Malformed):
    """An Olm message that no session opens: the channel with this device is broken, or it is a forgery."""

    def __init__(self, sender_key: str) -> None:
        super().__init__("no session opens this Olm message")
        self.sender_key = sender_key


class OlmMachine:
    """Our device's account and sessions; state lives in the database, nothing is kept in memory but keys.

    Every method that takes a transaction must be called with `lock` held: two tasks that read the same
    ratchet would use one of its keys twice.
    """

    def __init__(self, user_id: str, device_id: str, pickle_key: bytes, account: Account) -> None:
        self.user_id = user_id
        self.device_id = device_id
        self.lock = asyncio.Lock()
        self.pickle_key = pickle_key
        self.curve25519: str = account.curve25519_key.to_base64()
        self.ed25519: str = account.ed25519_key.to_base64()
        self._signer = account  # its two identity keys never change; all else is read from the database
        self.device_keys = self._signed_device_keys()

    @classmethod
    async def open(cls, database: Database, user_id: str, device_id: str) -> "OlmMachine":
        """Restore the device's account, or make it."""
        async with database.transaction() as tx:
            key = await tx.crypto.value(PICKLE_KEY)
            if key is None:
                key = clock.random_bytes(PICKLE_KEY_BYTES)
                await tx.crypto.set_value(PICKLE_KEY, key)
            pickle = await tx.crypto.value(ACCOUNT)
            account = Account() if pickle is None else Account.from_pickle(pickle.decode(), key)
            machine = cls(user_id, device_id, key, account)
            if pickle is None:
                await machine._save_account(tx, account)
        return machine

    def _signed_device_keys(self) -> Json:
        keys: Json = {
            "user_id": self.user_id,
            "device_id": self.device_id,
            "algorithms": [OLM, MEGOLM],
            "keys": {
                f"curve25519:{self.device_id}": self.curve25519,
                f"ed25519:{self.device_id}": self.ed25519,
            },
        }
        self.sign(keys)
        return keys

    def sign(self, value: Json) -> None:
        """Add this device's signature to an object, in place."""
        signature = self._signer.sign(signable(value)).to_base64()
        signatures = value.setdefault("signatures", {}).setdefault(self.user_id, {})
        signatures[f"ed25519:{self.device_id}"] = signature

    async def _account(self, tx: Transaction) -> Account:
        pickle = await tx.crypto.value(ACCOUNT)
        if pickle is None:
            raise RuntimeError("the device's account is gone from the database")
        return Account.from_pickle(pickle.decode(), self.pickle_key)

    async def _save_account(self, tx: Transaction, account: Account) -> None:
        await tx.crypto.set_value(ACCOUNT, account.pickle(self.pickle_key).encode())

    async def keys_to_publish(self, tx: Transaction, on_server: int, fallback_used: bool) -> Json:
        """The /keys/upload body that brings the homeserver up to date; kept before it leaves.

        Keys that were made but never confirmed are in it again, so a crash in between loses none.
        """
        account = await self._account(tx)
        wanted = int(account.max_number_of_one_time_keys) - on_server - len(account.one_time_keys)
        if wanted > 0:
            account.generate_one_time_keys(wanted)
        if fallback_used and not account.fallback_key:  # type: ignore[attr-defined]  # not in its stubs
            account.generate_fallback_key()  # type: ignore[attr-defined]  # not in its stubs
        await self._save_account(tx, account)
        body: Json = {"device_keys": self.device_keys}
        body["one_time_keys"] = self._signed_keys(account.one_time_keys.items(), {})
        fallback = account.fallback_key  # type: ignore[attr-defined]  # not in its stubs
        body["fallback_keys"] = self._signed_keys(fallback.items(), {"fallback": True})
        return body

    def _signed_keys(self, keys: Iterable[tuple[str, Curve25519PublicKey]], more: Json) -> Json:
        signed: Json = {}
        for key_id, key in keys:
            value = {"key": key.to_base64(), **more}
            self.sign(value)
            signed[f"signed_curve25519:{key_id}"] = value
        return signed

    async def keys_were_published(self, tx: Transaction) -> None:
        """The homeserver has confirmed them."""
        account = await self._account(tx)
        account.mark_keys_as_published()
        await self._save_account(tx, account)

    async def decrypt(self, tx: Transaction, event: Json) -> OlmPayload:
        """A to-device `m.room.encrypted`, decrypted and checked; Malformed or ValueError if it is dropped.

        The new ratchet is part of the transaction. Checks: Matrix specification 1.15, "Validation of
        incoming decrypted events".
        """
        sender, content = need(event.get("sender")), obj(event.get("content"))
        sender_key = content.get("sender_key")
        message = obj(obj(content.get("ciphertext")).get(self.curve25519))
        if content.get("algorithm") != OLM or not is_key(sender_key) or not message:
            raise Malformed("not an Olm message for us")
        kind, body = number(message.get("type")), need(message.get("body"), 1 << 20)
        if kind not in (0, 1):
            raise Malformed("no such type of Olm message")
        sealed = AnyOlmMessage.from_parts(kind, decode64(body))
        try:
            plain = await self._open(tx, sender_key, sealed)
        except ValueError as error:
            raise Unopened(sender_key) from error
        payload = parse_plaintext(plain)
        return self._checked(sender, sender_key, payload)

    async def _open(self, tx: Transaction, sender_key: str, sealed: AnyOlmMessage) -> bytes:
        first: PreKeyMessage | None = sealed.to_pre_key()
        for _, pickle in await tx.crypto.olm_sessions(sender_key):
            session = Session.from_pickle(pickle.decode(), self.pickle_key)
            if first is not None and not session.session_matches(first):
                continue
            try:
                plain: bytes = session.decrypt(sealed)
            except ValueError:
                if first is not None:
                    raise
                continue
            await self._save_session(tx, sender_key, session)
            return plain
        if first is None:
            raise Malformed("no session opens this Olm message")
        account = await self._account(tx)
        session, plain = account.create_inbound_session(Curve25519PublicKey.from_base64(sender_key), first)
        await self._save_account(tx, account)
        await self._save_session(tx, sender_key, session)
        await tx.crypto.prune_olm_sessions(sender_key, SESSIONS_A_DEVICE)
        return plain

    async def _save_session(self, tx: Transaction, sender_key: str, session: Session) -> None:
        pickle = session.pickle(self.pickle_key).encode()
        await tx.crypto.save_olm_sessions([(sender_key, session.session_id, pickle, clock.now())])

    def _checked(self, sender: str, sender_key: str, payload: Json) -> OlmPayload:
        ed25519 = obj(payload.get("keys")).get("ed25519")
        if payload.get("sender") != sender or payload.get("recipient") != self.user_id:
            raise Malformed("an Olm payload of or for someone else")
        if obj(payload.get("recipient_keys")).get("ed25519") != self.ed25519 or not is_key(ed25519):
            raise Malformed("an Olm payload for another device")
        owner = Owner(sender, sender_key, ed25519)
        for name in SENDER_DEVICE_KEYS:
            if name in payload:
                check_sender_device_keys(owner, obj(payload[name]))
        return OlmPayload(owner, need(payload.get("type")), obj(payload.get("content")))

    async def encrypt(
        self,
        database: Database,
        devices: list[Device],
        kind: str,
        content: Json,
        claimed: Json,
        *,
        anew: bool = False,
    ) -> list[Json | None]:
        """The to-device content for each device; None where there is no session and no key to begin one.

        `claimed` is an answer of /keys/claim; `anew` begins a session even where there is one. Takes the lock
        itself; the ratchets are committed before it returns, so that after a crash no step of one is used
        for a second message.
        """
        async with self.lock, database.transaction() as tx:
            keys = [] if anew else [device.curve25519 for device in devices]
            known = await tx.crypto.latest_olm_sessions(keys)
            # Half a millisecond each: the loop goes on meanwhile.
            sealed, used = await asyncio.to_thread(self._seal_all, devices, kind, content, known, claimed)
            await tx.crypto.save_olm_sessions(
                [(key, *session, clock.now()) for key, session in used.items() if key not in known]
            )
            # When a session last *received* decides which one is used, so that both ends agree.
            await tx.crypto.update_olm_sessions(
                [(key, *session) for key, session in used.items() if key in known]
            )
        return sealed

    def _seal_all(
        self,
        devices: list[Device],
        kind: str,
        content: Json,
        known: dict[str, tuple[str, bytes]],
        claimed: Json,
    ) -> tuple[list[Json | None], dict[str, tuple[str, bytes]]]:
        """The messages, and by device key the id and pickle of each session that was used."""
        sealed: list[Json | None] = []
        used: dict[str, tuple[str, bytes]] = {}
        for device in devices:
            session = self._session_with(device, known, claimed)
            sealed.append(None if session is None else self._seal(session, device, kind, content))
            if session is not None:
                used[device.curve25519] = session.session_id, session.pickle(self.pickle_key).encode()
        return sealed, used

    def _session_with(
        self, device: Device, known: dict[str, tuple[str, bytes]], claimed: Json
    ) -> Session | None:
        """The session we have, else a new one; None for a device with a bad one-time key, or none (S5)."""
        if device.curve25519 in known:
            return Session.from_pickle(known[device.curve25519][1].decode(), self.pickle_key)
        offered = obj(obj(claimed.get("one_time_keys")).get(device.user_id))
        key = claimed_key(device, obj(offered.get(device.device_id)))
        if key is None:
            return None
        try:
            return self._signer.create_outbound_session(
                Curve25519PublicKey.from_base64(device.curve25519), Curve25519PublicKey.from_base64(key)
            )
        except ValueError:
            return None

    def _seal(self, session: Session, device: Device, kind: str, content: Json) -> Json:
        payload = {
            "type": kind,
            "content": content,
            "sender": self.user_id,
            "recipient": device.user_id,
            "recipient_keys": {"ed25519": device.ed25519},
            "keys": {"ed25519": self.ed25519},
            "sender_device_keys": self.device_keys,
        }
        message_type, body = session.encrypt(json.dumps(payload).encode()).to_parts()
        return {
            "algorithm": OLM,
            "sender_key": self.curve25519,
            "ciphertext": {device.curve25519: {"type": message_type, "body": encode64(body)}},
        }

    @staticmethod
    async def claim(server: Homeserver, devices: list[Device]) -> Json:
        """Ask the homeserver for a one-time key of each device."""
        wanted: dict[str, dict[str, str]] = {}
        for device in devices:
            wanted.setdefault(device.user_id, {})[device.device_id] = "signed_curve25519"
        return await server.keys_claim(wanted) if wanted else {}


def check_sender_device_keys(owner: Owner, keys: Json) -> None:
    """Device keys inside an Olm payload must be the sender's own, whole and signed; else Malformed (S9)."""
    device_id = need(keys.get("device_id"))
    named = obj(keys.get("keys"))
    if (
        keys.get("user_id") != owner.user_id
        or named.get(f"ed25519:{device_id}") != owner.ed25519
        or named.get(f"curve25519:{device_id}") != owner.curve25519
        or not is_signed(keys, owner.user_id, owner.ed25519, device_id)
    ):
        raise Malformed("sender_device_keys that are not the sender's")


def claimed_key(device: Device, keys: Json) -> str | None:
    """The one-time key that the device has signed; None if there is none."""
    for name, value in keys.items():
        key = obj(value).get("key")
        if (
            name.startswith("signed_curve25519:")
            and is_key(key)
            and is_signed(obj(value), device.user_id, device.ed25519, device.device_id)
        ):
            return str(key)
    return None
