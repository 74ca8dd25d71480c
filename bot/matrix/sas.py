"""One verification by short authentication string, as a state machine: no I/O, no clock, no trust.

Strings and order are those of the Matrix specification, "Short Authentication String (SAS) verification".
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from vodozemac import Curve25519PublicKey, EstablishedSas
from vodozemac import Sas as KeyPair

from bot.matrix.canonical import canonical, encode64, is_key
from bot.matrix.wire import Json, Malformed, obj, text, texts

METHOD = "m.sas.v1"
AGREEMENT = "curve25519-hkdf-sha256"
HASH = "sha256"
MAC = "hkdf-hmac-sha256.v2"
EMOJI, DECIMAL = "emoji", "decimal"
PREFIX = "m.key.verification."
MOST_KEYS = 20  # in one `mac`; a device and a master key are two


class Code(StrEnum):
    """Why a verification ended without a result; `m.key.verification.cancel` carries it."""

    USER = "m.user"
    TIMEOUT = "m.timeout"
    UNKNOWN_TRANSACTION = "m.unknown_transaction"
    UNKNOWN_METHOD = "m.unknown_method"
    UNEXPECTED_MESSAGE = "m.unexpected_message"
    KEY_MISMATCH = "m.key_mismatch"
    INVALID_MESSAGE = "m.invalid_message"
    MISMATCHED_COMMITMENT = "m.mismatched_commitment"
    MISMATCHED_SAS = "m.mismatched_sas"


class Cancelled(Exception):
    """This verification cannot go on."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.value)
        self.code = code


class Stage(StrEnum):
    """What is waited for."""

    START = "start"
    ACCEPT = "accept"
    KEY = "key"
    COMPARE = "compare"
    OVER = "over"


@dataclass(frozen=True)
class Party:
    """One side: a device, and the keys it vouches for, as `{"ed25519:ID": key}`."""

    user_id: str
    device_id: str
    keys: dict[str, str]


Message = tuple[str, Json]
"""A kind, without `m.key.verification.`, and its content."""


