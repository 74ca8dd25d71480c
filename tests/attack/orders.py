"""Attacks on what counts as an order: grafts, edits, reactions, and commands that come late."""

import re
from collections.abc import Callable

from tests.attack.catalogue import attack
from tests.attack.scene import SECRET, Scene
from tests.attack.stage import until
from tests.e2e.hostile import Json

DAYS_3 = 3 * 86_400_000  # milliseconds


@attack(
    "S23",
    tried="a reply, a thread and an edit grafted onto the clear part of a message",
    nio="grafted: the message is what the server makes of it",
)
async def grafted(scene: Scene) -> None:
    """`!ack` answers the card that it replies to: here two are open, and only the server names one."""
    anna, mallory = scene.stage.anna, await scene.member()
    await scene.share(mallory)
    cards = []
    for number in (1, 2):
        await anna.say(scene.room_id, f'!alert severe "{SECRET} {number}"')
        cards.append(await anna.hear_text(scene.room_id, f"{SECRET} {number}", scene.stage.bot.user_id))
    card = cards[0].event_id
    graft = {"m.in_reply_to": {"event_id": card}, "rel_type": "m.thread", "event_id": card}
    grafts = [graft, {"rel_type": "m.replace", "event_id": card}, {"m.in_reply_to": {"event_id": card}}]
    sent = [await scene.say(mallory, "!ack", **{"m.relates_to": each}) for each in grafts]
    await scene.refused("grafted", sent, "not_understood")
    inside = {"msgtype": "m.text", "body": "!ack", "m.relates_to": {"m.in_reply_to": {"event_id": card}}}
    payload = {"room_id": scene.room_id, "type": "m.room.message", "content": inside}
    signed = await mallory.send(scene.room_id, mallory.sealed(payload))
    await anna.answer(signed, "your answer is on record")
    scene.saw("the same inside the cipher text was taken", True)


@attack(
    "S24",
    tried="edits: by another, of a command, of state, without new content, in clear",
    nio="left to the bot: an edit looks like a message",
)
async def edited(scene: Scene) -> None:
    """None of them runs; whoever edits a command of hers is told that it does not."""
    anna, mallory = scene.stage.anna, await scene.member()
    await scene.share(mallory)
    said = await anna.say(scene.room_id, "good morning")
    command = await anna.say(scene.room_id, "!pong")
    others = [await edit(scene, each, "!ping") for each in (said, command)]
    await scene.refused("another's", others, "not_the_author")
    own = await anna.edit(scene.room_id, command, "!ping")
    await anna.answer(command, "do not run edited commands")
    into = await anna.edit(scene.room_id, said, "!ping")
    await anna.answer(said, "do not run edited commands")
    await scene.refused("of a command, and into one", [own, into], "edited")
    await wrong_edits(scene, said)


async def edit(scene: Scene, target: str, body: str) -> str:
    """Mallory's encrypted edit of this event."""
    new = {"msgtype": "m.text", "body": body}
    relation = {"rel_type": "m.replace", "event_id": target}
    return await seal(scene, new | {"m.new_content": new, "m.relates_to": relation})


async def seal(scene: Scene, content: Json) -> str:
    """Any content, encrypted by Mallory."""
    [mallory] = scene.clients[:1]
    payload = {"room_id": scene.room_id, "type": "m.room.message", "content": content}
    return await mallory.send(scene.room_id, mallory.sealed(payload))


async def wrong_edits(scene: Scene, said: str) -> None:
    """Of the room's own creation, without new content, and in clear."""
    hand = scene.stage.hand
    state = await hand.call("GET", f"/rooms/{scene.room_id}/state")
    created = next(each["event_id"] for each in state if each["type"] == "m.room.create")  # type: ignore[index]
    of_state = await edit(scene, created, "!ping")
    relation = {"rel_type": "m.replace", "event_id": said}
    empty = await seal(scene, {"msgtype": "m.text", "body": "!ping", "m.relates_to": relation})
    new = {"msgtype": "m.text", "body": "!ping"}
    content = new | {"m.new_content": new, "m.relates_to": relation}
    clear = await hand.send(scene.room_id, content, "m.room.message")
    await scene.refused("of state", [of_state], "edited")
    await scene.refused("without new content", [empty], "malformed")
    await scene.refused("in clear", [clear], "clear_text")


