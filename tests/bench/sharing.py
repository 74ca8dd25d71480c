"""Handing a room's key to all its devices: the bot beside the homeserver's own floor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import delete

from bot.demo.homeserver import EmbeddedHomeserver
from bot.kernel import clock
from bot.matrix.identities import MEGOLM, OLM
from bot.matrix.sharing import RECIPIENTS
from bot.matrix.trust import Identity
from storage.crypto import InboundSession
from storage.crypto_tables import device_lists, megolm_outbound, olm_sessions
from tests.bench.crowd import Person, add_device, dismiss, make_crowd
from tests.e2e.hostile import Hostile
from tests.e2e.siege import DEADLINE, Siege

SEALED_BYTES = 1800  # of a room key over Olm, as the bot sends it
PROBE_SECONDS = 0.005
SESSIONS, SESSION_BYTES = 5000, 600
TEXT = {"msgtype": "m.notice", "body": "pong"}


@dataclass(frozen=True)
class Measured:
    """Seconds: the floor, the bot, and for how long at most its event loop stood still."""

    floor: float
    bot: float
    blocked: float


class Bench:
    """A bot and a crowd in one room; `prober` is a member who measures the floor."""

    def __init__(self, siege: Siege, crowd: list[Person], prober: Hostile) -> None:
        self.siege = siege
        self.crowd = crowd
        self.prober = prober

    @classmethod
    @asynccontextmanager
    async def ready(cls, homeserver: EmbeddedHomeserver, folder: Path, devices: int) -> AsyncIterator[Self]:
        """All in the room and in step; nothing shared yet."""
        siege = await Siege.begin(homeserver, folder, direct=True)
        crowd = await make_crowd(homeserver, devices)
        prober = await siege.hostile("prober", enrolled=False, keys=False)
        bench = cls(siege, crowd, prober)
        try:
            for person in crowd:
                await siege.enrol(person.user_id)
                await bench.let_in(person)
            siege.annas_loop.cancel()  # she would share our processor
            yield bench
        finally:
            await dismiss(crowd)
            await siege.end()

    async def let_in(self, person: Person) -> None:
        """Into the room, and seen there by the bot."""
        siege = self.siege
        await siege.anna.invite(siege.room_id, person.user_id)
        await person.devices[0].join(siege.room_id)
        await siege.until(lambda: siege.bot.members(siege.room_id).get(person.user_id) == "join", "the join")

    async def forget(self, *, sessions: bool) -> None:
        """Make the bot begin anew: with the room's session only, or with every device as well."""
        async with self.siege.bots.transaction() as tx:
            tables = (megolm_outbound, olm_sessions, device_lists) if sessions else (megolm_outbound,)
            for table in tables:
                await tx.connection.execute(delete(table))

    async def is_known(self, device: Hostile) -> bool:
        """Whether the bot has seen the device, with the signature of its owner."""
        async with self.siege.bots.transaction() as tx:
            lists = await tx.crypto.device_lists([device.user_id])
        known = Identity.of(device.user_id, lists[device.user_id].document).devices.get(device.device_id)
        return known is not None and known.signed

    async def is_shared(self) -> bool:
        """Whether the room has a session that was given to anyone."""
        async with self.siege.bots.transaction() as tx:
            session = await tx.crypto.outbound(self.siege.room_id)
        return session is not None and bool(session.shared_with)

    async def answer(self) -> tuple[float, float]:
        """The bot says something: how long until the homeserver has it, and the longest stand-still."""
        return await timed(lambda: self.siege.bot.send(self.siege.room_id, TEXT, clock.token()))

    async def floor(self, devices: list[Hostile], *, query: bool, claim: bool) -> float:
        """The same for these devices by plain HTTP."""
        seconds, _ = await timed(lambda: self._floor(devices, query=query, claim=claim))
        return seconds

    async def _floor(self, devices: list[Hostile], *, query: bool, claim: bool) -> None:
        call = self.prober.call
        if query:
            users: dict[str, list[str]] = {each.user_id: [] for each in devices}
            await call("POST", "/keys/query", {"device_keys": users, "timeout": 10_000})
        if claim:
            wanted: dict[str, dict[str, str]] = {}
            for each in devices:
                wanted.setdefault(each.user_id, {})[each.device_id] = "signed_curve25519"
            await call("POST", "/keys/claim", {"one_time_keys": wanted, "timeout": 10_000})
        for start in range(0, len(devices), RECIPIENTS):
            messages: dict[str, dict[str, Any]] = {}
            for each in devices[start : start + RECIPIENTS]:
                messages.setdefault(each.user_id, {})[each.device_id] = _sealed(each)
            path = f"/sendToDevice/m.room.encrypted/{clock.token()}"
            await call("PUT", path, {"messages": messages})
        await self.floor_event()

    async def floor_event(self) -> None:
        """The message alone."""
        content = {"algorithm": MEGOLM, "ciphertext": "A" * 400, "session_id": "A" * 43}
        await self.prober.send(self.siege.room_id, content)


