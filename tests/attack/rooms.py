"""Attacks on what a room is: who is in it, whether it is encrypted, who may read it, who rules in it."""

from bot.matrix.identities import MEGOLM
from tests.attack.catalogue import attack
from tests.attack.keys import signed_device
from tests.attack.scene import Scene
from tests.attack.stage import until
from tests.e2e.hostile import Hostile, Json


@attack(
    "S20",
    tried="a member removed, and a device deleted, while a message is being sent",
    nio="goes on with the old session until devices are asked for again",
)
async def removed_meanwhile(scene: Scene) -> None:
    """The proxy holds the keys back until the bot knows better; then they must open nothing."""
    stage, mallory = scene.stage, await scene.member(join=False)
    async with stage.meddler.holding("/sendToDevice/m.room.encrypted") as caught:
        await scene.bring_in(mallory)
        asked = await stage.anna.say(scene.room_id, "!ping")
        await caught.wait()
        await scene.kick(mallory)
        scene.mark()
    await stage.anna.answer(asked, "pong")
    keys, used = await scene.room_keys(mallory), sessions(scene)
    scene.saw(f"{len(keys)} key reached the removed member, {len(keys & used)} of a message", not keys & used)
    scene.saw(f"{len(used)} session used since", bool(used))
    await deleted_meanwhile(scene)


def sessions(scene: Scene, room_id: str | None = None) -> set[str]:
    """The sessions of what the bot has sent since the mark."""
    return {str(each["session_id"]) for each in scene.sent(room_id)}


async def deleted_meanwhile(scene: Scene) -> None:
    """In a room that is not served keys are not brought ahead: the message itself waits for them."""
    stage, eve = scene.stage, await scene.member("eve", join=False)
    gone = await signed_device(scene, eve)
    room_id = await scene.room("aside", served=False)
    await scene.bring_in(eve, room_id)
    scene.mark()
    async with stage.meddler.holding("/sendToDevice/m.room.encrypted") as caught:
        asked = await stage.anna.say(room_id, "!ping")
        await caught.wait()
        shared = scene.outbound(room_id)
        scene.saw("its key was on the way", bool(scene.handed(gone)))
        await gone.call("POST", "/logout", {})
        await until(lambda: not is_known(scene, gone), "the bot to learn that it is gone")
    await stage.anna.answer(asked, "pong")
    used = sessions(scene, room_id)
    scene.saw(f"the deleted device's session opens {len({shared} & used)} messages", shared not in used)


def is_known(scene: Scene, client: Hostile) -> bool:
    """Whether the bot counts on this device, and on what it knows of its owner's devices."""
    query = "SELECT document FROM device_lists WHERE user_id = ? AND NOT outdated"
    return any(client.device_id in row[0] for row in scene.stage.rows(query, client.user_id))


@attack(
    "S21",
    tried="encryption turned off, loosened and hidden in the room's state",
    nio="where it was hidden from the start: sent in clear",
)
async def not_encrypted(scene: Scene) -> None:
    """What was seen encrypted once stays so; rotation is only ever tightened."""
    stage, anna = scene.stage, scene.stage.anna
    await scene.honest_ping()
    scene.mark()
    state(scene, "m.room.encryption", {"algorithm": MEGOLM, "rotation_period_msgs": 1})
    state(scene, "m.room.encryption", {"algorithm": MEGOLM, "rotation_period_msgs": 10**9})
    state(scene, "m.room.encryption", {"algorithm": "none"})
    for _ in range(3):
        await scene.honest_ping()
    scene.saw(f"{len(scene.sent())} answers in {len(sessions(scene))} sessions", len(sessions(scene)) == 3)
    stage.meddler.alter["/sync"] = without_encryption
    stage.meddler.alter["/state/m.room.encryption"] = lambda answer: answer.clear()
    hidden = await anna.create_room("hidden", stage.bot.user_id)
    await anna.see_joined(hidden, stage.bot.user_id)
    await anna.say(hidden, "!ping")
    query = "SELECT 1 FROM audit WHERE room_id = ? AND reason_code = 'not_encrypted'"
    await until(lambda: len(stage.rows(query, hidden)) >= 2, "the answer to be refused")
    scene.saw("where it was hidden, the answer was refused", True)
    clear = [path for path, _ in stage.meddler.requests if "/send/m.room.message/" in path]
    scene.saw(f"{len(clear)} messages in clear", not clear)


