"""The homeserver by HTTP: nio carries the requests, answers stay plain JSON, calls have time-outs."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientResponse
from nio import Api, AsyncClient, AsyncClientConfig  # type: ignore[import-untyped]  # nio has no stubs

from bot.kernel import clock
from bot.matrix.errors import LoginRefused, MatrixError, Rejected, SignedOut, Unreachable
from bot.matrix.wire import Json, Malformed, number, obj, parse, skew_by, text

log = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds, for everything but the long poll
KEYS_TIMEOUT_MS = 10_000  # how long the homeserver may wait for others when it asks them for keys
TRIES = 4
LONGEST_WAIT = 20.0  # seconds between two tries of one call, whatever the homeserver asks for
BIG_ANSWER = 256 * 1024  # bytes; larger answers are parsed off the event loop
PIECE = 64 * 1024  # bytes

# Matrix specification, "Matrix Content (mxc://) URIs": the server's name and an opaque id.
_MXC = re.compile(r"mxc://([A-Za-z0-9.\-\[\]:]{1,255})/([A-Za-z0-9_-]{1,255})")

T = TypeVar("T")

SYNC_FILTER = {
    "presence": {"not_types": ["*"]},
    "account_data": {"not_types": ["*"]},
    "room": {
        "timeline": {"limit": 50},
        "ephemeral": {"not_types": ["*"]},
        "account_data": {"not_types": ["*"]},
    },
}


class Homeserver:
    """Typed calls to one homeserver as one device."""

    def __init__(self, url: str) -> None:
        config = AsyncClientConfig(encryption_enabled=False, store_sync_tokens=False, request_timeout=TIMEOUT)
        self._client = AsyncClient(url.rstrip("/"), config=config)
        self.token = ""
        parts = urlsplit(url)
        # For people to read, and for logs: never a user's name, a password or a query.
        self._place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.skew: timedelta | None = None  # our clock less its, at the last answer

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.close()

    async def call(
        self, method: str, path: str, body: Any = None, *, seconds: float = TIMEOUT, tries: int = TRIES
    ) -> Json:
        """One request; tried again while the homeserver is down or busy. Raises MatrixError."""

        async def once() -> Json:
            return await _answer(*await self._exchange(method, path, body, seconds))

        return await self._tried(once, tries)

    async def _tried(self, once: Callable[[], Awaitable[T]], tries: int = TRIES) -> T:
        for attempt in range(1, tries + 1):
            try:
                return await once()
            except Unreachable as error:
                if attempt == tries:
                    raise
                wait = error.retry_after if error.retry_after is not None else 0.25 * 2**attempt
                await asyncio.sleep(min(wait, LONGEST_WAIT) * clock.jitter(1.0, 1.3))
        raise AssertionError("a try returns or raises")

    async def _exchange(
        self, method: str, path: str, body: Any, seconds: float, largest: int | None = None
    ) -> tuple[int, bytes]:
        """Status and content of one answer, up to a little more than `largest` bytes of it."""
        raw = isinstance(body, bytes)
        headers = {"Content-Type": "application/octet-stream" if raw else "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else body if isinstance(body, str | bytes) else Api.to_json(body)
        try:
            async with asyncio.timeout(seconds + 5):
                response = await self._client.send(method, path, data, headers, timeout=seconds)
                skew = skew_by(response.headers.get("Date"), clock.now())
                self.skew = self.skew if skew is None else skew
                async with response:
                    return response.status, await _content(response, largest)
        except (ClientError, TimeoutError, OSError) as error:
            said = f"the homeserver {self._place} does not answer ({type(error).__name__}); is it up?"
            raise Unreachable(said) from error

    def path(self, *parts: str, **query: str) -> str:
        """A path of the client-server API, version 3."""
        return str(Api._build_path(list(parts), query or None))

    async def login(self, user: str, password: str, device_name: str) -> Json:
        """Sign in as a new device: `user_id`, `device_id`, `access_token`."""
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": password,
            "initial_device_display_name": device_name,
        }
        try:
            return await self.call("POST", self.path("login"), body)
        except Rejected as error:
            raise LoginRefused(
                f"the homeserver does not let {user} in ({error.errcode}); check user and password"
            ) from error

    async def whoami(self) -> Json:
        """Whose token this is; SignedOut if no one's any more."""
        return await self.call("GET", self.path("account", "whoami"))

    async def sync(self, since: str | None, timeout_ms: int) -> Json:
        """The next round of events; waits up to `timeout_ms` for one."""
        query = {"filter": Api.to_json(SYNC_FILTER), "timeout": str(timeout_ms)}
        query |= {"since": since} if since else {}
        return await self.call(
            "GET", self.path("sync", **query), seconds=TIMEOUT + timeout_ms / 1000, tries=1
        )

    async def keys_upload(self, body: Json) -> Json:
        """Publish device, one-time and fallback keys."""
        return await self.call("POST", self.path("keys", "upload"), body)

    async def keys_query(self, users: Iterable[str]) -> Json:
        """Devices and identities of these users."""
        body = {"device_keys": {user: [] for user in users}, "timeout": KEYS_TIMEOUT_MS}
        return await self.call("POST", self.path("keys", "query"), body)

    async def keys_claim(self, wanted: dict[str, dict[str, str]]) -> Json:
        """One one-time key for each device named."""
        body = {"one_time_keys": wanted, "timeout": KEYS_TIMEOUT_MS}
        return await self.call("POST", self.path("keys", "claim"), body)

    async def send_to_device(self, event_type: str, messages: Json, txn_id: str) -> None:
        """Messages to devices, `{user: {device: content}}`."""
        await self.call("PUT", self.path("sendToDevice", event_type, txn_id), {"messages": messages})

    async def send(self, room_id: str, event_type: str, content: str | Json, txn_id: str) -> str:
        """Send to a room; the event's id."""
        answer = await self.call("PUT", self.path("rooms", room_id, "send", event_type, txn_id), content)
        return _event_id(answer)

    async def put_state(self, room_id: str, event_type: str, content: Json, state_key: str = "") -> str:
        """Set state of a room; the event's id."""
        path = self.path("rooms", room_id, "state", event_type, *([state_key] if state_key else []))
        return _event_id(await self.call("PUT", path, content))

    async def state(self, room_id: str, event_type: str) -> Json | None:
        """A state event's content; None if there is none or we may not see it."""
        try:
            return await self.call("GET", self.path("rooms", room_id, "state", event_type, ""))
        except Rejected as error:
            if error.status in (403, 404):
                return None
            raise

    async def messages(self, room_id: str, start: str | None, end: str | None, limit: int) -> Json:
        """A page of a room's events, backwards from `start` (None: now) to `end`."""
        query = {"dir": "b", "limit": str(limit)}
        query |= {"from": start} if start else {}
        query |= {"to": end} if end else {}
        return await self.call("GET", self.path("rooms", room_id, "messages", **query))

    async def upload(self, ciphertext: bytes) -> str:
        """Put an encrypted file on the homeserver, without a name; its mxc address."""
        answer = await self.call("POST", "/_matrix/media/v3/upload", ciphertext)
        address = text(answer.get("content_uri"))
        if address is None:
            raise Unreachable("the homeserver took a file but gave no address; see its log")
        return address

    async def download(self, address: str, largest: int) -> bytes:
        """The file at an mxc address, still encrypted; Rejected if it is larger than this many bytes."""
        place = _MXC.fullmatch(address)
        if place is None:
            raise Malformed("not an mxc address")

        async def once() -> bytes:
            path = f"/_matrix/client/v1/media/download/{place[1]}/{place[2]}"
            status, raw = await self._exchange("GET", path, None, TIMEOUT, largest)
            if status != 200:
                await _answer(status, raw)
            if len(raw) > largest:
                raise Rejected(413, "M_TOO_LARGE", {})
            return raw

        return await self._tried(once)

    async def create_room(self, body: Json) -> str:
        """Make a room; its id."""
        room_id = text((await self.call("POST", self.path("createRoom"), body)).get("room_id"))
        if room_id is None:
            raise Unreachable("the homeserver made a room but gave no id; see its log")
        return room_id

    async def join(self, room_id: str) -> None:
        """Join a room."""
        await self.call("POST", self.path("rooms", room_id, "join"), {}, seconds=2 * TIMEOUT)

    async def leave(self, room_id: str) -> None:
        """Leave a room, or decline its invite."""
        await self.call("POST", self.path("rooms", room_id, "leave"), {})

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite someone."""
        await self.call("POST", self.path("rooms", room_id, "invite"), {"user_id": user_id})

    async def set_display_name(self, user_id: str, name: str) -> None:
        """The name that others see."""
        await self.call("PUT", self.path("profile", user_id, "displayname"), {"displayname": name})

    async def upload_signing_keys(self, body: Json) -> None:
        """Publish cross-signing keys; Rejected 401 if the homeserver wants the password first."""
        await self.call("POST", self.path("keys", "device_signing", "upload"), body)

    async def upload_signatures(self, body: Json) -> Json:
        """Publish signatures over devices and keys; the answer's `failures`."""
        answer = await self.call("POST", self.path("keys", "signatures", "upload"), body)
        return obj(answer.get("failures"))

    async def account_data(self, user_id: str, kind: str) -> Json | None:
        """One of the account's global documents."""
        try:
            return await self.call("GET", self.path("user", user_id, "account_data", kind))
        except Rejected as error:
            if error.status == 404:
                return None
            raise

    async def put_account_data(self, user_id: str, kind: str, content: Json) -> None:
        """Set one of the account's global documents."""
        await self.call("PUT", self.path("user", user_id, "account_data", kind), content)