def _sealed(device: Hostile) -> dict[str, Any]:
    body = {"type": 0, "body": "A" * SEALED_BYTES}
    return {"algorithm": OLM, "sender_key": "A" * 43, "ciphertext": {device.curve25519: body}}


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Seconds that the work took, and the longest for which it kept everything else waiting."""
    longest = 0.0

    async def probe() -> None:
        nonlocal longest
        while True:
            began = clock.monotonic()
            await asyncio.sleep(PROBE_SECONDS)
            longest = max(longest, clock.monotonic() - began - PROBE_SECONDS)

    probing = asyncio.create_task(probe())  # noqa: TID251  # ended below
    await asyncio.sleep(0)
    began = clock.monotonic()
    try:
        await work()
        return clock.monotonic() - began, longest
    finally:
        probing.cancel()


async def first_answer(bench: Bench) -> Measured:
    """Nobody's devices are known yet."""
    everyone = [device for person in bench.crowd for device in person.devices]
    floor = await bench.floor(everyone, query=True, claim=True)
    await bench.forget(sessions=True)
    return Measured(floor, *await bench.answer())


async def after_a_leave(bench: Bench) -> Measured:
    """A member has left: a new session for everybody else."""
    siege, gone = bench.siege, bench.crowd[-1]
    await gone.devices[0].call("POST", f"/rooms/{siege.room_id}/leave", {})
    await siege.until(lambda: gone.user_id not in siege.bot.members(siege.room_id), "the leave")
    rest = [device for person in bench.crowd[:-1] for device in person.devices]
    measured = Measured(await bench.floor(rest, query=False, claim=False), *await bench.answer())
    await bench.let_in(gone)
    await bench.answer()
    return measured


async def after_a_new_device(bench: Bench) -> Measured:
    """A member signs in on one more telephone."""
    person = bench.crowd[0]
    await add_device(bench.siege.homeserver, person)
    new = person.devices[-1]
    async with asyncio.timeout(DEADLINE):
        while not await bench.is_known(new):
            await bench.siege.bot.next_round()
    return Measured(await bench.floor([new], query=True, claim=True), *await bench.answer())


async def after_a_restart(bench: Bench) -> Measured:
    """The process begins anew, with what the database keeps; from its start to its answer."""
    siege = bench.siege
    await siege.stop()

    async def restarted() -> None:
        await siege.start()
        await siege.bot.send(siege.room_id, TEXT, clock.token())

    seconds, blocked = await timed(restarted)
    floor, _ = await timed(lambda: _floor_of_a_start(bench))
    return Measured(floor, seconds, blocked)


async def with_many_sessions(bench: Bench) -> Measured:
    """The process begins anew, and its database keeps thousands of sessions of others."""
    now, siege = clock.now(), bench.siege
    async with siege.bots.transaction() as tx:
        for number in range(SESSIONS):
            key, pickle = f"{number:043d}", b"p" * SESSION_BYTES
            owner = (f"@kept-{number}:hq.example", key, pickle, now)
            await tx.crypto.save_inbound(InboundSession(siege.room_id, key, key, *owner))
        await tx.crypto.save_olm_sessions(
            [(f"{n:043d}", "id", b"p" * SESSION_BYTES, now) for n in range(SESSIONS)]
        )
    return await after_a_restart(bench)


async def ahead_of_need(bench: Bench) -> Measured:
    """A member has left a served room, and the keys are there before anybody speaks."""
    siege, gone = bench.siege, bench.crowd[-1]
    async with siege.bots.transaction() as tx:
        await tx.rooms.change(siege.room_id, name="ops", served=True)
    await gone.devices[0].call("POST", f"/rooms/{siege.room_id}/leave", {})
    await siege.until(lambda: gone.user_id not in siege.bot.members(siege.room_id), "the leave")
    async with asyncio.timeout(DEADLINE):
        while not await bench.is_shared():  # noqa: ASYNC110  # nobody is told of it; we look often
            await asyncio.sleep(PROBE_SECONDS)
    floor, _ = await timed(bench.floor_event)
    measured = Measured(floor, *await bench.answer())
    async with siege.bots.transaction() as tx:
        await tx.rooms.change(siege.room_id, name=None, served=False)
    await bench.let_in(gone)
    await bench.answer()
    return measured


async def _floor_of_a_start(bench: Bench) -> None:
    """Who am I, are my keys there, is my identity mine, what did I miss; and the message."""
    call = bench.prober.call
    await call("GET", "/account/whoami")
    await call("POST", "/keys/upload", {})
    await call("POST", "/keys/query", {"device_keys": {bench.prober.user_id: []}})
    await bench.prober.received()
    await bench.floor_event()


CASES: dict[str, Callable[[Bench], Awaitable[Measured]]] = {
    "first answer": first_answer,
    "after a leave": after_a_leave,
    "after a new device": after_a_new_device,
    "ahead of need": ahead_of_need,
    "after a restart": after_a_restart,
    f"with {SESSIONS} sessions": with_many_sessions,
}
