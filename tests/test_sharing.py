"""Who can read a message: its key, on its way to devices while people leave and answers get lost."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from vodozemac import Account

from bot.matrix.devices import Devices
from bot.matrix.errors import Unreachable
from bot.matrix.identities import MEGOLM, read_identity
from bot.matrix.login import forget_device
from bot.matrix.megolm import Megolm
from bot.matrix.olm import OlmMachine
from bot.matrix.rooms import JOINED, Rooms
from bot.matrix.send import Sender
from bot.matrix.sharing import Sharing
from bot.matrix.trust import EnrolledCircle
from bot.matrix.wire import Json
from storage.crypto import DeviceList, OutboundSession
from storage.members import ACTIVE, SUSPENDED, Member
from storage.transaction import Database
from tests.fakes import NOON
from tests.fuzz.peers import Peer
from tests.fuzz.world import ANNA, BOB, LOBBY, OPS, Canned
from tests.story import BOT

TEXT = {"msgtype": "m.text", "body": "Bridge closed"}


class Server(Canned):
    """Takes everything; `meanwhile` runs as a request whose path has the key in it arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: dict[str, Callable[[], Awaitable[None]]] = {}
        self.sent: list[Json] = []

    async def call(self, method: str, path: str, body: Any = None, **limits: Any) -> Json:
        for part in [each for each in self.meanwhile if each in path]:
            await self.meanwhile.pop(part)()
        if "sendToDevice" in path:
            return {}
        if "/send/" in path:
            self.sent.append(body)
            return {"event_id": f"${len(self.sent)}"}
        return await super().call(method, path, body, **limits)


@dataclass
class Scene:
    """Anna and Bob, each with one device, in two encrypted rooms with the bot."""

    database: Database
    server: Server
    machine: OlmMachine
    rooms: Rooms
    sender: Sender
    people: dict[str, Peer] = field(default_factory=dict)

    @classmethod
    async def begin(cls, database: Database) -> "Scene":
        """All is well, and nothing was said yet."""
        server, rooms, circle = Server(), Rooms(BOT), EnrolledCircle()
        machine = await OlmMachine.open(database, BOT, "TANDEM")
        megolm = Megolm(machine.pickle_key)
        devices = Devices(database, server, circle, rooms, machine.lock)
        sharing = Sharing(database, server, machine, megolm, devices, circle)
        sender = Sender(database, server, machine, megolm, sharing, rooms, "")
        scene = cls(database, server, machine, rooms, sender)
        for room_id in (OPS, LOBBY):
            rooms.change(room_id).membership = JOINED
            encryption = {
                "type": "m.room.encryption",
                "state_key": "",
                "content": {"algorithm": MEGOLM},
            }
            rooms.take_state(room_id, encryption)
        async with database.transaction() as tx:
            await tx.crypto.save_device_lists([DeviceList(BOT, False, {"master": None, "devices": []}, None)])
        keys = {ANNA: await scene.comes(ANNA), BOB: await scene.comes(BOB)}
        server.answers["keys/claim"] = {"one_time_keys": keys}
        return scene

    async def comes(self, user_id: str) -> Json:
        """A member with a device is in both rooms; what the device offers to those who claim a key."""
        peer = self.people[user_id] = Peer(user_id, f"{user_id[1:4].upper()}1")
        member = Member(
            user_id,
            "RCMP",
            None,
            None,
            None,
            ACTIVE,
            peer.own.master.public,
            "enrolment",
            NOON,
            "config",
            NOON,
        )
        shown = read_identity(user_id, peer.shown()).document()
        async with self.database.transaction() as tx:
            await tx.members.enrol(member)
            await tx.crypto.save_device_lists([DeviceList(user_id, False, shown, None)])
        for room_id in (OPS, LOBBY):
            self.rooms.take_state(room_id, membership(user_id, "join"))
        one_time_key = peer.sign({"key": Account().curve25519_key.to_base64()})
        return {peer.device_id: {"signed_curve25519:AAAA": one_time_key}}

    async def leaves(self) -> None:
        """Anna leaves, and the bot sees it."""
        async with self.machine.lock, self.database.transaction() as tx:
            self.rooms.take_state(OPS, membership(ANNA, "leave"))
            await self.rooms.save(tx)

    async def suspended(self) -> None:
        """Anna is suspended, by a command; nothing changes on Matrix."""
        async with self.database.transaction() as tx:
            await tx.members.set_state(ANNA, SUSPENDED, was=ACTIVE)

    async def loses_device(self) -> None:
        """Anna has signed her device out, and the bot has asked for her list anew."""
        async with self.machine.lock, self.database.transaction() as tx:
            shown = read_identity(ANNA, self.people[ANNA].shown() | {"device_keys": {}}).document()
            await tx.crypto.save_device_lists([DeviceList(ANNA, False, shown, None)])

    async def session(self, room_id: str = OPS) -> OutboundSession:
        """The room's session."""
        async with self.database.transaction() as tx:
            session = await tx.crypto.outbound(room_id)
        assert session is not None
        return session

    async def check_anna_cannot_read(self, message: int = -1) -> None:
        """The message was encrypted with the session that is kept, and Anna never had that."""
        session = await self.session()
        assert f'"session_id":"{session.session_id}"' in str(self.server.sent[message])
        assert set(session.shared_with) == {BOB}
        assert session.offered == {}


