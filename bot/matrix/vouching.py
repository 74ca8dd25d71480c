"""Vouching: our user-signing key over a member's master key, made here and found in what is shown."""

from bot.matrix.api import Homeserver
from bot.matrix.cross_signing import OwnIdentity
from bot.matrix.errors import ForeignIdentity
from bot.matrix.identities import cross_signing_key
from bot.matrix.wire import Json, obj


async def vouch_for(server: Homeserver, own: OwnIdentity, user_id: str, master: str) -> None:
    """Sign this master key and upload the signature, which only our own account is shown."""
    answer = await server.keys_query([user_id])
    shown = obj(obj(answer.get("master_keys")).get(user_id))
    if cross_signing_key(shown, user_id, "master") != master:
        raise ForeignIdentity("the homeserver shows another identity than the one to be signed")
    signed: Json = {name: value for name, value in shown.items() if name not in ("signatures", "unsigned")}
    own.user_signing.add_signature(signed, own.user_id)
    if await server.upload_signatures({user_id: {master: signed}}):
        raise ForeignIdentity("the homeserver did not take the signature on a member's identity; see its log")