async def _content(response: ClientResponse, largest: int | None) -> bytes:
    if largest is None:
        return await response.read()
    raw = bytearray()
    async for piece in response.content.iter_chunked(PIECE):
        raw += piece
        if len(raw) > largest:
            break
    return bytes(raw)


async def _answer(status: int, raw: bytes) -> Json:
    """The answer's JSON object, or the error it stands for."""
    try:
        # A thread has a fresh stack, so that deep nesting cannot overflow ours, and long ones do not block.
        parsed = await asyncio.to_thread(parse, raw) if len(raw) > BIG_ANSWER else parse(raw)
    except Malformed:
        parsed = None
    body = obj(parsed)
    if status == 200 and isinstance(parsed, dict):
        return body
    raise _error(status, body)


def _error(status: int, body: Json) -> MatrixError:
    errcode = text(body.get("errcode")) or "no errcode"
    if errcode == "M_UNKNOWN_TOKEN" or errcode == "M_MISSING_TOKEN":
        return SignedOut(status, errcode)
    if status == 429:
        asked = number(body.get("retry_after_ms"))
        return Unreachable("the homeserver asks to slow down", 1.0 if asked is None else asked / 1000)
    if status >= 500 or status == 200:
        return Unreachable(f"the homeserver fails ({status} {errcode}); see its log")
    return Rejected(status, errcode, body)


def _event_id(answer: Json) -> str:
    event_id = text(answer.get("event_id"))
    if event_id is None:
        raise Unreachable("the homeserver accepted an event but gave no id; see its log")
    return event_id
