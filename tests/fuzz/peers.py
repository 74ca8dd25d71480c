"""Officers with real keys, for fuzzing: what they say is encrypted for the bot, ahead of time."""

import json
from typing import Any

from vodozemac import Account, AnyOlmMessage, Curve25519PublicKey, GroupSession, Session

from bot.kernel import clock
from bot.matrix.canonical import decode64, encode64, signable
from bot.matrix.cross_signing import OwnIdentity
from bot.matrix.identities import MEGOLM, OLM
from bot.matrix.olm import OlmMachine

Json = dict[str, Any]


class Peer:
    """One person with one cross-signed device."""

    def __init__(self, user_id: str, device_id: str) -> None:
        self.user_id, self.device_id = user_id, device_id
        self.account, self.group = Account(), GroupSession()
        self.own = OwnIdentity.of(user_id, clock.random_bytes(96))
        self.curve25519: str = self.account.curve25519_key.to_base64()
        self.ed25519: str = self.account.ed25519_key.to_base64()
        self.first_key: str = self.group.session_key.to_base64()
        self._pickle = ""

    def sign(self, value: Json) -> Json:
        """The value with the device's signature."""
        signatures = value.setdefault("signatures", {}).setdefault(self.user_id, {})
        signatures[f"ed25519:{self.device_id}"] = self.account.sign(signable(value)).to_base64()
        return value

    def device_keys(self) -> Json:
        """The device's keys, signed by itself and by its owner."""
        keys = {"curve25519": self.curve25519, "ed25519": self.ed25519}
        named = {f"{name}:{self.device_id}": key for name, key in keys.items()}
        value: Json = {
            "user_id": self.user_id,
            "device_id": self.device_id,
            "algorithms": [OLM, MEGOLM],
            "keys": named,
        }
        self.own.self_signing.add_signature(self.sign(value), self.user_id)
        return value

    def shown(self) -> Json:
        """What /keys/query says of this person."""
        return {
            "master_keys": {self.user_id: self.own.key_object("master")},
            "self_signing_keys": {self.user_id: self.own.key_object("self_signing")},
            "device_keys": {self.user_id: {self.device_id: self.device_keys()}},
        }

    def room_key(self, room_id: str) -> Json:
        """The content that opens this person's Megolm session."""
        return {
            "algorithm": MEGOLM,
            "room_id": room_id,
            "session_id": self.group.session_id,
            "session_key": self.first_key,
        }

    def sealed(self, room_id: str, kind: str, content: Json) -> str:
        """A Megolm ciphertext."""
        payload = {"room_id": room_id, "type": kind, "content": content}
        return str(self.group.encrypt(json.dumps(payload).encode()).to_base64())

    # Olm

    def begin(self, machine: OlmMachine, one_time_key: str) -> None:
        """An Olm session with the bot; each message is then sealed from this state of it."""
        session = self.account.create_outbound_session(
            Curve25519PublicKey.from_base64(machine.curve25519), Curve25519PublicKey.from_base64(one_time_key)
        )
        self._pickle = session.pickle(bytes(32))

    def seal(self, raw: bytes, *, keep: bool = False) -> tuple[int, str]:
        """Type and body of an Olm message; the session steps back afterwards unless it is to `keep`."""
        session = Session.from_pickle(self._pickle, bytes(32))
        kind, body = session.encrypt(raw).to_parts()
        if keep:
            self._pickle = session.pickle(bytes(32))
        return kind, encode64(body)

    def open(self, kind: int, body: str) -> None:
        """Take in an Olm message of the bot, so that the next of ours is of type 1."""
        session = Session.from_pickle(self._pickle, bytes(32))
        session.decrypt(AnyOlmMessage.from_parts(kind, decode64(body)))
        self._pickle = session.pickle(bytes(32))

    def payload(self, machine: OlmMachine, kind: str, content: Json) -> Json:
        """The plaintext of an Olm message to the bot."""
        return {
            "type": kind,
            "content": content,
            "sender": self.user_id,
            "recipient": machine.user_id,
            "recipient_keys": {"ed25519": machine.ed25519},
            "keys": {"ed25519": self.ed25519},
            "sender_device_keys": self.device_keys(),
        }
