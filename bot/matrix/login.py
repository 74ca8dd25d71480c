"""Signing in: once by password or token, from then on with what the database keeps."""

from contextlib import suppress

from bot.matrix.account import Account
from bot.matrix.api import Homeserver
from bot.matrix.cross_signing import SEEDS, UNKNOWN
from bot.matrix.errors import ForeignIdentity, LoginRefused, MatrixError, SignedOut
from bot.matrix.wire import obj, text
from storage.transaction import Database

TOKEN, DEVICE_ID, USER_ID = "token", "device_id", "user_id"


async def sign_in(
    database: Database, server: Homeserver, account: Account, *, recovering: bool = False
) -> tuple[str, str]:
    """The user and device we are; the token is set on `server` and kept. Raises MatrixError.

    ForeignIdentity, with nothing kept, if the account has an identity that this database lacks, unless
    `recovering`: who then fetches that identity.
    """
    async with database.transaction() as tx:
        kept = [await tx.crypto.value(name) for name in (USER_ID, DEVICE_ID, TOKEN)]
    if kept[0] is not None and kept[0].decode() not in _names(account.user, kept[0].decode()):
        raise ForeignIdentity(f"this database belongs to {kept[0].decode()}, not {account.user}; use another")
    if kept[2] is not None:
        server.token = kept[2].decode()
        return await _restore(server, kept[1].decode() if kept[1] else None)
    if account.token is not None:
        server.token = account.token
        user_id, device_id = await _restore(server, account.device_id)
    else:
        user_id, device_id = await _by_password(server, account)
        if not recovering:
            await _refuse_taken(database, server, user_id)
    async with database.transaction() as tx:
        for name, value in ((USER_ID, user_id), (DEVICE_ID, device_id), (TOKEN, server.token)):
            await tx.crypto.set_value(name, value.encode())
    return user_id, device_id


async def _refuse_taken(database: Database, server: Homeserver, user_id: str) -> None:
    """ForeignIdentity for an account with an identity where the database has none, which stays as it is."""
    async with database.transaction() as tx:
        if await tx.crypto.value(SEEDS) is not None:
            return
    answer = await server.keys_query([user_id])
    if user_id in obj(answer.get("master_keys")):
        with suppress(MatrixError):  # not to leave a device behind that nobody vouches for
            await server.call("POST", server.path("logout"), {}, tries=1)
        raise ForeignIdentity(UNKNOWN)


async def forget_device(database: Database) -> None:
    """Let the next `Session.open` sign in anew; the identity stays and will sign the new device (R4)."""
    async with database.transaction() as tx:
        await tx.crypto.forget_device()


async def sign_out(database: Database, url: str) -> bool:
    """Give up the device, here and on the homeserver; False if the homeserver could not be told."""
    async with database.transaction() as tx:
        token = await tx.crypto.value(TOKEN)
    told = token is None or await _log_out(url, token.decode())
    await forget_device(database)
    return told


async def _log_out(url: str, token: str) -> bool:
    server = Homeserver(url)
    server.token = token
    try:
        await server.call("POST", server.path("logout"), {}, tries=1)
    except SignedOut:
        return True
    except MatrixError:
        return False
    finally:
        await server.close()
    return True


def _names(user: str, user_id: str) -> tuple[str, ...]:
    return (user_id,) if user in (user_id, user_id[1:].partition(":")[0]) else ()


async def _restore(server: Homeserver, device_id: str | None) -> tuple[str, str]:
    answer = await server.whoami()
    user_id, shown = text(answer.get("user_id")), text(answer.get("device_id"))
    if user_id is None or shown is None or device_id not in (None, shown):
        raise LoginRefused("the token is not of this user and device; sign in anew")
    return user_id, shown


async def _by_password(server: Homeserver, account: Account) -> tuple[str, str]:
    if account.password is None:
        raise LoginRefused(f"no password for {account.user}; give it for the first sign-in")
    answer = await server.login(account.user, account.password, account.device_name)
    user_id, device_id = text(answer.get("user_id")), text(answer.get("device_id"))
    token = text(answer.get("access_token"), 4096)
    if user_id is None or device_id is None or token is None:
        raise LoginRefused("the homeserver's answer to the sign-in is not complete; see its log")
    server.token = token
    return user_id, device_id
