"""Attacks on keys: poisoned answers, exhausted stocks, keys that nobody may give, take or ask for."""

import asyncio

from bot.matrix.identities import MEGOLM
from tests.attack.catalogue import attack
from tests.attack.channels import stays_shut
from tests.attack.scene import Scene
from tests.attack.stage import DEADLINE, LOOK_EVERY, until
from tests.e2e.hostile import Hostile, Json

ALL_KEYS = 60  # more one-time keys than the bot ever has on the homeserver


@attack(
    "S4",
    tried="device keys that are none, beside honest ones, by a client and by the server",
    nio="the whole answer is thrown away; nobody's devices are known any more",
)
async def poisoned_devices(scene: Scene) -> None:
    """One bad device hides no other: Mallory's honest device is heard and given keys."""

    def poison(answer: Json) -> None:
        rubbish: Json = {"A": None, "B": {"unsigned": 5}, "C": {"signatures": None, "keys": []}, "": 7}
        for user, devices in answer["device_keys"].items():
            devices |= rubbish if user != scene.stage.bot.user_id else {}  # on its own account: S34
        answer["device_keys"]["@nobody"] = "text"
        answer["master_keys"]["@nobody"] = None
        answer["failures"] = []

    scene.stage.meddler.alter["/keys/query"] = poison
    mallory = await scene.member(join=False)
    bad = await scene.device(mallory.user_id, keys=False)
    await bad.upload(bad.device_keys(ed25519="AAAA"))
    await scene.bring_in(mallory)
    await scene.share(mallory)
    await scene.answered(mallory, "the honest device beside them")
    scene.saw("it was given keys", bool(scene.handed(mallory)))
    scene.saw(f"{len(scene.handed(bad))} to the bad one", not scene.handed(bad))


@attack(
    "S5",
    tried="one-time keys that are none: signed rubbish, and an empty answer",
    nio="an exception; sharing hangs for ever in that room",
)
async def poisoned_claims(scene: Scene) -> None:
    """Only the device whose key is bad goes without, and it is told."""
    mallory = await scene.member(join=False)
    rubbish = await signed_device(scene, mallory, one_time_key="AAAA")
    empty = await signed_device(scene, mallory)

    def strip(answer: Json) -> None:
        for devices in answer["one_time_keys"].values():
            devices |= {empty.device_id: {}} if empty.device_id in devices else {}

    scene.stage.meddler.alter["/keys/claim"] = strip
    scene.mark()
    await scene.bring_in(mallory)
    await scene.honest_ping()
    codes = sorted(scene.withheld(rubbish) | scene.withheld(empty))
    scene.saw(f"the honest device has {len(scene.handed(mallory))} key", bool(scene.handed(mallory)))
    gone_without = not scene.handed(rubbish) + scene.handed(empty)
    scene.saw(f"the others {codes}", gone_without and codes == ["m.no_olm"])


async def signed_device(scene: Scene, owner: Hostile, one_time_key: str | None = None) -> Hostile:
    """One more device of this member, signed by her identity."""
    device = await scene.device(owner.user_id, keys=False)
    await device.upload(device.device_keys(), one_time_key=one_time_key)
    assert owner.identity is not None
    keys = device.device_keys()
    owner.identity.self_signing.add_signature(keys, owner.user_id)
    await device.call("POST", "/keys/signatures/upload", {device.user_id: {device.device_id: keys}})
    return device


@attack(
    "S6",
    tried="all of the bot's one-time keys claimed away",
    nio="none for ever: a count of zero is ignored, also after a restart",
)
async def exhausted(scene: Scene) -> None:
    """The fallback key answers meanwhile; the next round of sync brings new ones."""
    stage, mallory = scene.stage, await scene.member()
    bot, device = stage.bot.user_id, stage.bot_device
    async with stage.meddler.between_rounds():
        claimed = [await mallory.claim(bot, device) for _ in range(ALL_KEYS)]
        await scene.share(mallory)  # with the fallback key, since there is no other left
    same = len(claimed) - len(set(claimed))
    scene.saw(
        f"{len(set(claimed))} keys taken, then the fallback key {same + 1}×", None not in claimed and same > 0
    )
    await scene.answered(mallory, "a command over the fallback key")
    async with asyncio.timeout(DEADLINE):
        while await mallory.claim(bot, device) in claimed:  # noqa: ASYNC110  # nobody tells of new ones
            await asyncio.sleep(LOOK_EVERY)
    scene.saw("then there were new ones", True)


