"""A homeserver in the middle that lies: a proxy before Synapse that forges, withholds and breaks."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout, web
from yarl import URL

from bot.kernel import clock

Json = dict[str, Any]
Alter = Callable[[Json], None]
Wanted = Callable[[str, Json], bool]  # of a room's id and an event in its timeline


class Meddler:
    """A homeserver's malicious administrator: passes on what it likes, when and how it likes."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._http = ClientSession(timeout=ClientTimeout(90))
        self._pending: list[Json] = []
        self._poked = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._held: dict[str, asyncio.Event] = {}  # part of a path: what its requests wait for
        self._caught: dict[str, asyncio.Event] = {}
        self.url = ""
        self.failing: set[str] = set()  # parts of paths that are answered with 500
        self.alter: dict[str, Alter] = {}  # part of a path: what is done to its answers
        self.withhold: Wanted | None = None  # events that the next rounds of sync leave out
        self.withheld: list[tuple[str, Json]] = []  # those that were left out, with their rooms
        self.paths: list[str] = []  # method and path of everything but /sync
        self.requests: list[tuple[str, Json]] = []  # path and JSON body of everything but /sync
        self.delivered: list[str] = []  # types of the to-device messages that were handed over

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The runner cancels what is under way, but does not wait for its end.
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        await self._http.close()

    def inject(self, **parts: Any) -> None:
        """Answer the next /sync at once with this, and with the token that was given."""
        self._pending.append(parts)
        self._poked.set()

    def inject_event(self, room_id: str, sender: str, content: Json, **event: Any) -> str:
        """Put an event into a room's timeline as if `sender` had sent it; its id."""
        whole = {
            "type": "m.room.encrypted",
            "sender": sender,
            "content": content,
            "event_id": f"${clock.token()}",
            "origin_server_ts": int(clock.now().timestamp() * 1000),
        } | event
        self.inject(rooms={"join": {room_id: {"timeline": {"events": [whole], "limited": False}}}})
        return str(whole["event_id"])

    def hand_over(self) -> list[str]:
        """Deliver at last what was withheld, as it came; the ids of these events."""
        late, self.withheld, self.withhold = self.withheld, [], None
        for room_id, event in late:
            self.inject(rooms={"join": {room_id: {"timeline": {"events": [event], "limited": False}}}})
        return [str(event["event_id"]) for _, event in late]

    @asynccontextmanager
    async def holding(self, part: str) -> AsyncIterator[asyncio.Event]:
        """Let requests whose path has this part wait until the end of the block; set once one does."""
        self._held[part], self._caught[part] = asyncio.Event(), asyncio.Event()
        try:
            yield self._caught[part]
        finally:
            self._held.pop(part).set()

    @asynccontextmanager
    async def between_rounds(self) -> AsyncIterator[None]:
        """Answer no /sync until the end of the block: the next one then brings all that came meanwhile."""
        async with self.holding("/sync") as caught:
            self.inject()  # ends the round that is under way
            await caught.wait()
            yield

    def behave(self) -> None:
        """Be an honest homeserver again."""
        self.failing.clear()
        self.alter.clear()
        self.withhold = None

    async def _wait_if_held(self, path: str) -> None:
        for part, released in list(self._held.items()):
            if part in path:
                self._caught[part].set()
                await released.wait()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        path = request.path
        body = await request.read()
        if not path.endswith("/sync"):
            self.paths.append(f"{request.method} {path}")
        if body and not path.endswith("/sync"):
            self.requests.append((path, json.loads(body)))
        await self._wait_if_held(path)
        if any(part in path for part in self.failing):
            return web.json_response({"errcode": "M_UNKNOWN", "error": "broken"}, status=500)
        if path.endswith("/sync") and "since" in request.query:
            return await self._sync(request, body)
        return await self._forward(request, body)

    async def _sync(self, request: web.Request, body: bytes) -> web.StreamResponse:
        forwarded = asyncio.ensure_future(self._forward(request, body))  # noqa: TID251  # ended below
        poked = asyncio.ensure_future(self._poked.wait())  # noqa: TID251  # ended below
        try:
            await asyncio.wait({forwarded, poked}, return_when=asyncio.FIRST_COMPLETED)
            if not self._pending:
                return await forwarded
            answer = {"next_batch": request.query["since"]} | self._pending.pop(0)
            if not self._pending:
                self._poked.clear()
            return web.json_response(answer)
        finally:
            forwarded.cancel()
            poked.cancel()
            await asyncio.gather(forwarded, poked, return_exceptions=True)

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in ("Authorization", "Content-Type")
        }
        url = self._upstream + request.raw_path
        async with self._http.request(
            request.method, URL(url, encoded=True), data=body, headers=headers
        ) as answer:
            raw, status = await answer.read(), answer.status
        alters = [alter for part, alter in list(self.alter.items()) if part in request.path]
        if request.path.endswith("/sync"):
            alters += [self._leave_out, self._note]
        if status == 200 and alters:
            value = json.loads(raw)
            for alter in alters:
                alter(value)
            raw = json.dumps(value).encode()
        return web.Response(body=raw, status=status, content_type="application/json")

    def _leave_out(self, answer: Json) -> None:
        if self.withhold is None:
            return
        for room_id, section in answer.get("rooms", {}).get("join", {}).items():
            timeline = section.get("timeline", {})
            late = [each for each in timeline.get("events", []) if self.withhold(room_id, each)]
            timeline["events"] = [each for each in timeline.get("events", []) if each not in late]
            # Asked again for the same round, we leave the same out.
            self.withheld += [(room_id, each) for each in late if (room_id, each) not in self.withheld]

    def _note(self, answer: Json) -> None:
        self.delivered += [str(each.get("type")) for each in answer.get("to_device", {}).get("events", [])]
