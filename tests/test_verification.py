"""Verifications as the bot handles them: whom it answers, how often, and what it gains."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from bot.kernel import clock
from bot.matrix.canonical import SigningKey, is_signed
from bot.matrix.cross_signing import OwnIdentity
from bot.matrix.devices import Devices
from bot.matrix.errors import Unreachable
from bot.matrix.olm import OlmMachine
from bot.matrix.rooms import Rooms
from bot.matrix.sas import METHOD, Code, Message, Party, Sas
from bot.matrix.steps import Step, between_devices, in_room, is_step
from bot.matrix.trust import EnrolledCircle
from bot.matrix.verification import REQUESTS, Verifier
from bot.matrix.wire import Json, Malformed
from storage.inbox import Received
from storage.members import FINGERPRINT, FIRST_SIGHT, VERIFIED, Member
from storage.transaction import Database
from storage.verifications import ASKED, COMPARE, DIFFERENT, SAME, Verification
from tests.fakes import FakeClock

BOT, ANNA, ROOM = "@tandem:a.example", "@anna:b.example", "!ops"


@dataclass
class Wire:
    """The homeserver and the rooms: it shows Anna's keys, and keeps what the bot says."""

    keys: Json
    said: list[tuple[str, str, Json]] = field(default_factory=list)
    signatures: list[Json] = field(default_factory=list)
    fails: bool = False

    async def keys_query(self, users: list[str]) -> Json:
        """Anna's keys."""
        return self.keys

    async def send_to_device(self, event_type: str, messages: Json, txn_id: str) -> None:
        """Keep it."""
        [(user, devices)] = messages.items()
        [(device, content)] = devices.items()
        self._keep(f"{user}/{device}", event_type, content)

    async def send(self, room_id: str, first: Any, second: Any, third: str) -> str:
        """In clear as the homeserver takes it, or encrypted as the session does."""
        clear = isinstance(first, str)
        content, event_type = (second, first) if clear else (first, third)
        self._keep(f"clear {room_id}" if clear else room_id, event_type, content)
        return f"$bot{len(self.said)}"

    def _keep(self, where: str, event_type: str, content: Json) -> None:
        if self.fails:
            raise Unreachable("it is down")
        self.said.append((where, event_type.removeprefix("m.key.verification."), content))

    async def upload_signatures(self, body: Json) -> Json:
        """Keep it."""
        self.signatures.append(body)
        return {}


@dataclass
class Scene:
    """The bot's verifier, Anna's client `hers`, and what the bot wrote down for its people."""

    database: Database
    clock: FakeClock
    wire: Wire
    verifier: Verifier
    party: Party
    hers: Party
    own: OwnIdentity
    devices: Devices
    circle: EnrolledCircle
    sas: Sas | None = None

    def step(self, kind: str, content: Json, transaction: str = "t1", room_id: str | None = None) -> Step:
        """Something that Anna's client says."""
        return Step(ANNA, kind, content, transaction, room_id, "$event", self.clock.now())

    async def says(self, *steps: Step) -> None:
        """It arrives."""
        self.verifier.hear(steps)
        await self.verifier.work()

    async def asks(self, transaction: str = "t1", **more: Any) -> None:
        """Anna's client asks between devices."""
        content = {"from_device": self.hers.device_id, "methods": [METHOD], **more}
        await self.says(self.step("request", content, transaction))
        self.sas = Sas(self.hers, self.party, transaction, {"transaction_id": transaction})

    async def carry(self, messages: list[Message]) -> None:
        """What her client says goes to the bot, and its answers back, until nobody says more."""
        assert self.sas is not None
        while messages:
            before = len(self.wire.said)
            await self.says(*(self.step(kind, content) for kind, content in messages))
            answers = self.wire.said[before:]
            messages = [each for _, kind, content in answers for each in self.sas.receive(kind, content)]

    async def shown(self) -> None:
        """Both show their emoji."""
        await self.asks()
        assert self.sas is not None
        await self.carry(self.sas.start())

    async def wishes(self, stage: str, was: str = COMPARE) -> None:
        """What she typed."""
        async with self.database.transaction() as tx:
            assert await tx.verifications.move(ANNA, stage, was=was)
        await self.verifier.work()

    async def rows(self) -> list[tuple[str, str | None]]:
        """Stage and code of each inbox row."""
        async with self.database.transaction() as tx:
            rows: list[Received] = await tx.inbox.unhandled()
        return [(row.content["stage"], row.content.get("code")) for row in rows if row.kind == "verification"]

    async def how(self) -> str | None:
        """How Anna's identity is pinned."""
        async with self.database.transaction() as tx:
            member = await tx.members.find(ANNA)
        return member.pinned_how if member else None

    def last(self) -> tuple[str, str, str | None]:
        """Where the bot spoke last, what kind of message, and with which code."""
        where, kind, content = self.wire.said[-1]
        return where, kind, content.get("code")


