"""A homeserver in the middle that lies: a proxy before Synapse that forges, withholds and breaks."""

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout, web
from yarl import URL

from bot.kernel import clock

Json = dict[str, Any]
Alter = Callable[[Json], None]


class Meddler:
    """A homeserver's malicious administrator: passes everything on, and adds what it likes to /sync."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._http = ClientSession(timeout=ClientTimeout(90))
        self._pending: list[Json] = []
        self._poked = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self.url = ""
        self.failing: set[str] = set()  # parts of paths that are answered with 500
        self.alter: dict[str, Alter] = {}  # part of a path: what is done to its answers
        self.requests: list[tuple[str, Json]] = []  # path and JSON body of everything but /sync

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

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        path = request.path
        body = await request.read()
        if body and not path.endswith("/sync"):
            self.requests.append((path, json.loads(body)))
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
        for part, alter in self.alter.items():
            if part in request.path and status == 200:
                value = json.loads(raw)
                alter(value)
                raw = json.dumps(value).encode()
        return web.Response(body=raw, status=status, content_type="application/json")
