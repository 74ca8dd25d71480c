"""Whole rounds: answers of /sync and what is asked for beside them, Olm messages, rows of the inbox."""

import json
from typing import Any

from bot.matrix.errors import MatrixError
from bot.matrix.rows import NotAllowed, read_payload, read_redaction
from bot.matrix.sync import Sync
from bot.matrix.wire import Json, Malformed, obj, parse, parse_plaintext
from storage.inbox import Received
from tests.fakes import NOON
from tests.fuzz.mutation import read
from tests.fuzz.world import ANNA, BOB, EVE, HONEST, LOBBY, OPS, Find, World, run, world
from tests.story import BOT

LONGEST_LINE = 2000  # characters of one command
MEGOLM, OLM = "m.megolm.v1.aes-sha2", "m.olm.v1.curve25519-aes-sha2"


def _event(kind: str, sender: str, event_id: str, content: Json, **more: Any) -> Json:
    event = {"type": kind, "sender": sender, "event_id": event_id, "content": content}
    return event | {"origin_server_ts": 1793725200000} | more


def _state(kind: str, content: Json, key: str = "", event_id: str = "$state") -> Json:
    return _event(kind, ANNA, event_id, content, state_key=key)


def _sealed(name: str, event_id: str) -> Json:
    content = {
        "algorithm": MEGOLM,
        "ciphertext": name,
        "session_id": "<anna session>",
        "sender_key": "<anna curve25519>",
        "device_id": "LAPTOP",
    }
    return _event("m.room.encrypted", ANNA, event_id, content)


_TO_ANNA = {"rel_type": "m.annotation", "event_id": "<card>", "key": "✅"}
_OLM_EVENT: Json = {
    "type": "m.room.encrypted",
    "sender": ANNA,
    "content": {
        "algorithm": OLM,
        "sender_key": "<anna curve25519>",
        "ciphertext": {"<bot curve25519>": {"type": 1, "body": "<olm>"}},
    },
}
_MEMBER = {"membership": "join", "displayname": "Bob"}


def _round_with(join: Json, **more: Any) -> Json:
    sync = {
        "next_batch": "s2",
        "rooms": {"join": join},
        "device_one_time_keys_count": {"signed_curve25519": 50},
    } | more
    return {"/sync": sync, "/keys/query": {"device_keys": {}, "master_keys": {}}}


def _timeline(*events: Json, **more: Any) -> Json:
    return {OPS: {"timeline": {"events": list(events)} | more}}


_JOINED = {
    "state": {
        "events": [
            _state("m.room.create", {}),
            _state("m.room.encryption", {"algorithm": MEGOLM, "rotation_period_msgs": 9}),
            _state("m.room.member", _MEMBER, BOB),
        ]
    },
    "timeline": {"events": [_state("m.room.member", _MEMBER, BOT, "$me")]},
}
_INVITE = [
    _state("m.room.member", {"membership": "invite", "is_direct": True}, BOT),
    _state("m.room.encryption", {"algorithm": MEGOLM}),
]
_LEFT = {"timeline": {"events": [_state("m.room.member", {"membership": "ban"}, BOT)]}}
ROUNDS: tuple[Json, ...] = (
    _round_with(_timeline(_sealed("<message>", "$said"), _sealed("<edit>", "$edited"))),
    _round_with(_timeline(_sealed("<reaction>", "$reacted"), _sealed("<other room>", "$replayed"))),
    _round_with(
        _timeline(
            _event("m.reaction", ANNA, "$clear", {"m.relates_to": _TO_ANNA}),
            _event("m.room.redaction", ANNA, "$redaction", {"redacts": "$clear"}),
            _event("m.room.message", ANNA, "$plain", {"msgtype": "m.text", "body": "!help"}),
            _state("m.room.member", {"membership": "leave", "reason": "x"}, EVE, "$gone"),
        )
    ),
    _round_with(
        {},
        to_device={"events": [_OLM_EVENT, {"type": "m.room_key", "sender": EVE, "content": {}}]},
        device_lists={"changed": [ANNA, EVE], "left": [EVE]},
        device_unused_fallback_key_types=["signed_curve25519"],
    ),
    _round_with({"!joined:agency.example": _JOINED}),
    _round_with(
        {OPS: {"state": {"events": [_state("m.room.history_visibility", {"history_visibility": "joined"})]}}}
    ),
    _round_with({}, rooms={"invite": {"!new:agency.example": {"invite_state": {"events": _INVITE}}}}),
    _round_with({}, rooms={"leave": {OPS: _LEFT}}),
    _round_with(_timeline(limited=True, prev_batch="p1"))
    | {"/messages": {"chunk": [_sealed("<message>", "$earlier")], "end": "p2"}},
)