def identity_of(user: str, device: OlmMachine, master: SigningKey, signing: SigningKey) -> Json:
    """An answer of /keys/query with one signed device."""
    keys: Json = {}
    for usage, key in (("master", master), ("self_signing", signing)):
        value: Json = {"user_id": user, "usage": [usage], "keys": {f"ed25519:{key.public}": key.public}}
        if usage != "master":
            master.add_signature(value, user)
        keys[f"{usage}_keys"] = {user: value}
    signed = {**device.device_keys, "signatures": {user: dict(device.device_keys["signatures"][user])}}
    signing.add_signature(signed, user)
    keys["device_keys"] = {user: {device.device_id: signed}}
    return keys


@pytest.fixture
async def scene(database: Database) -> Scene:
    """Anna is enrolled; her client is cross-signed."""
    turned = FakeClock(clock.now())
    device = await OlmMachine.open(database, ANNA, "LAPTOP")
    async with database.transaction() as tx:
        await tx.crypto.forget_device()
    machine = await OlmMachine.open(database, BOT, "BOTDEVICE")
    master, signing = SigningKey(b"1" * 32), SigningKey(b"2" * 32)
    own = OwnIdentity.of(BOT, b"a" * 32 + b"b" * 32 + b"c" * 32)
    wire = Wire(identity_of(ANNA, device, master, signing))
    circle = EnrolledCircle()
    server = cast(Any, wire)
    devices = Devices(
        database, server, circle, Rooms(BOT), machine.lock, (own.user_id, own.user_signing.public)
    )
    verifier = Verifier(database, server, machine, devices, server, circle, own, turned.now)
    async with database.transaction() as tx:
        member = Member(ANNA, "RCMP", None, None, None, "active", None, None, None, BOT, turned.now())
        await tx.members.enrol(member)
    hers = Party(
        ANNA, "LAPTOP", {"ed25519:LAPTOP": device.ed25519, f"ed25519:{master.public}": master.public}
    )
    bots = {"ed25519:BOTDEVICE": machine.ed25519, f"ed25519:{own.master.public}": own.master.public}
    return Scene(database, turned, wire, verifier, Party(BOT, "BOTDEVICE", bots), hers, own, devices, circle)


async def test_what_both_confirm_is_noted_and_signed(scene: Scene) -> None:
    await scene.shown()
    assert await scene.rows() == [("compare", None)]
    assert scene.sas is not None
    await scene.carry(scene.sas.confirm())
    assert scene.sas.is_proven, "her client believes the bot by what she compared"
    assert await scene.how() == FIRST_SIGHT
    await scene.wishes(SAME)
    assert await scene.rows() == [("compare", None), ("done", None)]
    assert await scene.how() == VERIFIED
    [uploaded] = scene.wire.signatures
    [(master, signed)] = uploaded[ANNA].items()
    assert is_signed(signed, BOT, scene.own.user_signing.public)
    assert master in signed["keys"].values()


async def test_her_word_may_come_before_her_client_s(scene: Scene) -> None:
    await scene.shown()
    await scene.wishes(SAME)
    assert await scene.how() == FIRST_SIGHT
    assert scene.sas is not None
    await scene.carry(scene.sas.confirm())
    assert await scene.how() == VERIFIED


async def test_emoji_that_differ_end_it(scene: Scene) -> None:
    await scene.shown()
    await scene.wishes(DIFFERENT)
    assert scene.last() == (f"{ANNA}/LAPTOP", "cancel", Code.MISMATCHED_SAS)
    assert await scene.rows() == [("compare", None), ("cancelled", Code.MISMATCHED_SAS)]
    assert await scene.how() == FIRST_SIGHT


