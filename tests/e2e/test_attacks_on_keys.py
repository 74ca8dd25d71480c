"""Attacks on keys, devices and identities, on a real Synapse; after each the bot takes commands."""

import pytest

from bot.kernel import clock
from bot.matrix.api import TRIES
from bot.matrix.errors import MatrixError, SendRefused
from bot.matrix.identities import OLM
from tests.e2e.siege import Siege


async def test_s1_garbage_olm_messages_are_dropped(siege: Siege) -> None:
    """S1: base64, versions, types and fields that are none."""
    mallory = await siege.hostile(enrolled=False, join=False)
    bot, device = siege.bot.user_id, siege.bot.device_id
    curve25519 = (await mallory.keys_of(bot, device))[f"curve25519:{device}"]
    bodies = [
        {"type": 0, "body": "!!!"},
        {"type": 0, "body": "AAAA"},
        {"type": 1, "body": "AwECAw"},
        {"type": 7, "body": "AAAA"},
        {"type": True, "body": 5},
        {"type": 0},
        "no object",
    ]
    for body in bodies:
        content = {"algorithm": OLM, "sender_key": mallory.curve25519, "ciphertext": {curve25519: body}}
        await mallory.to_device(bot, device, content)
    for odd in ({}, {"algorithm": OLM}, {"algorithm": OLM, "sender_key": "AAAA", "ciphertext": []}):
        await mallory.to_device(bot, device, odd)
    await mallory.to_device(bot, device, {"a": 1}, kind="m.key.verification.key")
    await siege.still_works()
    assert (await siege.bot.health()).dropped["to_device"] == len(bodies) + 3


async def test_s2_olm_messages_with_bad_contents_are_dropped(siege: Siege) -> None:
    """S2: session keys that are none, recipients that are not the bot."""
    mallory = await siege.hostile()
    bot, device = siege.bot.user_id, siege.bot.device_id
    good = mallory.room_key(siege.room_id)
    for key in ("AAAA", "!!", "", 7):
        await mallory.olm(bot, device, "m.room_key", good | {"session_key": key})
    await mallory.olm(bot, device, "m.room_key", good | {"session_id": "another"})
    wrong: list[dict[str, object]] = [
        {"recipient_keys": {}},
        {"recipient": mallory.user_id},
        {"keys": {}},
        {"keys": []},
        {"content": "text"},
    ]
    for parts in wrong:
        await mallory.olm(bot, device, "m.room_key", good, **parts)
    await siege.still_works()
    event_id = await mallory.send(siege.room_id, mallory.message(siege.room_id, "!ping"))
    row = await siege.row(event_id)
    assert (row.kind, row.content["session_id"]) == ("undecryptable", mallory.group.session_id)


async def test_s4_one_bad_device_hides_no_other(siege: Siege) -> None:
    """S4: a device with rubbish for keys (Synapse takes it), beside an honest one of the same member."""
    mallory = await siege.hostile()
    bad = await siege.device_of(mallory.user_id, keys=False)
    await bad.upload(bad.device_keys(ed25519="AAAA"))
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    row = await siege.row(await mallory.send(siege.room_id, mallory.message(siege.room_id, "!ping")))
    assert row.kind == "message"
    await siege.still_works()


async def test_s4_rubbish_in_an_answer_of_the_homeserver_is_skipped_alone(siege: Siege) -> None:
    """S4: null signatures, wrong types and a missing user id beside what is sound."""

    def poison(answer: dict[str, object]) -> None:
        devices = answer["device_keys"]
        assert isinstance(devices, dict)
        for user in list(devices):
            devices[user] |= {"A": None, "B": {"unsigned": 5}, "C": {"signatures": None, "keys": []}, "": 7}
        devices["@nobody"] = "text"
        masters = answer["master_keys"]
        assert isinstance(masters, dict)
        masters["@nobody"] = None
        answer["failures"] = []

    siege.meddler.alter["/keys/query"] = poison
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    row = await siege.row(await mallory.send(siege.room_id, mallory.message(siege.room_id, "!ping")))
    assert row.kind == "message"
    await siege.still_works()


async def test_s5_one_time_keys_that_are_none_harm_only_their_device(siege: Siege) -> None:
    """S5: signed rubbish instead of one-time keys (Synapse takes it)."""
    mallory = await siege.hostile(join=False)
    bad = await siege.device_of(mallory.user_id, keys=False)
    await bad.upload(bad.device_keys(), one_time_key="AAAA")
    assert mallory.identity is not None
    keys = bad.device_keys()
    mallory.identity.self_signing.add_signature(keys, mallory.user_id)
    await bad.call("POST", "/keys/signatures/upload", {bad.user_id: {bad.device_id: keys}})
    await siege.anna.invite(siege.room_id, mallory.user_id)
    await mallory.join(siege.room_id)
    await siege.until(lambda: mallory.user_id in siege.bot.members(siege.room_id), "the invite")
    await siege.still_works()
    told = [each["content"]["code"] for each in await bad.received() if each["sender"] == siege.bot.user_id]
    assert told == ["m.no_olm"]
    assert "m.room.encrypted" in [each["type"] for each in await mallory.received()]