def state(scene: Scene, kind: str, content: Json) -> str:
    """A state event that only the server has made, in Anna's name."""
    return scene.forge(scene.stage.anna.user_id, content, type=kind, state_key="")


def without_encryption(answer: Json) -> None:
    """Hide that rooms are encrypted, but not in invites."""
    for section in answer.get("rooms", {}).get("join", {}).values():
        for part in ("state", "timeline"):
            events = section.get(part, {}).get("events", [])
            events[:] = [event for event in events if event.get("type") != "m.room.encryption"]


@attack(
    "S22",
    tried="history opened to the world, to invited people, and closed again",
    nio="ignored: one session goes on, and the invited get its keys",
)
async def history_opened(scene: Scene) -> None:
    """Each change begins a new session; where history starts at joining, the invited get no key."""
    await scene.honest_ping()
    scene.mark()
    await set_visibility(scene, "world_readable")
    await scene.alert_waits("open to the world")
    before = sessions(scene)
    await set_visibility(scene, "shared")
    await scene.alert_told()
    between = sessions(scene) - before
    await set_visibility(scene, "joined")
    await scene.honest_ping()
    after = sessions(scene) - before - between
    scene.saw("a new session after each change", bool(before and between and after))
    await only_invited(scene)


async def only_invited(scene: Scene) -> None:
    """The invited get keys once they have joined."""
    mallory = await scene.member(join=False)
    await scene.stage.anna.session.invite(scene.room_id, mallory.user_id)
    await until(lambda: scene.state()["members"].get(mallory.user_id) == "invite", "the invite")
    await scene.honest_ping()
    keys = await scene.room_keys(mallory)
    scene.saw(f"{len(keys)} keys for the invited where history starts at joining", not keys)
    await mallory.join(scene.room_id)
    await until(lambda: mallory.user_id in scene.present(), "the join")
    await scene.honest_ping()
    keys = await scene.room_keys(mallory)
    scene.saw(f"{len(keys)} once she had joined", bool(keys))


async def set_visibility(scene: Scene, visibility: str) -> None:
    """Anna changes who may read, and the bot has seen it."""
    path = f"/rooms/{scene.room_id}/state/m.room.history_visibility"
    await scene.stage.hand.call("PUT", path, {"history_visibility": visibility})
    await until(lambda: scene.state()["visibility"] == visibility, "the change")


@attack(
    "S26",
    tried="forged power levels, server ACL and tombstone, and another room to follow to",
    nio="believed",
)
async def forged_state(scene: Scene) -> None:
    """Authority comes from the bot's own members, and it goes nowhere by itself."""
    stage, mallory = scene.stage, await scene.member()
    await scene.share(mallory)
    before = len(stage.meddler.paths)
    forged: dict[str, Json] = {
        "m.room.power_levels": {"users": {mallory.user_id: 100}, "users_default": 100},
        "m.room.server_acl": {"allow": [], "deny": ["*"]},
        "m.room.join_rules": {"join_rule": "public"},
        "m.room.tombstone": {"body": "moved", "replacement_room": "!new:evil.example"},
    }
    for kind, content in forged.items():
        state(scene, kind, content)
    await until(lambda: scene.state()["tombstone"], "the tombstone")
    claims = [await scene.say(mallory, text) for text in ("!room release", "!room policy reactions=on")]
    await scene.refused("her commands for admins", claims, "not_allowed")
    await scene.answered(mallory, "what an officer may")
    moved = [path for path in stage.meddler.paths[before:] if path.endswith("/join") or "/join/" in path]
    scene.saw(f"{len(moved)} rooms followed to", not moved and scene.is_served())
