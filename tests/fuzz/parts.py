"""Single parts of what a homeserver answers: bytes, canonical JSON, keys, room state, secret storage."""

import json
from contextlib import suppress
from typing import Any

from vodozemac import Account, Curve25519PublicKey

from bot.matrix.api import _answer
from bot.matrix.canonical import canonical, decode64, is_key, is_signed, signable, verify
from bot.matrix.cross_signing import CrossSigning
from bot.matrix.errors import ForeignIdentity, MatrixError
from bot.matrix.identities import merge, read_identity
from bot.matrix.olm import check_sender_device_keys, claimed_key
from bot.matrix.rooms import Rooms
from bot.matrix.secret_storage import read_seeds, recovery_key, recovery_text, seal
from bot.matrix.trust import Identity, Owner, Standing, distrust, withhold
from bot.matrix.wire import Malformed, obj, objects, parse, parse_plaintext
from tests.fuzz.mutation import read
from tests.fuzz.rounds import ROUNDS
from tests.fuzz.world import ANNA, BOB, EVE, OPS, Find, run, world
from tests.story import BOT

Json = dict[str, Any]
STATUSES = (200, 200, 200, 400, 401, 403, 404, 429, 500)
ERROR: Json = {"errcode": "M_LIMIT_EXCEEDED", "error": "slow down", "retry_after_ms": 1000}


def answer(raw: bytes) -> None:
    """The bytes of an HTTP answer, the first of which chooses its status: JSON or a MatrixError."""
    status = STATUSES[raw[0] % len(STATUSES)] if raw else 200
    body = raw[1:] if raw[:1] != b"{" else raw
    try:
        value = run(_answer(status, body))
    except MatrixError as error:
        if "\n" in str(error):
            raise Find("an error of several lines") from error
        return
    again = parse(json.dumps(value).encode())
    if json.dumps(again) != json.dumps(value):
        raise Find("what was read is read differently")


def whole_json(raw: bytes) -> None:
    """Canonical JSON and signatures over any JSON."""
    value = parse(json.dumps(read(raw, *SIGNED)).encode())
    try:
        written = canonical(value)
    except Malformed:
        return
    if canonical(json.loads(written)) != written:
        raise Find("the canonical form is not its own")
    for each in objects([value]):
        signable(each)
        is_signed(each, ANNA, str(each.get("key")), "LAPTOP")
        for text in (*each, *each.values()):
            _text(text)


def _text(text: Any) -> None:
    if not isinstance(text, str):
        return
    verify(text, b"", text)
    if is_key(text) and len(decode64(text)) != 32:
        raise Find("a key that is no key")


def plain_bytes(raw: bytes) -> None:
    """A decrypted payload as bytes: an object, or Malformed."""
    try:
        json.dumps(parse_plaintext(raw), ensure_ascii=False).encode()
    except Malformed:
        return


SIGNED: tuple[Json, ...] = (
    {"key": "A" * 43, "signatures": {ANNA: {"ed25519:LAPTOP": "A" * 86}}, "unsigned": {"age": 1}},
    {"one": 1, "two": "Two", "three": [None, True, {"b": "\u65e5"}], "four": -0},
)


def keys_query(raw: bytes) -> None:
    """An answer of /keys/query: identities that can be kept, merged and judged."""
    made = world()
    shown = made.anna_shown
    answers = obj(parse(json.dumps(made.filled(read(raw, shown | {"failures": {}}))).encode()))
    before = read_identity(ANNA, parse(json.dumps(shown).encode()))
    for user in (ANNA, BOB, EVE):
        new = merge(before, read_identity(user, answers))
        kept = Identity.of(user, json.loads(json.dumps(new.document())))
        if kept != new:
            raise Find("an identity that is not kept as it is")
        standing = Standing("active", before.master)
        distrust(standing, new)
        for device in new.devices.values():
            withhold(standing, new, device)
    _check_own(answers)


def _check_own(answers: Json) -> None:
    """The same answer as if it were about ourselves."""
    made = world()
    signing = CrossSigning(made.database, made.server, ANNA)
    signing.own = made.anna.own
    try:
        signing.check(answers, {"device_id": "LAPTOP", "keys": _own_keys()["keys"]})
    except ForeignIdentity:
        return


def _own_keys() -> Json:
    keys: Json = world().anna_shown["device_keys"][ANNA]["LAPTOP"]
    return keys


_BOT_ACCOUNT = Account()


def keys_claim(raw: bytes) -> None:
    """An answer of /keys/claim: a key that a session can begin with, or None."""
    made = world()
    device = read_identity(ANNA, made.anna_shown).devices["LAPTOP"]
    offered: Json = {"one_time_keys": {ANNA: {"LAPTOP": {"signed_curve25519:AAAA": made.one_time_key}}}}
    answers = obj(parse(json.dumps(made.filled(read(raw, offered))).encode()))
    of_user = obj(obj(answers.get("one_time_keys")).get(ANNA))
    key = claimed_key(device, obj(of_user.get("LAPTOP")))
    if key is not None:
        their = Curve25519PublicKey.from_base64(device.curve25519)
        _BOT_ACCOUNT.create_outbound_session(their, Curve25519PublicKey.from_base64(key))
    made.machine._session_with(device, {}, answers)


def device_keys(raw: bytes) -> None:
    """`sender_device_keys` of an Olm payload: they are the sender's own, or Malformed."""
    made = world()
    owner = Owner(ANNA, made.anna.curve25519, made.anna.ed25519)
    value = parse(json.dumps(read(raw, _own_keys())).encode())
    try:
        check_sender_device_keys(owner, obj(value))
    except Malformed:
        return


def room_state(raw: bytes) -> None:
    """State events of a room, into memory; what is remembered can be kept."""
    value = obj(parse(json.dumps(read(raw, *ROUNDS)).encode()))
    rooms = Rooms(BOT)
    for room_id, section in obj(obj(obj(value.get("/sync")).get("rooms")).get("join")).items():
        for name in ("state", "timeline"):
            for event in objects(obj(obj(section).get(name)).get("events")):
                rooms.take_state(room_id, event)
    rooms.change(OPS).membership = "join"
    for room in rooms.all():
        json.dumps(vars(room), allow_nan=False).encode()
        if not 1 <= room.limits.messages <= 100 or BOT in room.audience() and BOT not in room.members:
            raise Find("limits that do not hold")


_KEY = bytes(range(32))


def secrets(raw: bytes) -> None:
    """A recovery key as it is typed, and what secret storage holds: the seeds, or Malformed."""
    made = world()
    if raw[:1] != b"{":
        with suppress(Malformed):
            recovery_key(raw.decode("utf-8", errors="surrogateescape"))
    stored = read(raw, _stored())
    made.server.answers = {"default_key": stored.get("default")} if isinstance(stored, dict) else {}
    made.server.answers |= {name: value for name, value in obj(stored).items() if name != "default"}
    try:
        seeds = run(read_seeds(made.server, BOT, recovery_text(_KEY)))
    except (Malformed, MatrixError):
        return
    if len(seeds) != 96:
        raise Find("seeds of another length")


def _stored() -> Json:
    sealed = {
        name: {"encrypted": {"k": seal(_KEY, name, b"A" * 43, bytes(16))}}
        for name in (f"m.cross_signing.{each}" for each in ("master", "self_signing", "user_signing"))
    }
    return {"default": {"key": "k"}, **sealed}