async def test_s6_one_time_keys_run_dry_and_are_refilled(siege: Siege) -> None:
    """S6: after all are claimed the fallback key answers, and the next round brings new ones."""
    mallory = await siege.hostile(enrolled=False, join=False)
    await siege.stop()
    claimed = [await mallory.claim(siege.bot.user_id, siege.bot.device_id) for _ in range(60)]
    assert None not in claimed
    assert claimed[-1] == claimed[-2], "the fallback key"
    await siege.start()
    await siege.still_works()
    fresh = await mallory.claim(siege.bot.user_id, siege.bot.device_id)
    assert fresh not in claimed


async def test_s9_a_room_key_in_anothers_name_is_refused(siege: Siege) -> None:
    """S9: Mallory's Olm channel, Anna's name inside and (the server lies) outside."""
    mallory = await siege.hostile()

    def lie(answer: dict[str, object]) -> None:
        to_device = answer.get("to_device")
        for event in to_device["events"] if isinstance(to_device, dict) else []:
            event["sender"] = siege.anna.user_id

    siege.meddler.alter["/sync"] = lie
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id, sender=siege.anna.user_id)
    content = mallory.message(siege.room_id, "!ping")
    event_id = siege.meddler.inject_event(siege.room_id, siege.anna.user_id, content)
    row = await siege.row(event_id)
    assert row.kind == "undecryptable"
    siege.meddler.alter.clear()
    await siege.still_works()
    assert (await siege.bot.health()).dropped["to_device"] == 1


async def test_s9_device_keys_inside_must_be_the_senders(siege: Siege) -> None:
    """S9, CVE-2026-45056: `sender_device_keys` of somebody else, or not signed."""
    mallory = await siege.hostile()
    stolen = await mallory.call("POST", "/keys/query", {"device_keys": {siege.anna.user_id: []}})
    theirs = stolen["device_keys"][siege.anna.user_id][siege.anna.device_id]
    unsigned = mallory.device_keys() | {"signatures": {}}
    for keys in (theirs, unsigned, {}, "text", mallory.device_keys() | {"user_id": siege.anna.user_id}):
        await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id, sender_device_keys=keys)
    row = await siege.row(await mallory.send(siege.room_id, mallory.message(siege.room_id, "!ping")))
    assert row.kind == "undecryptable"
    await mallory.share(
        siege.room_id, siege.bot.user_id, siege.bot.device_id, sender_device_keys=mallory.device_keys()
    )
    row = await siege.row(await mallory.send(siege.room_id, mallory.message(siege.room_id, "!ping")))
    assert row.kind == "message"
    await siege.still_works()


async def test_s13_a_squatted_session_does_not_silence_its_owner(siege: Siege) -> None:
    """S13: Mallory gives the bot Anna's session as hers; a later key with a higher index changes nothing."""
    mallory, eve = await siege.hostile(), await siege.hostile("eve")
    key = mallory.room_key(siege.room_id)
    await eve.olm(siege.bot.user_id, siege.bot.device_id, "m.room_key", key)
    early = mallory.message(siege.room_id, "!ping early")
    await mallory.olm(siege.bot.user_id, siege.bot.device_id, "m.room_key", key)
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)  # from index 1 on
    row = await siege.row(await mallory.send(siege.room_id, early))
    assert (row.kind, row.sender) == ("message", mallory.user_id)
    await siege.still_works()


async def test_s14_room_keys_in_clear_or_forwarded_are_ignored(siege: Siege) -> None:
    """S14, S15: an unencrypted room key, an unasked forwarded one; key requests get no answer."""
    mallory = await siege.hostile()
    bot, device = siege.bot.user_id, siege.bot.device_id
    key = mallory.room_key(siege.room_id)
    await mallory.to_device(bot, device, key, kind="m.room_key")
    await mallory.to_device(bot, device, key, kind="m.forwarded_room_key")
    forwarded = key | {"sender_key": mallory.curve25519, "sender_claimed_ed25519_key": mallory.ed25519}
    await mallory.olm(bot, device, "m.forwarded_room_key", forwarded)
    request = {"action": "request", "body": key, "request_id": "1", "requesting_device_id": mallory.device_id}
    await mallory.to_device(bot, device, request, kind="m.room_key_request")
    row = await siege.row(await mallory.send(siege.room_id, mallory.message(siege.room_id, "!ping")))
    assert row.kind == "undecryptable"
    assert [each for each in await mallory.received() if "forward" in each["type"]] == []
    await siege.still_works()


