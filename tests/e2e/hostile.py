"""Hostile company: a client that follows no rule."""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout
from vodozemac import Account, AnyOlmMessage, Curve25519PublicKey, GroupSession, Session

from bot.kernel import clock
from bot.matrix.canonical import canonical, decode64, encode64, signable
from bot.matrix.cross_signing import USAGES, OwnIdentity
from bot.matrix.identities import MEGOLM, OLM
from storage.encryption import KEY_BYTES

Json = dict[str, Any]
API = "/_matrix/client/v3"
DEADLINE = 45.0  # seconds


class Hostile:
    """A signed-in client by plain HTTP and vodozemac; each step can be done wrong on purpose."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = ClientSession(timeout=ClientTimeout(30))
        self._token = ""
        self._since = ""
        self.user_id = self.device_id = ""
        self.account = Account()
        self.group = GroupSession()
        self.identity: OwnIdentity | None = None
        self._sessions: dict[str, Session] = {}

    @classmethod
    async def open(
        cls, url: str, user: str, password: str, *, keys: bool = True, signed: bool = True
    ) -> Self:
        """Sign in as a new device; with `keys` it can encrypt, with `signed` it is cross-signed."""
        self = cls(url)
        try:
            await self._sign_in(user, password)
            if keys:
                await self.upload(self.device_keys())
            if keys and signed:
                await self.cross_sign(password)
        except BaseException:
            await self.close()
            raise
        return self

    async def _sign_in(self, user: str, password: str) -> None:
        identifier = {"type": "m.id.user", "user": user}
        body = {"type": "m.login.password", "identifier": identifier, "password": password}
        answer = await self.call("POST", "/login", body)
        self._token, self.user_id, self.device_id = (
            answer["access_token"],
            answer["user_id"],
            answer["device_id"],
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections."""
        await self._http.close()

    async def call(self, method: str, path: str, body: Any = None, *, ok: bool = True) -> Json:
        """One request; AssertionError on an error answer unless `ok` is False."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = None if body is None else json.dumps(body)
        async with self._http.request(method, self._url + API + path, data=data, headers=headers) as answer:
            value: Json = await answer.json()
            assert answer.status == 200 or not ok, (method, path, answer.status, value)
            return value

    # keys

    @property
    def curve25519(self) -> str:
        """Our device's identity key."""
        return self.account.curve25519_key.to_base64()

    @property
    def ed25519(self) -> str:
        """Our device's signing key."""
        return self.account.ed25519_key.to_base64()

    def sign(self, value: Json) -> Json:
        """The value with our device's signature."""
        signature = self.account.sign(signable(value)).to_base64()
        value.setdefault("signatures", {}).setdefault(self.user_id, {})[f"ed25519:{self.device_id}"] = (
            signature
        )
        return value

    def device_keys(self, **keys: str) -> Json:
        """Our signed device keys; `keys` may put others in their place."""
        named = {"curve25519": self.curve25519, "ed25519": self.ed25519} | keys
        return self.sign(
            {
                "user_id": self.user_id,
                "device_id": self.device_id,
                "algorithms": [OLM, MEGOLM],
                "keys": {f"{name}:{self.device_id}": value for name, value in named.items()},
            }
        )

    async def upload(self, device_keys: Json, one_time_key: str | None = None, count: int = 5) -> None:
        """Publish device keys and one-time keys; `one_time_key` may be rubbish."""
        self.account.generate_one_time_keys(count)
        made = {key_id: key.to_base64() for key_id, key in self.account.one_time_keys.items()}
        if one_time_key is not None:
            made = {f"BAD{at}": one_time_key for at in range(5)}
        keys = {f"signed_curve25519:{key_id}": self.sign({"key": key}) for key_id, key in made.items()}
        self.account.mark_keys_as_published()
        await self.call("POST", "/keys/upload", {"device_keys": device_keys, "one_time_keys": keys})

    async def cross_sign(self, password: str) -> None:
        """Publish a new identity, in place of one that is there, and sign our device with it."""
        own = self.identity = OwnIdentity.of(self.user_id, clock.random_bytes(3 * KEY_BYTES))
        body: Json = {f"{usage}_key": own.key_object(usage) for usage in USAGES}
        answer = await self.call("POST", "/keys/device_signing/upload", body, ok=False)
        if "session" in answer:
            identifier = {"type": "m.id.user", "user": self.user_id}
            body["auth"] = {"type": "m.login.password", "identifier": identifier, "password": password}
            body["auth"]["session"] = answer["session"]
            await self.call("POST", "/keys/device_signing/upload", body)
        keys = self.device_keys()
        own.self_signing.add_signature(keys, self.user_id)
        await self.call("POST", "/keys/signatures/upload", {self.user_id: {self.device_id: keys}})

    # Olm

    async def to_device(
        self, user_id: str, device_id: str, content: Any, kind: str = "m.room.encrypted"
    ) -> None:
        """Send anything to a device."""
        body = {"messages": {user_id: {device_id: content}}}
        await self.call("PUT", f"/sendToDevice/{kind}/{clock.token()}", body)

    async def keys_of(self, user_id: str, device_id: str) -> Json:
        """A device's published keys."""
        answer = await self.call("POST", "/keys/query", {"device_keys": {user_id: []}})
        keys: Json = answer["device_keys"][user_id][device_id]["keys"]
        return keys

    async def olm(self, user_id: str, device_id: str, kind: str, inner: Json, /, **wrong: Any) -> None:
        """An Olm message to a device; `wrong` replaces fields of its payload."""
        keys = await self.keys_of(user_id, device_id)
        curve25519, ed25519 = keys[f"curve25519:{device_id}"], keys[f"ed25519:{device_id}"]
        session = self._sessions.get(curve25519) or await self._begin(user_id, device_id, curve25519)
        payload = {
            "type": kind,
            "content": inner,
            "sender": self.user_id,
            "recipient": user_id,
            "recipient_keys": {"ed25519": ed25519},
            "keys": {"ed25519": self.ed25519},
        } | wrong
        number, body = session.encrypt(canonical(payload)).to_parts()
        sealed = {curve25519: {"type": number, "body": encode64(body)}}
        await self.to_device(
            user_id, device_id, {"algorithm": OLM, "sender_key": self.curve25519, "ciphertext": sealed}
        )

    async def claim(self, user_id: str, device_id: str) -> str | None:
        """Take one of the device's one-time keys."""
        wanted = {user_id: {device_id: "signed_curve25519"}}
        answer = await self.call("POST", "/keys/claim", {"one_time_keys": wanted})
        keys = answer["one_time_keys"].get(user_id, {}).get(device_id, {})
        return next((value["key"] for value in keys.values()), None)

    async def _begin(self, user_id: str, device_id: str, curve25519: str) -> Session:
        key = await self.claim(user_id, device_id)
        assert key is not None, f"{device_id} has no one-time key"
        session = self.account.create_outbound_session(
            Curve25519PublicKey.from_base64(curve25519), Curve25519PublicKey.from_base64(key)
        )
        self._sessions[curve25519] = session
        return session

    # Megolm

    def room_key(self, room_id: str, group: GroupSession | None = None) -> Json:
        """The `m.room_key` content of our Megolm session."""
        group = group or self.group
        return {
            "algorithm": MEGOLM,
            "room_id": room_id,
            "session_id": group.session_id,
            "session_key": group.session_key.to_base64(),
        }

    def renew(self) -> None:
        """Begin a new Megolm session."""
        self.group = GroupSession()

    async def share(self, room_id: str, user_id: str, device_id: str, **wrong: Any) -> None:
        """Give a device the key of our Megolm session."""
        await self.olm(user_id, device_id, "m.room_key", self.room_key(room_id), **wrong)

    def sealed(self, plaintext: Any, **outer: Any) -> Json:
        """`m.room.encrypted` content over any plaintext, JSON or bytes."""
        raw = plaintext if isinstance(plaintext, bytes) else json.dumps(plaintext).encode()
        content = {
            "algorithm": MEGOLM,
            "ciphertext": self.group.encrypt(raw).to_base64(),
            "session_id": self.group.session_id,
            "sender_key": self.curve25519,
            "device_id": self.device_id,
        } | outer
        return {name: value for name, value in content.items() if value is not None}

    def message(self, room_id: str, body: str, **outer: Any) -> Json:
        """A well-formed encrypted text."""
        content = {"msgtype": "m.text", "body": body}
        return self.sealed({"room_id": room_id, "type": "m.room.message", "content": content}, **outer)

    async def send(self, room_id: str, content: Json, kind: str = "m.room.encrypted") -> str:
        """Send any content to a room; the event's id."""
        answer = await self.call("PUT", f"/rooms/{room_id}/send/{kind}/{clock.token()}", content)
        return str(answer["event_id"])

    async def join(self, room_id: str) -> None:
        """Join a room we are invited to."""
        await self.call("POST", f"/rooms/{room_id}/join", {})

    async def received(self, wait_ms: int = 0) -> list[Json]:
        """The to-device messages that reached us since the last call; waits so long for anything new."""
        answer = await self.call("GET", f"/sync?timeout={wait_ms}{self._since}")
        self._since = f"&since={answer['next_batch']}"
        events: list[Json] = answer.get("to_device", {}).get("events", [])
        return events

    async def opened(self, sender: str, count: int) -> list[Json]:
        """The payloads of the next Olm messages of this sender, at least so many."""
        payloads: list[Json] = []
        async with asyncio.timeout(DEADLINE):
            while len(payloads) < count:
                for event in await self.received(1000):
                    if event["sender"] == sender and event["type"] == "m.room.encrypted":
                        payloads.append(self._open(event["content"]))
        return payloads

    async def given(self, sender: str) -> list[Json]:
        """What this sender has sent us since the last call, opened: room keys, and notices of no key."""
        found: list[Json] = []
        for event in await self.received():
            if event["sender"] == sender:
                sealed = event["type"] == "m.room.encrypted"
                found.append(self._open(event["content"]) if sealed else event)
        return found

    def _open(self, content: Json) -> Json:
        sender_key, message = content["sender_key"], content["ciphertext"][self.curve25519]
        sealed = AnyOlmMessage.from_parts(message["type"], decode64(message["body"]))
        first, session = sealed.to_pre_key(), self._sessions.get(sender_key)
        if first is not None and (session is None or not session.session_matches(first)):
            # Whoever is given a new session goes on with it.
            key = Curve25519PublicKey.from_base64(sender_key)
            self._sessions[sender_key], plain = self.account.create_inbound_session(key, first)
        else:
            assert session is not None
            plain = session.decrypt(sealed)
        payload: Json = json.loads(plain)
        return payload

    async def break_channel(self, user_id: str, device_id: str) -> None:
        """Send an Olm message of a session that the other side does not have."""
        other = Account()
        other.generate_one_time_keys(1)
        session = self.account.create_outbound_session(
            other.curve25519_key, next(iter(other.one_time_keys.values()))
        )
        first = session.encrypt(b"1").to_pre_key()
        assert first is not None
        back, _ = other.create_inbound_session(self.account.curve25519_key, first)
        session.decrypt(back.encrypt(b"2"))
        number, body = session.encrypt(b"3").to_parts()
        key = (await self.keys_of(user_id, device_id))[f"curve25519:{device_id}"]
        sealed = {key: {"type": number, "body": encode64(body)}}
        content = {"algorithm": OLM, "sender_key": self.curve25519, "ciphertext": sealed}
        await self.to_device(user_id, device_id, content)
