"""Attacks on messages: what is in them, who is said to have sent them, where and how often."""

import json

from tests.attack.catalogue import attack
from tests.attack.scene import SECRET, Scene
from tests.e2e.hostile import Json

STATE_KINDS = ("m.room.power_levels", "m.room.member", "m.room.tombstone", "m.room.encryption")


@attack(
    "S3",
    tried="payloads that are no messages: not UTF-8, lists, numbers, nested without end",
    nio="an exception out of sync, by any member of the room",
)
async def no_messages(scene: Scene) -> None:
    """From a member who is enrolled, in a session that the bot can read."""
    mallory = await scene.member()
    await scene.share(mallory)
    room_id = scene.room_id
    deep = f'{{"room_id": "{room_id}", "type": "m.room.message", "content": {{"a": '
    payloads: list[bytes] = [
        b"\xff\xfe",
        b"[]",
        b"7",
        b"[" * 20_000,
        (deep + "[" * 900 + "]" * 900 + "}}").encode(),
        b'{"type": "m.room.message"}',
        b'{"room_id": 1, "type": [], "content": {}}',
        json.dumps({"room_id": room_id, "type": "m.room.message", "content": []}).encode(),
        json.dumps({"room_id": room_id, "type": "m.room.message", "content": {}}).encode(),
        json.dumps({"room_id": room_id, "content": {"body": SECRET}}).encode(),
    ]
    sent = [await mallory.send(room_id, mallory.sealed(payload)) for payload in payloads]
    broken = [{"algorithm": 5}, mallory.sealed(b"x", ciphertext="%%"), mallory.sealed(b"x", session_id=3)]
    sent += [await mallory.send(room_id, content) for content in broken]
    await scene.refused("payloads", sent, "malformed", "room_mismatch")
    await scene.answered(mallory)


@attack(
    "S7",
    tried="a command in clear text in Anna's name, by her own token and by the server",
    nio="delivered like any other message",
)
async def clear_text(scene: Scene) -> None:
    """Even the server believes the first one; Anna is told, since it may have been herself."""
    anna = scene.stage.anna
    content = {"msgtype": "m.text", "body": f"!room release {SECRET}"}
    stolen = await scene.stage.hand.send(scene.room_id, content, "m.room.message")
    told = await anna.answer(stolen, "was not encrypted")
    forged = scene.forge(anna.user_id, content, type="m.room.message")
    await scene.refused("in clear", [stolen, forged], "clear_text")
    scene.saw(f"Anna was told: “{told.body.partition('.')[0]}”", scene.is_served())


@attack(
    "S8",
    tried="Mallory's cipher text shown as Anna's, whatever device it names",
    nio="delivered as Anna's, decrypted, even where her device is verified",
)
async def relabelled(scene: Scene) -> None:
    """The server changes the sender; what Olm proved of the session's giver decides."""
    anna = scene.stage.anna
    mallory = await scene.member()
    await scene.share(mallory)
    forged = []
    for device in (mallory.device_id, anna.session.device_id, "NOSUCH", None):
        content = mallory.message(scene.room_id, "!ping", device_id=device)
        forged.append(scene.forge(anna.user_id, content))
    await scene.answered(mallory, "Mallory's own command in that session")
    scene.rest()
    await scene.refused("as Anna's", forged, "sender_mismatch")


@attack(
    "S10",
    tried="power levels, members, tombstone and encryption inside the cipher text",
    nio="applied: Mallory has level 100, Anna is out, a ghost is in",
)
async def state_inside(scene: Scene) -> None:
    """With and without a state key; then Mallory tries what only an admin may."""
    anna, mallory = scene.stage.anna, await scene.member()
    await scene.share(mallory)
    content = {"users": {mallory.user_id: 100}, "membership": "leave", "algorithm": "none"}
    sent = []
    for kind in STATE_KINDS:
        payload: Json = {"room_id": scene.room_id, "type": kind, "content": content}
        for whole in (payload, payload | {"state_key": anna.user_id}):
            sent.append(await mallory.send(scene.room_id, mallory.sealed(whole)))
    await scene.refused("state", sent, "state_in_ciphertext")
    scene.saw("Anna is still a member of the room", anna.user_id in scene.present())
    claim = await scene.say(mallory, "!room policy reactions=on")
    await scene.refused("an admin's command", [claim], "not_allowed")