async def test_a_pin_that_is_changed_meanwhile_is_not_verified(scene: Scene) -> None:
    await scene.shown()
    assert scene.sas is not None
    await scene.carry(scene.sas.confirm())
    async with scene.database.transaction() as tx:
        await tx.members.repin(ANNA, "another", FINGERPRINT, scene.clock.now())
    await scene.wishes(SAME)
    assert await scene.rows() == [("compare", None), ("cancelled", Code.KEY_MISMATCH)]
    assert scene.wire.signatures == []


async def test_a_pin_by_fingerprint_stays_one(scene: Scene) -> None:
    await scene.shown()
    async with scene.database.transaction() as tx:
        member = await tx.members.find(ANNA)
        assert member is not None
        await tx.members.repin(ANNA, str(member.master_key), FINGERPRINT, scene.clock.now())
    assert scene.sas is not None
    await scene.carry(scene.sas.confirm())
    await scene.wishes(SAME)
    assert (await scene.rows())[-1] == ("done", None)
    assert await scene.how() == FINGERPRINT


@pytest.mark.parametrize("said", [True, False])
async def test_ten_minutes_are_enough(scene: Scene, said: bool) -> None:
    await scene.shown()
    if said:
        assert scene.sas is not None
        await scene.carry(scene.sas.confirm())
    spoken = len(scene.wire.said)
    scene.clock.turn(timedelta(minutes=10))
    await scene.verifier.work()
    assert (await scene.rows())[-1] == ("cancelled", "unsaid" if said else Code.TIMEOUT)
    assert len(scene.wire.said) == spoken + (not said), "what the clients have finished is not cancelled"
    assert await scene.how() == FIRST_SIGHT


async def test_what_was_under_way_is_given_up_at_the_next_start(scene: Scene) -> None:
    await scene.shown()
    await scene.verifier.give_up()
    assert scene.last() == (f"{ANNA}/LAPTOP", "cancel", Code.USER)
    assert await scene.rows() == [("compare", None), ("cancelled", "restarted")]
    await scene.verifier.give_up()
    assert len(await scene.rows()) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"methods": ["m.reciprocate.v1"]}, Code.UNKNOWN_METHOD),
        ({"methods": 7}, Code.UNKNOWN_METHOD),
        ({"from_device": "PHONE"}, Code.USER),
    ],
)
async def test_what_is_not_for_us_is_declined_at_once(scene: Scene, change: Json, code: Code) -> None:
    await scene.asks(**change)
    assert scene.last()[1:] == ("cancel", code)
    assert await scene.rows() == []


@pytest.mark.parametrize("minutes", [-11, 6])
async def test_a_request_from_another_time_is_ignored(scene: Scene, minutes: int) -> None:
    content = {"from_device": "LAPTOP", "methods": [METHOD]}
    at = scene.clock.now() + timedelta(minutes=minutes)
    await scene.says(Step(ANNA, "request", content, "t1", sent_at=at))
    await scene.says(Step(ANNA, "request", content, "t2", sent_at=None))
    assert scene.wire.said == []
    assert scene.verifier.ignored["request"] == 2


async def test_too_many_requests_are_ignored_for_a_while(scene: Scene) -> None:
    """S31: each ends the one before it; from the sixth on there is silence."""
    for number in range(REQUESTS + 3):
        await scene.asks(f"t{number}")
    ready = [content["transaction_id"] for _, kind, content in scene.wire.said if kind == "ready"]
    assert ready == [f"t{number}" for number in range(REQUESTS)]
    assert scene.verifier.ignored["request"] == 3
    assert await scene.rows() == [("cancelled", "replaced")] * (REQUESTS - 1)
    scene.clock.turn(timedelta(minutes=11))
    await scene.asks("later")
    assert scene.last()[1] == "ready"


@pytest.mark.parametrize("standing", ["suspended", "reset", "unsigned"])
async def test_who_is_not_trusted_is_declined(scene: Scene, standing: str) -> None:
    async with scene.database.transaction() as tx:
        if standing == "suspended":
            await tx.members.set_state(ANNA, "suspended", was="active")
        elif standing == "reset":
            await tx.members.pin(ANNA, "another", FIRST_SIGHT, scene.clock.now())
    if standing == "unsigned":
        del scene.wire.keys["self_signing_keys"]
    await scene.asks()
    assert scene.last() == (f"{ANNA}/LAPTOP", "cancel", Code.USER)


