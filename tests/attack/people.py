"""Attacks on who is who: devices, identities and members that the homeserver has made up."""

import json

from vodozemac import Account

from bot.matrix.canonical import signable
from tests.attack.catalogue import attack
from tests.attack.scene import Scene
from tests.attack.stage import until
from tests.e2e.hostile import Hostile, Json
from tests.e2e.meddler import Alter


@attack(
    "S16",
    tried="a device on Anna's account that she has not signed",
    nio="gets the keys, if unverified devices are ignored",
)
async def unsigned_device(scene: Scene) -> None:
    """By somebody with her password; it speaks and listens."""
    anna = scene.stage.anna
    thief = await scene.device(anna.user_id)
    await scene.share(thief)
    event_id = await scene.say(thief, "!ping")
    await scene.refused("its command", [event_id], "unverified_device")
    told = await anna.answer(event_id, thief.device_id)
    scene.saw(f"Anna was told of {thief.device_id in told.body and 'the device'}", True)
    await scene.honest_ping()
    scene.saw(f"keys for it: {len(scene.handed(thief))}", not scene.handed(thief))
    scene.saw(f"it was told {sorted(scene.withheld(thief))}", scene.withheld(thief) == {"m.unverified"})
    known = on_record(scene, "device", anna.user_id)
    scene.saw(f"on record: {', '.join(sorted(known))}", "unverified_device" in known)
    await thief.call("POST", "/logout", {})


def on_record(scene: Scene, action: str, about: str) -> set[str]:
    """The reasons of the audit entries of this kind about a person."""
    query = "SELECT reason_code FROM audit WHERE action = ? AND object = ?"
    return {str(row[0]) for row in scene.stage.rows(query, action, about)}


@attack(
    "S17",
    tried="an officer's identity replaced by another one",
    nio="has no notion of identities",
)
async def replaced_identity(scene: Scene) -> None:
    """With her password, so that it is as genuine as the homeserver can make it."""
    anna, mallory = scene.stage.anna, await scene.member()
    await scene.share(mallory)
    await scene.answered(mallory, "a command before it")
    thief = await scene.device(mallory.user_id, signed=True)
    await until(lambda: on_record(scene, "identity", mallory.user_id), "the change to be on record")
    reasons = on_record(scene, "identity", mallory.user_id)
    scene.saw(f"on record: {', '.join(reasons)}", reasons == {"identity_changed"})
    await anna.hear(
        lambda heard: mallory.user_id in heard.body and "another identity" in heard.body, "an alarm"
    )
    scene.saw("an admin was told by direct message", True)
    scene.mark()
    await scene.share(thief)
    sent = [await scene.say(thief, "!ping"), await scene.say(mallory, "!ping")]
    await scene.refused("commands", sent, "identity_changed")
    await scene.honest_ping()
    keys = scene.handed(mallory) + scene.handed(thief)
    scene.saw(f"{len(keys)} keys for either device", not keys and bool(scene.sent()))


@attack(
    "S18",
    tried="a device's keys swapped under its id: a new signing key; a new Curve25519 key",
    nio="the first is refused (good), the second replaces the key",
)
async def swapped_device(scene: Scene) -> None:
    """Signed by the member's own identity, as with an accomplice: the id is burnt all the same."""
    for name in ("ed25519", "curve25519"):
        await swap(scene, name)


async def swap(scene: Scene, name: str) -> None:
    """Show another key of this name for the device of a new member."""
    stage, meddler = scene.stage, scene.stage.meddler
    victim = await scene.member(f"mallory-{name}")
    await scene.share(victim)
    await scene.answered(victim, f"before ({name})")
    scene.mark()
    meddler.alter["/keys/query"] = swapping(victim, name)
    meddler.inject(device_lists={"changed": [victim.user_id]})
    await until(lambda: on_record(scene, "device", victim.user_id), "the swap to be on record")
    reasons = on_record(scene, "device", victim.user_id)
    scene.saw(f"on record: {', '.join(reasons)}", reasons == {"device_changed"})
    await scene.refused(f"new {name}", [await scene.say(victim, "!ping")], "unverified_device")
    await stage.anna.hear(
        lambda heard: victim.user_id in heard.body and victim.device_id in heard.body, "an alarm"
    )
    scene.saw("an admin was told", True)
    await scene.honest_ping()
    scene.saw(f"{len(scene.handed(victim))} keys for it", not scene.handed(victim) and bool(scene.sent()))
    meddler.behave()