def round_of_sync(raw: bytes) -> None:
    """One round, what it adds to the inbox, and an honest command of another officer in the same round."""
    made = world()
    answers = made.filled(read(raw, *ROUNDS))
    run(_round(made, obj(answers)))


async def _round(made: World, answers: Json) -> None:
    try:
        expected = _add_honest(made, answers)
        made.server.answers = answers
        parts = made.parts()
        await parts.sync.load()
        await _one_round(parts.sync)
        if expected:
            await _expect_honest(made)
        made.check()
    finally:
        made.failed.clear()
        await made.database.undo()


async def _one_round(sync: Sync) -> None:
    """What `Sync.run` does in a round; after a homeserver's error it asks again."""
    try:
        await sync.round()
    except (Malformed, MatrixError):
        return


def _add_honest(made: World, answers: Json) -> bool:
    """Put Bob's command into an answer that has room for it; whether it has."""
    keys = made.bob_shown
    shown = obj(answers.get("/keys/query"))
    answers["/keys/query"] = {**shown, **{k: {**obj(shown.get(k)), **v} for k, v in keys.items()}}
    answer = obj(answers.get("/sync"))
    joined = obj(obj(answer.get("rooms")).get("join"))
    batch = answer.get("next_batch")
    if not isinstance(batch, str) or not 0 < len(batch) <= 4096 or obj(answer.get("rooms")) is None:
        return False
    content = {"algorithm": MEGOLM, "ciphertext": "<honest>", "session_id": "<bob session>"}
    event = made.filled(_event("m.room.encrypted", BOB, HONEST, content))
    answer["rooms"] = {
        **obj(answer.get("rooms")),
        "join": {**joined, LOBBY: {"timeline": {"events": [event]}}},
    }
    return True


async def _expect_honest(made: World) -> None:
    found = await made.kinds_of(HONEST)
    if found != ["message"]:
        raise Find(f"an honest command became {found}")


MESSAGE: Json = {
    "payload": {
        "type": "m.room_key",
        "content": {
            "algorithm": MEGOLM,
            "room_id": OPS,
            "session_id": "<anna session>",
            "session_key": "<anna session key>",
        },
        "sender": ANNA,
        "recipient": BOT,
        "recipient_keys": {"ed25519": "<bot ed25519>"},
        "keys": {"ed25519": "<anna ed25519>"},
        "sender_device_keys": {"user_id": ANNA, "device_id": "LAPTOP", "signatures": {ANNA: {}}},
    },
    "event": _OLM_EVENT,
    "first": False,
}


def olm_message(raw: bytes) -> None:
    """An Olm message over any payload, in any envelope; only ValueError may come of it."""
    made = world()
    if raw[:1] == b"\x00":
        return run(_olm(made, _of_bytes(made, raw[1:])))
    value = obj(read(raw, MESSAGE))
    payload = json.dumps(made.filled(value.get("payload"))).encode()
    peer = made.bob if value.get("first") else made.anna
    kind, body = peer.seal(payload)
    event = made.filled(value.get("event"))
    sealed = obj(obj(obj(event).get("content")).get("ciphertext")).get(made.machine.curve25519)
    if isinstance(sealed, dict) and sealed.get("body") == made.names["<olm>"]:
        sealed |= {"type": kind, "body": body}
    return run(_olm(made, obj(event)))