class Sas:
    """One exchange; `relation` is what every message carries to name the transaction.

    What comes in goes to `receive`, what goes out comes from it; Cancelled ends it. The result stands when
    `is_proven`: both clients have vouched for their keys, and the other's are those in `other`.
    """

    def __init__(self, own: Party, other: Party, transaction: str, relation: Json) -> None:
        self.own = own
        self.other = other
        self.stage = Stage.START
        self.emoji: tuple[int, ...] = ()
        self.decimals: tuple[int, ...] = ()
        self._transaction = transaction
        self._relation = relation
        self._pair = KeyPair()
        self._public: str = self._pair.public_key.to_base64()
        self._we_started = False
        self._start: Json = {}
        self._commitment = ""
        self._secret: EstablishedSas | None = None
        self._agreed = self._proven = False

    @property
    def is_proven(self) -> bool:
        """Whether both sides have confirmed, and the other's keys are those that we know."""
        return self._agreed and self._proven

    @property
    def may_confirm(self) -> bool:
        """Whether the other side has, and we have not."""
        return self._proven and not self._agreed

    def start(self) -> list[Message]:
        """Begin, once both are ready."""
        self._expect(Stage.START)
        self._we_started, self.stage = True, Stage.ACCEPT
        self._start = {
            "from_device": self.own.device_id,
            "method": METHOD,
            "key_agreement_protocols": [AGREEMENT],
            "hashes": [HASH],
            "message_authentication_codes": [MAC],
            "short_authentication_string": [DECIMAL, EMOJI],
            **self._relation,
        }
        return [("start", self._start)]

    def confirm(self) -> list[Message]:
        """Our side vouches for its keys."""
        self._expect(Stage.COMPARE)
        if self._agreed:
            raise Cancelled(Code.UNEXPECTED_MESSAGE)
        self._agreed = True
        macs = {name: self._mac(self.own, self.other, name, key) for name, key in self.own.keys.items()}
        keys = self._mac(self.own, self.other, "KEY_IDS", ",".join(sorted(macs)))
        return [("mac", {"mac": macs, "keys": keys, **self._relation}), *self._done()]

    def receive(self, kind: str, content: Json) -> list[Message]:
        """Take in what the other side says; what we say to it."""
        handlers = {"start": self._started, "accept": self._accepted, "key": self._key, "mac": self._macs}
        if kind == "done" and self._proven:
            return []
        if kind not in handlers:
            raise Cancelled(Code.UNEXPECTED_MESSAGE)
        try:
            return handlers[kind](content)
        except ValueError as error:  # of vodozemac too
            raise Cancelled(Code.INVALID_MESSAGE) from error

    def _expect(self, *stages: Stage) -> None:
        if self.stage not in stages:
            raise Cancelled(Code.UNEXPECTED_MESSAGE)

    def _started(self, content: Json) -> list[Message]:
        self._expect(Stage.START, Stage.ACCEPT)
        if content.get("from_device") != self.other.device_id:
            raise Malformed("begun by another device")
        ours = (self.own.user_id, self.own.device_id)
        if self.stage is Stage.ACCEPT and ours < (self.other.user_id, self.other.device_id):
            return []  # both began; ours counts, as the smaller id
        _check_offer(content)
        self._we_started, self._start, self.stage = False, content, Stage.KEY
        answer = {
            "method": METHOD,
            "key_agreement_protocol": AGREEMENT,
            "hash": HASH,
            "message_authentication_code": MAC,
            "short_authentication_string": _shown(content),
            "commitment": commitment(self._public, content),
            **self._relation,
        }
        return [("accept", answer)]

    def _accepted(self, content: Json) -> list[Message]:
        self._expect(Stage.ACCEPT)
        chosen = (
            content.get("key_agreement_protocol"),
            content.get("hash"),
            content.get("message_authentication_code"),
        )
        if chosen != (AGREEMENT, HASH, MAC) or EMOJI not in _shown(content):
            raise Cancelled(Code.UNKNOWN_METHOD)
        promised = text(content.get("commitment"))
        if promised is None:
            raise Malformed("no commitment")
        self._commitment, self.stage = promised, Stage.KEY
        return [("key", self._own_key())]

    def _own_key(self) -> Json:
        return {"key": self._public, **self._relation}

    def _key(self, content: Json) -> list[Message]:
        self._expect(Stage.KEY)
        theirs = content.get("key")
        if not is_key(theirs) or theirs == self._public:
            raise Malformed("no key, or our own")
        if self._we_started and commitment(theirs, self._start) != self._commitment:
            raise Cancelled(Code.MISMATCHED_COMMITMENT)
        self._secret = self._pair.diffie_hellman(Curve25519PublicKey.from_base64(theirs))
        shown = self._secret.bytes(self._info(theirs))
        self.emoji, self.decimals = tuple(shown.emoji_indices), tuple(shown.decimals)
        self.stage = Stage.COMPARE
        return [] if self._we_started else [("key", self._own_key())]

    def _info(self, theirs: str) -> str:
        own = (self.own.user_id, self.own.device_id, self._public)
        other = (self.other.user_id, self.other.device_id, theirs)
        first, second = (own, other) if self._we_started else (other, own)
        return "|".join(("MATRIX_KEY_VERIFICATION_SAS", *first, *second, self._transaction))

    def _macs(self, content: Json) -> list[Message]:
        self._expect(Stage.COMPARE)
        macs, keys = obj(content.get("mac")), text(content.get("keys"))
        if self._proven or keys is None or not macs or len(macs) > MOST_KEYS:
            raise Cancelled(Code.UNEXPECTED_MESSAGE if self._proven else Code.INVALID_MESSAGE)
        self._check("KEY_IDS", ",".join(sorted(macs)), keys)
        for name in self.other.keys:
            # A device that vouches for itself alone says nothing of the identity that is pinned.
            self._check(name, self.other.keys[name], text(macs.get(name)))
        self._proven = True
        return self._done()

    def _check(self, name: str, value: str, tag: str | None) -> None:
        assert self._secret is not None  # noqa: S101  # nothing is compared before
        info = self._mac_info(self.other, self.own, name)
        try:
            self._secret.verify_mac(value, info, tag or "")
        except ValueError as error:
            raise Cancelled(Code.KEY_MISMATCH) from error

    def _mac(self, by: Party, to: Party, name: str, value: str) -> str:
        assert self._secret is not None  # noqa: S101  # nothing is compared before
        return str(self._secret.calculate_mac(value, self._mac_info(by, to, name)))

    def _mac_info(self, by: Party, to: Party, name: str) -> str:
        parties = f"{by.user_id}{by.device_id}{to.user_id}{to.device_id}"
        return f"MATRIX_KEY_VERIFICATION_MAC{parties}{self._transaction}{name}"

    def _done(self) -> list[Message]:
        if not self.is_proven:
            return []
        self.stage = Stage.OVER
        return [("done", dict(self._relation))]


def commitment(public_key: str, start: Json) -> str:
    """What the accepting side promises its key with."""
    return encode64(hashlib.sha256(public_key.encode() + canonical(start)).digest())


def _check_offer(start: Json) -> None:
    """Whether we speak what is offered."""
    if start.get("method") != METHOD:
        raise Cancelled(Code.UNKNOWN_METHOD)
    wanted = {"key_agreement_protocols": AGREEMENT, "hashes": HASH, "message_authentication_codes": MAC}
    if any(value not in texts(start.get(name)) for name, value in wanted.items()):
        raise Cancelled(Code.UNKNOWN_METHOD)
    if EMOJI not in _shown(start):
        raise Cancelled(Code.UNKNOWN_METHOD)


def _shown(content: Json) -> list[str]:
    """The forms of the string that the other side knows and we do."""
    return [each for each in texts(content.get("short_authentication_string")) if each in (EMOJI, DECIMAL)]
