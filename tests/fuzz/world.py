"""The receiving half of the bot on a database in memory, in which nothing that is received stays."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import select
from vodozemac import Account

from bot.kernel.vocabulary import Role
from bot.matrix.api import Homeserver
from bot.matrix.devices import Devices
from bot.matrix.errors import Rejected
from bot.matrix.megolm import Megolm
from bot.matrix.olm import OlmMachine, OlmPayload
from bot.matrix.receive import Receiver
from bot.matrix.rooms import Rooms
from bot.matrix.session import PATIENCE
from bot.matrix.sync import SINCE, Sync
from bot.matrix.trust import Circle, EnrolledCircle, Identity, Owner
from bot.matrix.wire import obj, parse
from bot.runtime.dispatcher import Dispatcher, Settings
from commands import CAPABILITIES
from storage.inbox import inbox
from tests.fakes import NOON
from tests.fuzz.peers import Json, Peer
from tests.fuzz.rehearsal import Rehearsal
from tests.story import BOT, Story

A = TypeVar("A")
OPS, LOBBY = "!ops:agency.example", "!lobby:agency.example"
ANNA, BOB, EVE = "@anna:rcmp.example", "@bob:cbp.example", "@eve:elsewhere.example"
HONEST = "$the-honest-one"


class Find(AssertionError):
    """The bot came through, but did not do what it must."""


class Canned(Homeserver):
    """A homeserver that gives the answers it was told to, `{part of a path: answer}`; 404 for the rest."""

    def __init__(self) -> None:
        super().__init__("http://homeserver.invalid")
        self.answers: Json = {}

    async def call(self, method: str, path: str, body: Any = None, **limits: Any) -> Json:
        """The answer whose name is in the path, as its JSON is read."""
        for part, answer in self.answers.items():
            if part and part in path:
                return obj(parse(json.dumps(answer).encode()))
        raise Rejected(404, "M_NOT_FOUND", {})


class Watched(Receiver):
    """Keeps what it drops for another reason than that it was malformed."""

    def __init__(
        self, machine: OlmMachine, megolm: Megolm, circle: Circle, failed: list[BaseException]
    ) -> None:
        super().__init__(machine, megolm, circle, PATIENCE)
        self._failed = failed

    def _drop(self, what: str, error: BaseException) -> None:
        super()._drop(what, error)
        if not isinstance(error, ValueError):
            self._failed.append(error)


@dataclass
class Parts:
    """What one round of sync needs; made anew for each input, as memory must not outlive it."""

    sync: Sync
    rooms: Rooms
    receiver: Receiver
    devices: Devices
    circle: Circle


@dataclass
class World:
    """The bot, two officers with real keys, two rooms. `failed` lists what rims have caught."""

    database: Rehearsal
    story: Story
    server: Canned
    machine: OlmMachine
    megolm: Megolm
    anna: Peer
    bob: Peer
    names: dict[str, str] = field(default_factory=dict)
    failed: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.anna_shown, self.bob_shown = self.anna.shown(), self.bob.shown()
        self.one_time_key = self.anna.sign({"key": Account().curve25519_key.to_base64()})

    def parts(self) -> Parts:
        """A receiving half that knows nothing yet; `sync.load` takes up what the database has."""
        circle, rooms = EnrolledCircle(), Rooms(BOT)
        receiver = Watched(self.machine, self.megolm, circle, self.failed)
        devices = Devices(self.database, self.server, circle, rooms, self.machine.lock)
        sync = Sync(self.database, self.server, self.machine, devices, rooms, receiver, circle)
        return Parts(sync, rooms, receiver, devices, circle)

    def filled(self, value: Any) -> Any:
        """The value with each `<name>` in place of what has that name: keys, ciphertexts, ids."""
        if isinstance(value, str):
            return self.names.get(value, value)
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        if isinstance(value, dict):
            return {self.names.get(key, key): self.filled(each) for key, each in value.items()}
        return value

    def check(self) -> None:
        """The first thing that a rim has caught, if there is one."""
        failed = list(self.failed)
        self.failed.clear()
        if failed:
            raise failed[0]

    async def kinds_of(self, event_id: str) -> list[str]:
        """The kind of the event's inbox row, if it has one."""
        async with self.database.transaction() as tx:
            query = select(inbox.c.kind).where(inbox.c.event_id == event_id)
            return list((await tx.connection.execute(query)).scalars())


@cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


def run(work: Coroutine[Any, Any, A]) -> A:
    """Do it on the loop that all inputs share."""
    return _runner().run(work)


@cache
def world() -> World:
    """The one world of this process."""
    return run(_made())


def close() -> None:
    """Give everything back; a later `world()` is a new one."""
    if world.cache_info().currsize:
        run(world().database.close())
        run(world().server.close())
        world.cache_clear()
    if _runner.cache_info().currsize:
        _runner().close()
        _runner.cache_clear()


async def _made() -> World:
    database = Rehearsal()
    await database.create()
    await database.unlock(bytes(32), NOON)
    failed: list[BaseException] = []
    story = await _story(database, failed)
    machine = await OlmMachine.open(database, BOT, "BOTDEVICE")
    made = World(
        database,
        story,
        Canned(),
        machine,
        Megolm(machine.pickle_key),
        Peer(ANNA, "LAPTOP"),
        Peer(BOB, "PHONE"),
        failed=failed,
    )
    await _enrol(made)
    await _meet(made)
    _name(made)
    await database.begin()
    return made