def swapping(victim: Hostile, name: str) -> Alter:
    """Put another key into the device's entry, signed by that key and by the owner's identity."""
    other, user, device = Account(), victim.user_id, victim.device_id
    keys = victim.device_keys(**{name: getattr(other, f"{name}_key").to_base64()})
    if name == "ed25519":
        del keys["signatures"]
        signature = other.sign(signable(keys)).to_base64()
        keys["signatures"] = {user: {f"ed25519:{device}": signature}}
    assert victim.identity is not None
    victim.identity.self_signing.add_signature(keys, user)

    def swap_in(answer: Json) -> None:
        if device in answer["device_keys"].get(user, {}):
            answer["device_keys"][user][device] = keys

    return swap_in


@attack(
    "S19",
    tried="a ghost in the room whom nobody has enrolled, with a sound client",
    nio="gets the keys",
)
async def ghost(scene: Scene) -> None:
    """Named to the room, given no keys and not heard."""
    stage = scene.stage
    scene.mark()
    eve = await scene.member("ghost", enrolled=False)
    named = "person here is not enrolled"
    card = await stage.anna.hear_text(scene.room_id, named, stage.bot.user_id)
    scene.saw("named to the room", eve.user_id in card.body)
    await scene.alert_waits("is here and not enrolled")
    await scene.share(eve)
    await scene.refused("its command", [await scene.say(eve, "!ping")], "not_enrolled")
    await scene.honest_ping()
    keys, codes = await scene.room_keys(eve), sorted(scene.withheld(eve))
    scene.saw(f"{len(keys)} keys for it, told {codes}", not keys and codes == ["m.unauthorised"])
    scene.saw(f"{len(scene.sent())} messages it cannot read", bool(scene.sent()))
    await scene.kick(eve)
    await scene.alert_told()


@attack(
    "S34",
    tried="a foreign device on the bot's own account; another identity shown for the bot",
    nio="unseen",
)
async def own_account(scene: Scene) -> None:
    """An alarm, and not a word until an operator has put it right."""
    stage = scene.stage
    await scene.member()
    scene.mark()
    thief = await scene.device(stage.bot.user_id, stage.bot.password)
    await silenced(scene, "foreign device")
    code, said = await stage.bot.tandem("check", "--json")
    findings = {each["name"]: each for each in json.loads(said)["findings"]}
    named = [each["name"] for each in findings.values() if thief.device_id in each["said"]]
    scene.saw(f"`tandem check` exits {code} and names it under {named}", code != 0 and bool(named))
    await thief.call("POST", "/logout", {})
    await scene.honest_ping()
    scene.saw("once it was gone the bot spoke again", True)
    scene.mark()
    stage.meddler.alter["/keys/query"] = another_master(stage.bot.user_id)
    stage.meddler.inject(device_lists={"changed": [stage.bot.user_id]})
    await silenced(scene, "other identity")
    stage.meddler.behave()
    stage.meddler.inject(device_lists={"changed": [stage.bot.user_id]})


async def silenced(scene: Scene, what: str) -> None:
    """The alarm is in the log, and what the bot owes Anna stays unsent."""
    stage = scene.stage
    await until(lambda: scene.in_log("chain.broken"), f"the alarm over a {what}")
    await stage.anna.say(scene.room_id, "!ping")
    await until(
        lambda: scene.in_log("message.put_off", scene.room_id, "own_chain"), "the answer to be put off"
    )
    scene.saw(f"{what}: alarm, and {len(scene.sent())} messages sent", not scene.sent())


def another_master(user_id: str) -> Alter:
    """Show a master key for this user that is not hers."""

    def show(answer: Json) -> None:
        if user_id in answer.get("master_keys", {}):
            public = Account().ed25519_key.to_base64()
            keys = {f"ed25519:{public}": public}
            answer["master_keys"][user_id] = {"user_id": user_id, "usage": ["master"], "keys": keys}

    return show
