"""A checkup: what the homeserver shows of our account, beside the running bot; it changes nothing."""

from dataclasses import dataclass

from bot.matrix.api import Homeserver
from bot.matrix.cross_signing import SEEDS, USAGES, OwnIdentity
from bot.matrix.errors import MatrixError
from bot.matrix.identities import read_identity
from bot.matrix.login import DEVICE_ID, TOKEN, USER_ID
from bot.matrix.olm import ACCOUNT, OlmMachine
from bot.matrix.secret_storage import is_stored
from bot.matrix.trust import Identity
from bot.matrix.wire import Json, number, obj, text, texts
from storage.transaction import Database

CURVE = "signed_curve25519"
NOTHING = '{"room":{"rooms":[]},"presence":{"not_types":["*"]},"account_data":{"not_types":["*"]}}'


class NeverSignedIn(MatrixError):
    """There is no device yet."""


@dataclass(frozen=True)
class Checkup:
    """What was found. `fingerprint` is our identity's master key, `foreign_devices` nobody vouches for.

    `recovery_key`: whether one was made, without which a lost database is a lost identity.
    """

    user_id: str
    device_id: str
    fingerprint: str | None
    own_chain: bool
    foreign_devices: tuple[str, ...]
    one_time_keys: int
    fallback_key: bool
    recovery_key: bool = True


@dataclass(frozen=True)
class OwnKeys:
    """The public keys of our identity, by usage, and the device that has it."""

    user_id: str
    device_id: str
    keys: dict[str, str]


async def own_keys(database: Database) -> OwnKeys:
    """As the database has them; NeverSignedIn before the first start."""
    async with database.transaction() as tx:
        user, device = await tx.crypto.value(USER_ID), await tx.crypto.value(DEVICE_ID)
        seeds = await tx.crypto.value(SEEDS)
    if user is None or seeds is None:
        raise NeverSignedIn("the bot has never signed in; start it once with: tandem run")
    own = OwnIdentity.of(user.decode(), seeds)
    keys = {usage: getattr(own, usage).public for usage in USAGES}
    return OwnKeys(own.user_id, device.decode() if device else "", keys)


async def has_recovery_key(database: Database, url: str) -> bool:
    """Whether the identity lies in secret storage; MatrixError if the homeserver does not say."""
    async with database.transaction() as tx:
        token, user = await tx.crypto.value(TOKEN), await tx.crypto.value(USER_ID)
    if token is None or user is None:
        raise NeverSignedIn("the bot has never signed in; start it once with: tandem run")
    server = Homeserver(url)
    server.token = token.decode()
    try:
        return await is_stored(server, user.decode())
    finally:
        await server.close()


async def look(database: Database, url: str) -> Checkup:
    """Ask; NeverSignedIn before the first start, any other MatrixError if the homeserver does not answer."""
    async with database.transaction() as tx:
        token, device = await tx.crypto.value(TOKEN), await tx.crypto.value(DEVICE_ID)
        account, seeds = await tx.crypto.value(ACCOUNT), await tx.crypto.value(SEEDS)
    if token is None or device is None or account is None:
        raise NeverSignedIn("the bot has never signed in; start it once with: tandem run")
    server = Homeserver(url)
    server.token = token.decode()
    try:
        user_id = text((await server.whoami()).get("user_id")) or ""
        shown = read_identity(user_id, await server.keys_query([user_id]))
        # Without `since` nothing that waits for the device is taken off its queue.
        stored = await is_stored(server, user_id)
        state = await server.call("GET", server.path("sync", filter=NOTHING, timeout="0"))
    finally:
        await server.close()
    own = OwnIdentity.of(user_id, seeds).master.public if seeds else None
    olm = await OlmMachine.open(database, user_id, device.decode())
    return Checkup(
        user_id,
        olm.device_id,
        own,
        own is not None and shown.master == own and _is_ours(shown, olm),
        tuple(each.device_id for each in shown.devices.values() if not each.signed),
        _one_time_keys(state),
        CURVE in texts(state.get("device_unused_fallback_key_types")),
        stored,
    )


def _is_ours(shown: Identity, olm: OlmMachine) -> bool:
    """Whether the device that the homeserver shows has our keys, and our identity vouches for it."""
    device = shown.devices.get(olm.device_id)
    return (
        device is not None
        and device.signed
        and (device.ed25519, device.curve25519)
        == (
            olm.ed25519,
            olm.curve25519,
        )
    )


def _one_time_keys(state: Json) -> int:
    return number(obj(state.get("device_one_time_keys_count")).get(CURVE)) or 0