async def _story(database: Rehearsal, failed: list[BaseException]) -> Story:
    """A bot whose dispatcher tells of every error that it catches."""

    def reference() -> str:
        failed.append(sys.exception() or Find("an event failed"))
        return "7F3A"

    story = await Story.begin(database)
    settings = Settings(BOT, reference=reference)
    story.dispatcher = Dispatcher(database, CAPABILITIES, story.clock.now, settings)
    return story


async def _enrol(made: World) -> None:
    story = made.story
    people = [
        await story.member("anna", Role.LIAISON, Role.ADMIN, zone="America/Toronto"),
        await story.member("bob", Role.SUPERVISOR, agency="CBP", language="fr"),
    ]
    await story.room("ops", ["ops"], people, zone="America/Toronto", reactions=True)
    await story.room("lobby", [], people, language="fr")
    async with made.database.transaction() as tx:
        for peer in (made.anna, made.bob):
            await tx.members.repin(peer.user_id, peer.own.master.public, "fingerprint", NOON)
        await tx.crypto.set_value(SINCE, b"s1")
    await people[0].says(OPS, '!alert moderate "Bridge closed"')
    card = next(sent for sent in story.messenger.sent if sent.content["msgtype"] == "m.text")
    made.names["<card>"] = card.event_id


async def _meet(made: World) -> None:
    """Rooms, devices, Olm and Megolm sessions, as an earlier round of sync has left them."""
    parts = made.parts()
    await parts.sync.load()
    for peer in (made.anna, made.bob):
        made.server.answers = {"/keys/query": peer.shown()}
        await parts.devices.refresh([peer.user_id])
    async with made.machine.lock, made.database.transaction() as tx:
        for room_id in (OPS, LOBBY):
            parts.rooms.change(room_id).membership = "join"
            for user_id in (BOT, ANNA, BOB):
                parts.rooms.change(room_id).members[user_id] = "join"
        await parts.rooms.save(tx)
        for peer in (made.anna, made.bob):
            owner = Owner(peer.user_id, peer.curve25519, peer.ed25519)
            for room_id in (OPS, LOBBY):
                payload = OlmPayload(owner, "m.room_key", peer.room_key(room_id))
                await made.megolm.accept(tx, payload)
        keys = (await made.machine.keys_to_publish(tx, 0, fallback_used=True))["one_time_keys"]
    await _begin_olm(made, [each["key"] for each in keys.values()])


async def _begin_olm(made: World, one_time_keys: list[str]) -> None:
    """Anna has spoken with the bot and heard of it; Bob has yet to send his first message."""
    machine, anna = made.machine, made.anna
    anna.begin(machine, one_time_keys[0])
    made.bob.begin(machine, one_time_keys[1])
    kind, body = anna.seal(json.dumps(anna.payload(machine, "m.dummy", {})).encode(), keep=True)
    sealed = {machine.curve25519: {"type": kind, "body": body}}
    content = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": anna.curve25519}
    event = {"sender": ANNA, "content": content | {"ciphertext": sealed}}
    async with machine.lock, made.database.transaction() as tx:
        await machine.decrypt(tx, event)
        identity = (await tx.crypto.device_lists([ANNA]))[ANNA].document
    device = Identity.of(ANNA, identity).devices["LAPTOP"]
    (content_,) = await machine.encrypt(made.database, [device], "m.dummy", {}, {})
    assert content_ is not None
    answer = content_["ciphertext"][anna.curve25519]
    anna.open(answer["type"], answer["body"])


def _name(made: World) -> None:
    """What samples call by name, as it is made anew in each process."""
    names = made.names
    for name, peer in (("anna", made.anna), ("bob", made.bob)):
        names[f"<{name} curve25519>"], names[f"<{name} ed25519>"] = peer.curve25519, peer.ed25519
        names[f"<{name} session>"] = peer.group.session_id
        names[f"<{name} session key>"] = peer.first_key
        names[f"<{name} master>"] = peer.own.master.public
    names["<bot curve25519>"], names["<bot ed25519>"] = made.machine.curve25519, made.machine.ed25519
    said = {"msgtype": "m.text", "body": "!ack A-1"}
    names["<message>"] = made.anna.sealed(OPS, "m.room.message", said)
    replaced = {"rel_type": "m.replace", "event_id": "$said"}
    edit = {"msgtype": "m.text", "body": "* !help", "m.new_content": said, "m.relates_to": replaced}
    names["<edit>"] = made.anna.sealed(OPS, "m.room.message", edit)
    reacted = {"rel_type": "m.annotation", "event_id": names["<card>"], "key": "✅"}
    names["<reaction>"] = made.anna.sealed(OPS, "m.reaction", {"m.relates_to": reacted})
    names["<other room>"] = made.anna.sealed(LOBBY, "m.room.message", said)
    names["<honest>"] = made.bob.sealed(LOBBY, "m.room.message", {"msgtype": "m.text", "body": "!help"})
    room_key = made.anna.payload(made.machine, "m.room_key", _next_key(made.anna))
    kind, body = made.anna.seal(json.dumps(room_key).encode())
    assert kind == 1
    names["<olm>"] = body


def _next_key(peer: Peer) -> Json:
    """The key of a session that the bot does not know yet."""
    other = Peer(peer.user_id, peer.device_id)
    return other.room_key(OPS)