def _of_bytes(made: World, raw: bytes) -> Json:
    """Any bytes as plaintext of an Olm message."""
    kind, body = made.anna.seal(raw)
    event: Json = made.filled(_OLM_EVENT)
    event["content"]["ciphertext"] = {made.machine.curve25519: {"type": kind, "body": body}}
    return event


async def _olm(made: World, event: Json) -> None:
    receiver = made.parts().receiver
    try:
        async with made.machine.lock, made.database.transaction() as tx:
            whole = obj(parse(json.dumps(event).encode()))
            await receiver.safely(tx, "to_device", receiver.to_device(tx, whole, set()))
        made.check()
    finally:
        made.failed.clear()
        await made.database.undo()


PLAIN: Json = {
    "room_id": OPS,
    "type": "m.room.message",
    "content": {
        "msgtype": "m.file",
        "body": '!alert severe "Bridge closed" to=ops',
        "format": "org.matrix.custom.html",
        "formatted_body": '<a href="https://matrix.to/#/@bob:cbp.example">Bob</a> !help',
        "filename": "plan.pdf",
        "file": {
            "url": "mxc://agency.example/abc",
            "key": {"kty": "oct", "key_ops": ["encrypt"], "alg": "A256CTR", "k": "A" * 43, "ext": True},
            "iv": "A" * 22,
            "hashes": {"sha256": "A" * 43},
            "v": "v2",
        },
        "info": {"mimetype": "application/pdf", "size": 1024, "w": 1, "h": 1},
        "m.mentions": {"user_ids": [BOB]},
        "m.relates_to": {
            "rel_type": "m.thread",
            "event_id": "$root",
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": "$card"},
        },
        "m.new_content": {"msgtype": "m.text", "body": "!ack A-1"},
    },
}


def plaintext(raw: bytes) -> None:
    """A decrypted payload, as bytes or as JSON: a row that can be stored, a reason, or Malformed."""
    if raw[:1] == b"\x00":
        _row(raw[1:])
    else:
        _row(json.dumps(read(raw, PLAIN)).encode())


def _row(raw: bytes) -> tuple[str, Json] | None:
    try:
        row = read_payload(parse_plaintext(raw), OPS, "LAPTOP", notices=False)
    except (NotAllowed, Malformed):
        return None
    if row is not None:
        json.dumps(row, ensure_ascii=False).encode()
    return row


_REACTION: Json = {"rel_type": "m.annotation", "event_id": "<card>", "key": "✅"}
_NEW: Json = {"msgtype": "m.text", "body": "!help"}
ROWS: tuple[Json, ...] = (
    {"first": PLAIN},
    {"first": {"room_id": OPS, "type": "m.reaction", "content": {"m.relates_to": _REACTION}}},
    {
        "first": {"room_id": OPS, "type": "m.room.message", "content": _NEW},
        "second": {
            "room_id": OPS,
            "type": "m.room.message",
            "content": {
                "m.new_content": _NEW,
                "m.relates_to": {"rel_type": "m.replace", "event_id": "$first"},
            },
        },
    },
    {
        "first": {"room_id": OPS, "type": "m.reaction", "content": {"m.relates_to": _REACTION}},
        "redaction": {"content": {"redacts": "$first"}},
    },
)


def rows(raw: bytes) -> None:
    """Rows of the inbox as payloads make them, and what the dispatcher does with them."""
    made = world()
    value = obj(made.filled(read(raw, *ROWS)))
    found = {
        f"${name}": _row(json.dumps(value[name]).encode()) for name in ("first", "second") if name in value
    }
    taken_back = parse(json.dumps(obj(value.get("redaction"))).encode())
    found["$redaction"] = read_redaction(obj(taken_back))
    run(_rows(made, found))


async def _rows(made: World, found: dict[str, tuple[str, Json] | None]) -> None:
    try:
        async with made.database.transaction() as tx:
            for event_id, row in found.items():
                if row is not None and len(str(row[1].get("body"))) <= LONGEST_LINE:
                    await tx.inbox.add(Received(event_id, OPS, ANNA, *row, NOON, NOON))
        await made.story.dispatcher.drain()
        made.check()
    finally:
        made.failed.clear()
        await made.database.undo()