@attack(
    "S25",
    tried="a forged ✅ as confirmation and on a severe alert, and a command redacted by another",
    nio="left to the bot: reactions come in clear, and anybody can make one",
)
async def reacted(scene: Scene) -> None:
    """A code in an encrypted message is the only confirmation."""
    stage, anna = scene.stage, scene.stage.anna
    await anna.ask(scene.room_id, "!room policy reactions=on", answer="From now on")
    await anna.say(scene.room_id, f'!alert severe "{SECRET}"')
    card = await anna.hear_text(scene.room_id, SECRET, stage.bot.user_id)
    react(scene, card.event_id)
    await anna.hear_text(scene.room_id, "can be forged", stage.bot.user_id)
    answers = stage.rows("SELECT count(*) FROM alert_answers WHERE NOT signed")
    scene.saw(f"{answers[0][0]} answers by ✅, and Anna was told why", answers == [(0,)])
    asked = await anna.say(scene.room_id, "!room release")
    shown = await anna.answer(asked, "!yes")
    react(scene, shown.event_id)
    redaction = {"redacts": asked}
    scene.forge(f"@mallory:{stage.homeserver.server_name}", redaction, type="m.room.redaction")
    await scene.honest_ping()
    scene.saw("✅ confirmed nothing", scene.is_served())
    await anna.ask(scene.room_id, f"!yes {code_in(shown.body)}", answer="no longer work")
    scene.saw("the code did, though a stranger had redacted the command", not scene.is_served())


def react(scene: Scene, event_id: str) -> None:
    """A tick that Anna never set."""
    relation = {"rel_type": "m.annotation", "event_id": event_id, "key": "✅"}
    scene.forge(scene.stage.anna.user_id, {"m.relates_to": relation}, type="m.reaction")


def code_in(body: str) -> str:
    """The code that the bot has shown."""
    found = re.search(r"!yes (\d+)", body)
    assert found is not None, body
    return found[1]


@attack(
    "S27",
    tried="a command held back for days, and a confirmation kept for later use",
    nio="executed late",
)
async def held_back(scene: Scene) -> None:
    """What the server lets through late does no harm: a code belongs to one asking, and for two minutes."""
    stage, anna = scene.stage, scene.stage.anna
    meddler = stage.meddler
    meddler.withhold = _by(anna.user_id, scene.room_id)
    asked = await anna.say(scene.room_id, "!room release")
    await until(lambda: len(meddler.withheld) == 1, "the command to be held back")
    meddler.withheld[0][1]["origin_server_ts"] -= DAYS_3
    meddler.hand_over()
    first = await anna.answer(asked, "!yes")
    scene.saw("after three days it is shown, not done", scene.is_served())
    meddler.withhold = _by(anna.user_id, scene.room_id)
    kept = await anna.say(scene.room_id, f"!yes {code_in(first.body)}")
    await until(lambda: len(meddler.withheld) == 1, "the confirmation to be held back")
    withheld, meddler.withhold = list(meddler.withheld), None
    second = await anna.ask(scene.room_id, "!room release", answer="!yes")
    meddler.withheld = withheld
    meddler.hand_over()
    await scene.refused("the kept confirmation", [kept], "wrong_code")
    scene.saw("the room is served still", scene.is_served())
    await anna.ask(scene.room_id, f"!yes {code_in(second.body)}", answer="no longer work")
    scene.saw("the fresh code did it", not scene.is_served())


def _by(sender: str, room_id: str) -> Callable[[str, Json], bool]:
    def is_wanted(where: str, event: Json) -> bool:
        return where == room_id and event.get("sender") == sender

    return is_wanted