async def test_s16_an_unsigned_device_gets_no_keys_and_gives_no_commands(siege: Siege) -> None:
    """S16: a device that appears on Anna's account, not cross-signed."""
    thief = await siege.device_of(siege.anna.user_id)
    await thief.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    event_id = await thief.send(siege.room_id, thief.message(siege.room_id, "!ping"))
    await siege.refused(event_id, "unverified_device")
    await siege.still_works()
    received = await thief.received()
    assert [each["content"]["code"] for each in received if each["sender"] == siege.bot.user_id] == [
        "m.unverified"
    ]


async def test_s17_a_changed_identity_is_a_violation(siege: Siege) -> None:
    """S17: a member whose master key is not the pinned one: no commands, no keys, one alarm."""
    mallory = await siege.hostile()
    await siege.still_works()
    assert mallory.identity is not None
    old = mallory.identity.master.public
    await mallory.received()
    thief = await siege.device_of(mallory.user_id, signed=True)
    row = await siege.expect("violation", user_id=mallory.user_id)
    assert thief.identity is not None
    assert (row.content["old"], row.content["new"]) == (old, thief.identity.master.public)
    await thief.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    event_id = await thief.send(siege.room_id, thief.message(siege.room_id, "!ping"))
    await siege.refused(event_id, "identity_changed")
    assert (await siege.bot.health()).violations == (mallory.user_id,)
    await siege.still_works()
    for device in (mallory, thief):
        kinds = [each["type"] for each in await device.received() if each["sender"] == siege.bot.user_id]
        assert kinds == ["m.room_key.withheld"]


async def test_s19_a_ghost_gets_no_keys_and_is_not_heard(siege: Siege) -> None:
    """S19: someone in the room who is not enrolled, cross-signed or not."""
    ghost = await siege.hostile("ghost", enrolled=False)
    await ghost.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    event_id = await ghost.send(siege.room_id, ghost.message(siege.room_id, "!ping"))
    await siege.refused(event_id, "not_enrolled")
    await siege.still_works()
    codes = [
        each["content"]["code"] for each in await ghost.received() if each["sender"] == siege.bot.user_id
    ]
    assert codes == ["m.unauthorised"]
    assert await siege.bot.unknown_members(siege.room_id) == [ghost.user_id]


async def test_s28_nothing_is_sent_if_the_keys_could_not_be_shared(siege: Siege) -> None:
    """S28: /sendToDevice fails: no message that nobody can read, and the next try sends it."""
    await siege.hostile()
    siege.meddler.failing.add("/sendToDevice/")
    with pytest.raises(MatrixError):
        await siege.bot.send(siege.room_id, {"msgtype": "m.text", "body": "x"}, "once")
    assert [path for path, _ in siege.meddler.requests if "/send/m.room.encrypted/" in path] == []
    siege.meddler.failing.clear()
    await siege.bot.send(siege.room_id, {"msgtype": "m.text", "body": "x"}, "once")
    await siege.still_works()


async def test_s34_a_foreign_device_on_the_bots_account_stops_the_sending(siege: Siege) -> None:
    """S34: an unsigned device on the bot's own account; once it is gone the bot speaks again."""
    thief = await siege.device_of(siege.bot.user_id)
    await siege.until(lambda: not siege.bot.chain_ok, "the alarm")
    with pytest.raises(SendRefused, match="own_chain"):
        await siege.bot.send(siege.room_id, {"msgtype": "m.text", "body": "x"}, clock.token())
    assert (await siege.bot.health()).foreign_devices == (thief.device_id,)
    await thief.call("POST", "/logout", {})
    await siege.until(lambda: siege.bot.chain_ok, "the all-clear")
    await siege.still_works()


async def test_s34_a_check_of_our_own_account_that_got_no_answer_is_made_again(siege: Siege) -> None:
    """S34: no answer just as the thief's device appears; the alarm comes all the same."""
    own = siege.bot.user_id

    def asked() -> int:
        queries = [body for path, body in siege.meddler.requests if path.endswith("/keys/query")]
        return sum(own in body["device_keys"] for body in queries)

    before = asked()
    siege.meddler.failing.add("/keys/query")
    await siege.device_of(own)
    await siege.until(lambda: asked() >= before + TRIES, "the check to be given up")
    siege.meddler.failing.clear()
    await siege.until(lambda: not siege.bot.chain_ok, "the alarm")
