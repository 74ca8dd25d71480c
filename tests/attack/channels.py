"""Attacks on the Olm channels between devices: garbage, bad contents, others' names."""

from tests.attack.catalogue import attack
from tests.attack.scene import Scene
from tests.attack.stage import until
from tests.e2e.hostile import Hostile, Json

OLM = "m.olm.v1.curve25519-aes-sha2"
GARBAGE: list[object] = [
    {"type": 0, "body": "!!!"},
    {"type": 0, "body": "AAAA"},
    {"type": 1, "body": "AwECAw"},
    {"type": 7, "body": "AAAA"},
    {"type": True, "body": 5},
    {"type": 0},
    "no object",
]
SHAPELESS: list[Json] = [{}, {"algorithm": OLM}, {"algorithm": OLM, "sender_key": "AAAA", "ciphertext": []}]
MOST_ANSWERS = 10  # to sixty messages of a verification that nobody began


@attack(
    "S1",
    tried="garbage Olm messages from anybody, in one round with an honest command",
    nio="an exception out of sync; the process dies, again at each start",
)
async def garbage(scene: Scene) -> None:
    """Base64, versions, types and fields that are none."""
    stage = scene.stage
    mallory = await scene.member(enrolled=False, join=False)
    bot, device = stage.bot.user_id, stage.bot_device
    curve25519 = (await mallory.keys_of(bot, device))[f"curve25519:{device}"]
    scene.mark()
    async with stage.meddler.between_rounds():
        for body in GARBAGE:
            content = {"algorithm": OLM, "sender_key": mallory.curve25519, "ciphertext": {curve25519: body}}
            await mallory.to_device(bot, device, content)
        for odd in SHAPELESS:
            await mallory.to_device(bot, device, odd)
        asked = await stage.anna.say(scene.room_id, "!ping")
    await scene.logged("dropped and logged", len(GARBAGE) + len(SHAPELESS), "to_device.dropped")
    await stage.anna.answer(asked, "pong")
    scene.saw("the command of the same round was answered", True)


@attack(
    "S2",
    tried="sound Olm, bad inside: session keys that are none, other recipients",
    nio="an exception out of sync",
)
async def bad_contents(scene: Scene) -> None:
    """Each room key is dropped, so the session that they should have opened stays shut."""
    mallory = await scene.member()
    bot, device = scene.stage.bot.user_id, scene.stage.bot_device
    good = mallory.room_key(scene.room_id)
    keys: list[Json] = [good | {"session_key": key} for key in ("AAAA", "!!", "", 7)]
    wrong: list[Json] = [
        {"recipient_keys": {}},
        {"recipient": mallory.user_id},
        {"keys": {}},
        {"keys": []},
        {"content": "text"},
    ]
    for content in [*keys, good | {"session_id": "another"}]:
        await mallory.olm(bot, device, "m.room_key", content)
    for parts in wrong:
        await mallory.olm(bot, device, "m.room_key", good, **parts)
    await scene.logged("dropped and logged", len(keys) + 1 + len(wrong), "to_device.dropped")
    await stays_shut(scene, mallory)


async def stays_shut(scene: Scene, mallory: Hostile) -> None:
    """The bot cannot read Mallory's session, until she hands over its key as she should."""
    stage, key = scene.stage, mallory.room_key(scene.room_id)
    event_id = await scene.say(mallory, "!ping")
    await until(lambda: scene.waits_for_key(event_id), "the message to wait for its key")
    await scene.honest_ping()
    scene.saw("no session opened by it", scene.waits_for_key(event_id))
    await mallory.olm(stage.bot.user_id, stage.bot_device, "m.room_key", key)
    await stage.anna.answer(event_id, "pong")
    scene.saw("the honest key then opened it", True)


@attack(
    "S9",
    tried="Mallory's room key in Anna's name, inside and outside; others' device keys in it",
    nio="accepted: Anna has said what Mallory writes",
)
async def in_anothers_name(scene: Scene) -> None:
    """The server lies about the sender too; then CVE-2026-45056: `sender_device_keys` of somebody else."""
    stage, anna = scene.stage, scene.stage.anna.user_id
    mallory = await scene.member()

    def lie(answer: Json) -> None:
        for event in answer.get("to_device", {}).get("events", []):
            event["sender"] = anna

    scene.mark()
    stage.meddler.alter["/sync"] = lie
    await scene.share(mallory, sender=anna)
    await scene.logged("dropped in Anna's name", 1, "to_device.dropped")
    stage.meddler.behave()
    forged = scene.forge(anna, mallory.message(scene.room_id, "!ping"))
    await until(lambda: scene.waits_for_key(forged) or scene.verdict(forged), "the forgery to arrive")
    await with_others_keys(scene, mallory)
    scene.rest()
    await scene.refused("in Anna's name", [forged], "undecryptable")


async def with_others_keys(scene: Scene, mallory: Hostile) -> None:
    """Device keys inside a room key must be the sender's own, whole and signed."""
    anna = scene.stage.anna
    mallory.renew()
    shown = await mallory.call("POST", "/keys/query", {"device_keys": {anna.user_id: []}})
    stolen = shown["device_keys"][anna.user_id][anna.session.device_id]
    unsigned = mallory.device_keys() | {"signatures": {}}
    wrong = [stolen, unsigned, {}, "text", mallory.device_keys() | {"user_id": anna.user_id}]
    scene.mark()
    for keys in wrong:
        await scene.share(mallory, sender_device_keys=keys)
    await scene.logged("dropped for others' device keys", len(wrong), "to_device.dropped")
    await stays_shut(scene, mallory)


@attack(
    "S31",
    tried="verification spam: sixty requests, starts and keys, rubbish among them",
    nio="an exception out of sync at the first bad key",
)
async def verification_spam(scene: Scene) -> None:
    """By an enrolled member and by a stranger; the loop lives, and few answers go out."""
    stage = scene.stage
    mallory, eve = await scene.member(), await scene.member("eve", enrolled=False, join=False)
    await scene.honest_ping()
    scene.mark()
    for client in (mallory, eve):
        for number in range(5):
            await spam(scene, client, f"t{number % 3}")
    kinds = stage.meddler.delivered
    await until(lambda: kinds.count("m.key.verification.mac") >= 10, "the spam to be delivered")
    await scene.honest_ping()
    answers = [
        path for path, _ in stage.meddler.requests[scene.begun_at :] if "/sendToDevice/m.key.verif" in path
    ]
    to_eve = scene.handed(eve, "m.key.verification.cancel")
    scene.saw(f"{len(answers)} answers to 60 messages", len(answers) <= MOST_ANSWERS)
    scene.saw(f"{len(to_eve)} to the stranger", not to_eve)


async def spam(scene: Scene, client: Hostile, transaction: str) -> None:
    """Six steps that fit nothing."""
    bot, device = scene.stage.bot.user_id, scene.stage.bot_device
    about = {"transaction_id": transaction, "from_device": client.device_id}
    steps: dict[str, Json] = {
        "request": about | {"methods": ["m.sas.v1"], "timestamp": 10**30},
        "start": about | {"method": "m.sas.v1", "hashes": "none"},
        "accept": about | {"commitment": 5},
        "key": about | {"key": "AAAA"},
        "done": {"a": 1},
        "mac": about | {"mac": [], "keys": None},
    }
    for name, content in steps.items():
        await client.to_device(bot, device, content, kind=f"m.key.verification.{name}")