async def test_messages_of_another_transaction_or_room_change_nothing(scene: Scene) -> None:
    await scene.shown()
    spoken = len(scene.wire.said)
    await scene.says(scene.step("cancel", {"code": "m.user"}, "t2"))
    await scene.says(scene.step("mac", {}, "t1", ROOM))
    await scene.says(Step("@eve:b.example", "cancel", {"code": "m.user"}, "t1"))
    assert len(scene.wire.said) == spoken
    assert await scene.rows() == [("compare", None)]
    await scene.says(scene.step("start", {"from_device": "LAPTOP"}, "t2"))
    assert scene.last() == (f"{ANNA}/LAPTOP", "cancel", Code.UNKNOWN_TRANSACTION)


async def test_a_cancel_of_her_client_is_told_with_its_code(scene: Scene) -> None:
    await scene.shown()
    spoken = len(scene.wire.said)
    await scene.says(scene.step("cancel", {"code": {"odd": 1}}))
    assert (await scene.rows())[-1] == ("cancelled", Code.USER)
    assert len(scene.wire.said) == spoken, "a cancel is not answered"


@pytest.mark.parametrize(
    ("kind", "content"),
    [("key", {"key": "AAAA"}), ("mac", {"mac": {"x": 7}}), ("start", {}), ("nonsense", {}), ("accept", {})],
)
async def test_bad_messages_end_it_and_nothing_else(scene: Scene, kind: str, content: Json) -> None:
    """S31."""
    await scene.shown()
    await scene.says(scene.step(kind, content))
    assert scene.last()[1] == "cancel"
    assert (await scene.rows())[-1][0] == "cancelled"
    await scene.asks("again")
    assert scene.last()[1] == "ready"


async def test_a_homeserver_that_is_down_ends_it_with_a_word(scene: Scene) -> None:
    await scene.shown()
    scene.wire.fails = True
    assert scene.sas is not None
    await scene.says(*(scene.step(kind, content) for kind, content in scene.sas.confirm()))
    assert (await scene.rows())[-1] == ("cancelled", "failed")


async def asked(scene: Scene, **values: Any) -> None:
    """She has typed `!verify`."""
    wish = Verification(ANNA, ROOM, "$typed", None, "LAPTOP", ASKED, scene.clock.now())
    async with scene.database.transaction() as tx:
        await tx.verifications.put(Verification(**{**vars(wish), **values}))
    await scene.verifier.work()


async def test_what_she_asks_for_by_command_begins_in_her_room(scene: Scene) -> None:
    await asked(scene)
    [(where, kind, request)] = scene.wire.said
    assert (where, kind, request["to"]) == (ROOM, "m.room.message", ANNA)
    named = {"m.relates_to": {"rel_type": "m.reference", "event_id": "$bot1"}}
    ready = {"from_device": "LAPTOP", "methods": [METHOD], **named}
    await scene.says(scene.step("ready", ready, "$bot1", ROOM), scene.step("ready", ready, "$bot1", ROOM))
    where, kind, start = scene.wire.said[-1]
    assert (where, kind) == (ROOM, "start"), "the second answer, from another device, changes nothing"
    scene.sas = Sas(scene.hers, scene.party, "$bot1", named)
    accept = scene.sas.receive("start", start)
    await scene.says(*(scene.step(kind, content, "$bot1", ROOM) for kind, content in accept))
    assert scene.last()[:2] == (ROOM, "key")


@pytest.mark.parametrize(
    ("ready", "code"),
    [
        ({"from_device": "LAPTOP", "methods": []}, Code.UNKNOWN_METHOD),
        ({"from_device": "PHONE", "methods": [METHOD]}, Code.KEY_MISMATCH),
        ({}, Code.UNKNOWN_METHOD),
    ],
)
async def test_an_answer_that_does_not_fit_ends_it(scene: Scene, ready: Json, code: Code) -> None:
    await asked(scene)
    await scene.says(scene.step("ready", ready, "$bot1", ROOM))
    assert scene.last() == (ROOM, "cancel", code)


async def test_a_wish_that_is_too_old_is_told_so(scene: Scene) -> None:
    await asked(scene, at=scene.clock.now() - timedelta(minutes=10))
    assert scene.wire.said == []
    assert await scene.rows() == [("cancelled", Code.TIMEOUT)]


