"""The bot's own identity: three signing keys, made once, kept before published, never replaced."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.kernel import clock
from bot.matrix.api import Homeserver
from bot.matrix.canonical import SigningKey, is_signed
from bot.matrix.errors import ForeignIdentity, Rejected
from bot.matrix.identities import cross_signing_key, read_device
from bot.matrix.wire import Json, Malformed, obj
from storage.transaction import Database

USAGES = ("master", "self_signing", "user_signing")
SEED_BYTES = 32
SEEDS = "cross_signing_seeds"
FOREIGN = "the account shows a cross-signing identity that is not the bot's; an operator must look"
UNKNOWN = (
    "the account already has a cross-signing identity that is not in this database; fetch it with its "
    "recovery key (tandem identity recover), or give the bot an account of its own ([matrix] user)"
)

Sign = Callable[[Json], None]
"""Adds the device's own signature to an object, in place."""


@dataclass(frozen=True)
class OwnIdentity:
    """The three key pairs of this account."""

    user_id: str
    master: SigningKey
    self_signing: SigningKey
    user_signing: SigningKey

    @classmethod
    def of(cls, user_id: str, seeds: bytes) -> "OwnIdentity":
        """From the three seeds in the order of USAGES, 96 bytes."""
        parts = [seeds[at : at + SEED_BYTES] for at in range(0, 3 * SEED_BYTES, SEED_BYTES)]
        return cls(user_id, *(SigningKey(part) for part in parts))

    def key_object(self, usage: str) -> Json:
        """The public key object for /keys/device_signing/upload, signed by the master key."""
        key: SigningKey = getattr(self, usage)
        value: Json = {
            "user_id": self.user_id,
            "usage": [usage],
            "keys": {f"ed25519:{key.public}": key.public},
        }
        if usage != "master":
            self.master.add_signature(value, self.user_id)
        return value


class CrossSigning:
    """Makes the identity once, publishes it, signs the device, and checks the whole chain."""

    def __init__(self, database: Database, server: Homeserver, user_id: str) -> None:
        self._database = database
        self._server = server
        self._user_id = user_id
        self.own: OwnIdentity | None = None

    async def bootstrap(self, device_keys: Json, sign: Sign, password: str | None) -> list[str]:
        """Idempotent: after it, the account shows our identity and our device is signed by it.

        Ids of devices on the account that nobody vouches for. ForeignIdentity if the account already shows
        an identity that is not ours.
        """
        answer = await self._server.keys_query([self._user_id])
        shown = obj(answer.get("master_keys")).get(self._user_id)
        self.own = own = await self._keep_seeds(shown)
        if shown is not None and self._shown(answer, "master") != own.master.public:
            raise ForeignIdentity(FOREIGN)
        if any(self._shown(answer, usage) != getattr(own, usage).public for usage in USAGES):
            await self._publish(own, sign, password)
        elif self._is_sound(answer, device_keys):
            return self.check(answer, device_keys)
        await self._sign_device(own, device_keys)
        return self.check(await self._server.keys_query([self._user_id]), device_keys)

    async def _keep_seeds(self, shown: object) -> OwnIdentity:
        """The identity from the database; made, and kept there, before anything of it is published (R3)."""
        async with self._database.transaction() as tx:
            seeds = await tx.crypto.value(SEEDS)
            if seeds is None:
                if shown is not None:
                    raise ForeignIdentity(UNKNOWN)
                seeds = clock.random_bytes(3 * SEED_BYTES)
                await tx.crypto.set_value(SEEDS, seeds)
        return OwnIdentity.of(self._user_id, seeds)

    def _is_sound(self, answer: Json, device_keys: Json) -> bool:
        try:
            self.check(answer, device_keys)
        except ForeignIdentity:
            return False
        return True

    def check(self, answer: Json, device_keys: Json) -> list[str]:
        """Verify our own chain in an answer of /keys/query; ids of devices that nobody vouches for.

        ForeignIdentity if identity or device are not ours.
        """
        if self.own is None:
            raise RuntimeError("bootstrap comes first")
        own, user_id = self.own, self._user_id
        if self._shown(answer, "master") != own.master.public:
            raise ForeignIdentity(FOREIGN)
        raw = obj(obj(answer.get("self_signing_keys")).get(user_id))
        if self._shown(answer, "self_signing") != own.self_signing.public or not is_signed(
            raw, user_id, own.master.public
        ):
            raise ForeignIdentity(FOREIGN)
        unsigned = []
        devices = obj(obj(answer.get("device_keys")).get(user_id))
        for device_id, value in devices.items():
            try:
                signed = read_device(user_id, device_id, obj(value), own.self_signing.public).signed
            except Malformed:
                signed = False
            if not signed:
                unsigned.append(device_id)
        mine = device_keys["device_id"]
        if obj(obj(devices.get(mine)).get("keys")) != device_keys["keys"] or mine in unsigned:
            raise ForeignIdentity("the homeserver shows other keys for our device; is this database a copy?")
        return unsigned

    def _shown(self, answer: Json, usage: str) -> str | None:
        value = obj(answer.get(f"{usage}_keys")).get(self._user_id)
        return cross_signing_key(value, self._user_id, usage)

    async def _publish(self, own: OwnIdentity, sign: Sign, password: str | None) -> None:
        body: Json = {f"{usage}_key": own.key_object(usage) for usage in USAGES}
        sign(body["master_key"])
        try:
            await self._server.upload_signing_keys(body)
        except Rejected as error:
            if error.status != 401 or "session" not in error.body:
                raise
            if password is None:
                raise ForeignIdentity(
                    "the homeserver wants the password before it takes the identity; give the password once"
                ) from error
            identifier = {"type": "m.id.user", "user": self._user_id}
            body["auth"] = {"type": "m.login.password", "identifier": identifier, "password": password}
            body["auth"]["session"] = error.body["session"]
            await self._server.upload_signing_keys(body)

    async def _sign_device(self, own: OwnIdentity, device_keys: Json) -> None:
        signed = {
            name: value for name, value in device_keys.items() if name not in ("signatures", "unsigned")
        }
        own.self_signing.add_signature(signed, self._user_id)
        failures = await self._server.upload_signatures({self._user_id: {device_keys["device_id"]: signed}})
        if failures:
            raise ForeignIdentity("the homeserver did not take the signature on our device; see its log")