@attack(
    "S11",
    tried="the same cipher text again under another event id, before and after a restart",
    nio="blocked at first, accepted after a restart",
)
async def replayed(scene: Scene) -> None:
    """The same event id again is no replay, only an echo: it is ignored."""
    stage, mallory = scene.stage, await scene.member()
    await scene.share(mallory)
    content = mallory.message(scene.room_id, "!ping")
    first = await mallory.send(scene.room_id, content)
    await stage.anna.answer(first, "pong")
    scene.saw("the original was answered", True)
    scene.forge(mallory.user_id, content, event_id=first)
    before = await mallory.send(scene.room_id, content)
    await scene.refused("again", [before], "replayed")
    await stage.bot.stop()
    after = await mallory.send(scene.room_id, content)
    await stage.bot.start()
    await scene.refused("after a restart", [after], "replayed")
    await scene.honest_ping()
    answers = [heard for heard in stage.anna.heard(scene.room_id) if heard.reply_to == first]
    scene.saw(f"{len(answers)} answer to the original and its echo", len(answers) == 1)


@attack(
    "S12",
    tried="a message of one room sent again in another, with the key given for both",
    nio="accepted in the other room",
)
async def other_room(scene: Scene) -> None:
    """The room inside the cipher text is not the room it came in."""
    mallory = await scene.member()
    elsewhere = await scene.room(f"{scene.name}-b")
    await scene.bring_in(mallory, elsewhere)
    for room_id in (scene.room_id, elsewhere):
        await scene.share(mallory, room_id)
    content = mallory.message(scene.room_id, "!ping")
    await scene.refused("in the other room", [await mallory.send(elsewhere, content)], "room_mismatch")
    original = await mallory.send(scene.room_id, mallory.message(scene.room_id, "!ping"))
    await scene.stage.anna.answer(original, "pong")
    scene.saw("in its own room such a message was answered", True)


@attack(
    "S32",
    tried="attachments with absurd sizes, hashes that fit nothing and addresses elsewhere",
    nio="checks the hash once it has loaded the whole, however large",
)
async def attachments(scene: Scene) -> None:
    """The bot loads no attachments at all: what is said of them is only kept, and bounded."""
    stage, mallory = scene.stage, await scene.member()
    await scene.share(mallory)
    before = len(stage.meddler.paths)
    sent = [await mallory.send(scene.room_id, mallory.sealed(each)) for each in files(scene.room_id)]
    await scene.answered(mallory)
    asked = [path for path in stage.meddler.paths[before:] if "/media" in path]
    kept = [stage.rows("SELECT length(content) FROM inbox WHERE event_id = ?", each) for each in sent]
    scene.forgeries += sent
    scene.saw(f"{sum(map(len, kept))} of {len(sent)} taken in", all(kept))
    scene.saw(f"{len(asked)} downloads", not asked)


def files(room_id: str) -> list[Json]:
    """Messages with attachments that are not what they say, or cannot be."""
    sound = {"url": "mxc://tandem.localhost/none", "hashes": {"sha256": "A" * 43}, "iv": "A" * 22, "v": "v2"}
    wrong: list[Json] = [
        sound | {"hashes": {"sha256": 5}, "key": None},
        sound | {"size": 10**17, "key": {"k": "A" * 10_000}},
        {"url": "http://127.0.0.1:1/x", "hashes": [], "iv": []},
        sound | {"url": "mxc://" + "a" * 20_000},
        {},
    ]
    info = {"size": 10**17, "w": -1, "h": 10**17, "mimetype": ["text/html"]}
    contents = [{"msgtype": "m.file", "body": SECRET, "file": each, "info": info} for each in wrong]
    return [{"room_id": room_id, "type": "m.room.message", "content": each} for each in contents]


@attack(
    "S33",
    tried="an encrypted event that is state: `m.room.encrypted` with a state key",
    nio="decrypted and shown as a message",
)
async def encrypted_state(scene: Scene) -> None:
    """MSC4362; only the server can add the state key here."""
    mallory = await scene.member()
    await scene.share(mallory)
    forged = []
    for state_key in ("", mallory.user_id):
        content = mallory.message(scene.room_id, "!ping")
        forged.append(scene.forge(mallory.user_id, content, state_key=state_key))
    await scene.refused("state events", forged, "state_in_ciphertext")
    await scene.answered(mallory)