def vouched(scene: Scene) -> None:
    """An operator, signed in as the bot, has signed the identity that the homeserver shows."""
    scene.own.user_signing.add_signature(scene.wire.keys["master_keys"][ANNA], BOT)


async def refresh(scene: Scene) -> None:
    """The homeserver says that her keys are not what they were, and shows them."""
    async with scene.database.transaction() as tx:
        await scene.devices.mark_changed(tx, [ANNA])
    await scene.devices.refresh([ANNA])


async def test_what_an_operator_has_verified_is_taken_up_once(scene: Scene) -> None:
    await refresh(scene)
    assert await scene.how() == FIRST_SIGHT
    vouched(scene)
    await refresh(scene)
    await refresh(scene)
    assert await scene.how() == VERIFIED
    assert await scene.rows() == [("vouched", None)]


async def test_what_an_operator_has_verified_is_pinned_where_nothing_was(scene: Scene) -> None:
    scene.circle.pinning = FINGERPRINT
    await refresh(scene)
    assert await scene.how() is None
    vouched(scene)
    await refresh(scene)
    assert await scene.how() == VERIFIED


async def test_another_identity_than_the_pinned_one_is_not_taken_up_whoever_signed_it(scene: Scene) -> None:
    async with scene.database.transaction() as tx:
        await tx.members.pin(ANNA, "another", FIRST_SIGHT, scene.clock.now())
    vouched(scene)
    await refresh(scene)
    await refresh(scene)
    async with scene.database.transaction() as tx:
        member = await tx.members.find(ANNA)
    assert member is not None
    assert (member.master_key, member.pinned_how) == ("another", FIRST_SIGHT)
    assert await scene.rows() == [("vouched_other", None)]


async def test_a_signature_by_another_key_vouches_for_nothing(scene: Scene) -> None:
    SigningKey(b"9" * 32).add_signature(scene.wire.keys["master_keys"][ANNA], BOT)
    vouched(scene)
    signatures = scene.wire.keys["master_keys"][ANNA]["signatures"][BOT]
    signatures[f"ed25519:{scene.own.user_signing.public}"] = "A" * 86
    await refresh(scene)
    assert await scene.how() == FIRST_SIGHT


async def test_any_member_may_open_a_direct_room_and_no_other(scene: Scene) -> None:
    async with scene.database.transaction() as tx:
        assert await scene.circle.may_invite(tx, ANNA, direct=True)
        assert not await scene.circle.may_invite(tx, ANNA, direct=False)
        assert not await scene.circle.may_invite(tx, "@eve:b.example", direct=True)
        await tx.members.set_state(ANNA, "suspended", was="active")
        assert not await scene.circle.may_invite(tx, ANNA, direct=True)


def test_a_step_names_its_transaction() -> None:
    event = {"event_id": "$1", "sender": ANNA, "origin_server_ts": 10**30}
    request = {"msgtype": "m.key.verification.request"}
    assert is_step("m.room.message", request)
    assert in_room(ROOM, event, "m.room.message", request, {}).transaction == "$1"
    relation = {"m.relates_to": {"rel_type": "m.reference", "event_id": "$0"}}
    for inside, outside in ((relation, {}), ({}, relation)):
        step = in_room(ROOM, event, "m.key.verification.key", inside, outside)
        assert (step.kind, step.transaction, step.sent_at) == ("key", "$0", None)
    no_relations: tuple[Json, ...] = (
        {},
        {"m.relates_to": []},
        {"m.relates_to": {"rel_type": "m.thread", "event_id": "$0"}},
    )
    for odd in no_relations:
        with pytest.raises(Malformed):
            in_room(ROOM, event, "m.key.verification.key", odd, {})
    for content in ({}, {"transaction_id": 7}, {"transaction_id": ""}):  # type: Json
        with pytest.raises(Malformed):
            between_devices(ANNA, "m.key.verification.key", content)


@pytest.mark.parametrize(
    "kind", ["key", "m.key.verification.", "m.key.verification.other", 7, None, "request"]
)
def test_other_events_are_no_steps(kind: object) -> None:
    assert not is_step(kind, {})
    assert not is_step("m.room.message", {"msgtype": kind})