def membership(user_id: str, state: str) -> Json:
    content = {"membership": state}
    return {"type": "m.room.member", "state_key": user_id, "sender": user_id, "content": content}


async def lost() -> None:
    """What was asked was done, and the answer never comes."""
    raise Unreachable("the connection was cut")


@pytest.fixture
async def scene(database: Database) -> Scene:
    return await Scene.begin(database)


async def test_all_who_may_read_get_the_key(scene: Scene) -> None:
    await scene.sender.send(OPS, TEXT, "one", "m.room.message")
    session = await scene.session()
    assert set(session.shared_with) == {ANNA, BOB}
    assert session.offered == {}


@pytest.mark.parametrize("act", ["suspended", "loses_device"])
async def test_a_key_that_may_have_arrived_counts_as_arrived(scene: Scene, act: str) -> None:
    scene.server.meanwhile["sendToDevice"] = lost
    with pytest.raises(Unreachable):
        await scene.sender.send(OPS, TEXT, "one", "m.room.message")
    offered = await scene.session()
    assert set(offered.offered) == {ANNA, BOB}
    await getattr(scene, act)()
    await scene.sender.send(OPS, TEXT, "one", "m.room.message")
    assert (await scene.session()).session_id != offered.session_id
    await scene.check_anna_cannot_read()


@pytest.mark.parametrize("act", ["leaves", "suspended", "loses_device"])
async def test_who_may_read_is_looked_at_again_as_a_message_is_encrypted(scene: Scene, act: str) -> None:
    scene.server.meanwhile["sendToDevice"] = getattr(scene, act)
    await scene.sender.send(OPS, TEXT, "one", "m.room.message")
    await scene.check_anna_cannot_read()


async def test_who_leaves_while_devices_are_asked_for_gets_no_key(scene: Scene) -> None:
    async with scene.database.transaction() as tx:
        await tx.crypto.outdate_devices([BOB])
    scene.server.answers["keys/query"] = scene.people[BOB].shown()
    scene.server.meanwhile["keys/query"] = scene.leaves
    await scene.sender.send(OPS, TEXT, "one", "m.room.message")
    await scene.check_anna_cannot_read()


async def test_what_was_encrypted_for_one_room_is_not_sent_to_another(scene: Scene) -> None:
    scene.server.meanwhile["/send/"] = lost
    with pytest.raises(Unreachable):
        await scene.sender.send(OPS, TEXT, "one", "m.room.message")
    await scene.sender.send(LOBBY, TEXT, "one", "m.room.message")
    assert (await scene.session(LOBBY)).session_id in str(scene.server.sent[-1])


async def test_what_a_device_has_encrypted_goes_with_it(scene: Scene) -> None:
    scene.server.meanwhile["/send/"] = lost
    with pytest.raises(Unreachable):
        await scene.sender.send(OPS, TEXT, "one", "m.room.message")
    await forget_device(scene.database)
    async with scene.database.transaction() as tx:
        assert await tx.crypto.all_sealed() == []