@attack(
    "S13",
    tried="Mallory's session squatted by Eve, and its key again from a later message on",
    nio="the first index is lost; the owner cannot be read after a restart",
)
async def squatted(scene: Scene) -> None:
    """The same session of two givers is kept apart, and of one giver the earliest index stays."""
    stage, mallory, eve = scene.stage, await scene.member(), await scene.member("eve")
    bot, device = stage.bot.user_id, stage.bot_device
    key = mallory.room_key(scene.room_id)
    await eve.olm(bot, device, "m.room_key", key)
    early = mallory.message(scene.room_id, "!ping")
    await mallory.olm(bot, device, "m.room_key", key)
    await scene.share(mallory)  # from the second message on
    await eve.olm(bot, device, "m.room_key", key)
    stolen = scene.forge(eve.user_id, mallory.message(scene.room_id, "!ping"))
    event_id = await mallory.send(scene.room_id, early)
    await stage.anna.answer(event_id, "pong")
    scene.saw("the owner's earliest message was answered", True)
    await until(lambda: "ok" in scene.verdict(stolen), "the squatter's own to be judged")
    scene.saw("the squatter has only spoken as herself", sender_of(scene, stolen) == eve.user_id)


def sender_of(scene: Scene, event_id: str) -> str:
    """Who the record says has acted."""
    return str(scene.stage.rows("SELECT actor FROM audit WHERE event_id = ?", event_id)[0][0])


@attack(
    "S14",
    tried="room keys in clear, and forwarded ones that nobody asked for",
    nio="ignored (good)",
)
async def unsolicited(scene: Scene) -> None:
    """From Mallory by every way; the session opens by none of them."""
    mallory = await scene.member()
    bot, device = scene.stage.bot.user_id, scene.stage.bot_device
    key = mallory.room_key(scene.room_id)
    forwarded = key | {"sender_key": mallory.curve25519, "sender_claimed_ed25519_key": mallory.ed25519}
    await mallory.to_device(bot, device, key, kind="m.room_key")
    await mallory.to_device(bot, device, forwarded, kind="m.forwarded_room_key")
    await mallory.olm(bot, device, "m.forwarded_room_key", forwarded)
    await stays_shut(scene, mallory)
    seen = [kind for kind in ("m.room_key", "m.forwarded_room_key") if kind in scene.stage.meddler.delivered]
    scene.saw(f"{len(seen) + 1} of 3 ways were tried", len(seen) == 2)


@attack(
    "S15",
    tried="requests for the bot's keys and secrets, by a member, a stranger and the bot's own name",
    nio="own verified devices are served; others ignored (good)",
)
async def requested(scene: Scene) -> None:
    """For the session that the bot uses in this very room."""
    stage, mallory = scene.stage, await scene.member()
    eve = await scene.member("eve", enrolled=False, join=False)
    await scene.honest_ping()
    scene.mark()
    wanted = {"algorithm": MEGOLM, "room_id": scene.room_id, "session_id": scene.outbound()}
    for client in (mallory, eve):
        for kind, content in requests_of(client.device_id, wanted).items():
            await client.to_device(stage.bot.user_id, stage.bot_device, content, kind=kind)
    own = requests_of("UNKNOWN", wanted).items()
    events = [{"type": kind, "sender": stage.bot.user_id, "content": content} for kind, content in own]
    stage.meddler.inject(to_device={"events": events})
    await until(lambda: stage.meddler.delivered.count("m.secret.request") >= 2, "the requests to arrive")
    await scene.honest_ping()
    asked = stage.meddler.requests[scene.begun_at :]
    told = [body["messages"].keys() for path, body in asked if "/sendToDevice/" in path]
    answers = [each for each in told if each & {mallory.user_id, eve.user_id, stage.bot.user_id}]
    scene.saw(f"{len(answers)} answers to 6 requests", not answers)


def requests_of(device_id: str, wanted: Json) -> dict[str, Json]:
    """A request for a room key, and one for a secret."""
    request = {"action": "request", "request_id": "1", "requesting_device_id": device_id}
    return {
        "m.room_key_request": request | {"body": wanted},
        "m.secret.request": request | {"name": "m.cross_signing.master"},
    }


@attack(
    "S28",
    tried="handing over of room keys fails (/sendToDevice answers 500)",
    nio="the message is sent all the same, and nobody can read it",
)
async def undelivered(scene: Scene) -> None:
    """Nothing is sent until the keys are there; then the answer that was owed comes."""
    stage = scene.stage
    await scene.member()
    await scene.honest_ping()
    eve = await scene.member("eve", join=False)
    stage.meddler.failing.add("/sendToDevice/m.room.encrypted")
    await scene.bring_in(eve)
    scene.mark()
    asked = await stage.anna.say(scene.room_id, "!ping")
    await scene.logged("put off and logged", 1, "message.put_off", f"room={scene.room_id}")
    scene.saw(f"{len(scene.sent())} messages sent meanwhile", not scene.sent())
    stage.meddler.failing.clear()
    await stage.anna.answer(asked, "pong")
    keys = await scene.room_keys(eve)
    scene.saw(f"then the answer, and {len(keys)} key for the new member", len(keys) == 1)
