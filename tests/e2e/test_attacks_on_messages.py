"""Attacks by messages in rooms, on a real Synapse; after each the bot takes commands."""

import json

import pytest

from bot.kernel import clock
from bot.matrix.errors import SendRefused
from tests.e2e.siege import Siege


async def test_s3_payloads_that_are_no_messages_are_refused(siege: Siege) -> None:
    """S3: not UTF-8, no object, nested beyond all measure; from a member who is enrolled."""
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    deep = f'{{"room_id": "{siege.room_id}", "type": "m.room.message", "content": {{"a": '
    payloads = [
        b"\xff\xfe",
        b"[]",
        b"7",
        b"[" * 20_000,
        (deep + "[" * 900 + "]" * 900 + "}}").encode(),
        b'{"type": "m.room.message"}',
        b'{"room_id": 1, "type": [], "content": {}}',
        json.dumps({"room_id": siege.room_id, "type": "m.room.message", "content": []}).encode(),
        json.dumps({"room_id": siege.room_id, "type": "m.room.message", "content": {}}).encode(),
        json.dumps({"room_id": siege.room_id, "content": {"body": "x"}}).encode(),
    ]
    for payload in payloads:
        event_id = await mallory.send(siege.room_id, mallory.sealed(payload))
        await siege.refused(event_id, "malformed", "room_mismatch")
    for content in (
        {},
        {"algorithm": 5},
        mallory.sealed(b"x", ciphertext="%%"),
        mallory.sealed(b"x", session_id=3),
    ):
        await mallory.send(siege.room_id, content)
    odd = {"msgtype": "m.text", "body": "NUL \x00 and half a pair \ud800", "n": 10**30}
    sealed = mallory.sealed({"room_id": siege.room_id, "type": "m.room.message", "content": odd})
    row = await siege.row(await mallory.send(siege.room_id, sealed))
    assert row.content["body"] == "NUL \ufffd and half a pair \ufffd"
    await siege.still_works()


async def test_s7_clear_text_is_never_a_command(siege: Siege) -> None:
    """S7: with the officer's own token, so even the server believes it."""
    thief = await siege.device_of(siege.anna.user_id, keys=False)
    content = {"msgtype": "m.text", "body": "!member add @mallory"}
    await siege.refused(await thief.send(siege.room_id, content, "m.room.message"), "clear_text")
    await siege.still_works()


async def test_s8_a_relabelled_sender_is_refused(siege: Siege) -> None:
    """S8: the server says that Anna sent what Mallory encrypted, whatever device it names."""
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    for device in (mallory.device_id, siege.anna.device_id, "NOSUCH", None):
        content = mallory.message(siege.room_id, "!ping", device_id=device)
        event_id = siege.meddler.inject_event(siege.room_id, siege.anna.user_id, content)
        await siege.refused(event_id, "sender_mismatch")
    await siege.still_works()


@pytest.mark.parametrize(
    "kind", ["m.room.power_levels", "m.room.member", "m.room.tombstone", "m.room.encryption"]
)
async def test_s10_state_in_ciphertext_is_refused(siege: Siege, kind: str) -> None:
    """S10: power levels, members and the like, encrypted by a member."""
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    content = {"users": {mallory.user_id: 100}, "membership": "leave", "algorithm": "none"}
    payload = {"room_id": siege.room_id, "type": kind, "content": content}
    await siege.refused(await mallory.send(siege.room_id, mallory.sealed(payload)), "state_in_ciphertext")
    payload |= {"state_key": siege.anna.user_id}
    await siege.refused(await mallory.send(siege.room_id, mallory.sealed(payload)), "state_in_ciphertext")
    assert siege.bot.members(siege.room_id)[siege.anna.user_id] == "join"
    await siege.still_works()


async def test_s11_a_replay_is_refused_also_after_a_restart(siege: Siege) -> None:
    """S11: the same ciphertext under another event id."""
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    content = mallory.message(siege.room_id, "!ping")
    first = await mallory.send(siege.room_id, content)
    assert (await siege.row(first)).kind == "message"
    await siege.refused(await mallory.send(siege.room_id, content), "replayed")
    siege.meddler.inject_event(siege.room_id, mallory.user_id, content, event_id=first)  # no replay: ignored
    await siege.still_works()
    await siege.stop()
    again = await mallory.send(siege.room_id, content)
    await siege.start()
    await siege.refused(again, "replayed")
    await siege.still_works()
    assert [row.kind for row in siege.rows if row.event_id == first] == ["message"]


async def test_s12_a_replay_into_another_room_is_refused(siege: Siege) -> None:
    """S12: the inner room id is not the room's; with the key shared for both rooms."""
    mallory = await siege.hostile()
    elsewhere = "!elsewhere:example.org"
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    event_id = await mallory.send(siege.room_id, mallory.message(elsewhere, "!ping"))
    await siege.refused(event_id, "room_mismatch")
    await siege.still_works()


async def test_s21_a_room_that_claims_to_be_plain_gets_nothing_in_clear(siege: Siege) -> None:
    """S21: encryption changed in the state; and a room whose encryption is hidden from the bot."""
    state = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "none"}}
    event = state | {"sender": siege.anna.user_id, "event_id": "$forged"}
    siege.meddler.inject(rooms={"join": {siege.room_id: {"timeline": {"events": [event]}}}})
    await siege.still_works()
    with pytest.raises(SendRefused):
        await siege.bot.send("!unknown:example.org", {"msgtype": "m.text", "body": "x"}, clock.token())
    sent = [path for path, _ in siege.meddler.requests if "/send/m.room.message/" in path]
    assert sent == []


async def test_s23_relations_outside_the_ciphertext_have_no_authority(siege: Siege) -> None:
    """S23: a reply and an edit grafted onto the clear part."""
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    card = await siege.anna.send(siege.room_id, {"msgtype": "m.text", "body": "card"}, clock.token())
    graft = {"m.in_reply_to": {"event_id": card}, "rel_type": "m.thread", "event_id": card}
    content = mallory.message(siege.room_id, "!ack", **{"m.relates_to": graft})
    row = await siege.row(await mallory.send(siege.room_id, content))
    assert (row.kind, row.content["reply_to"], row.content["thread"]) == ("message", None, None)
    await siege.still_works()


async def test_s33_an_encrypted_state_event_is_refused(siege: Siege) -> None:
    """S33: `m.room.encrypted` with a state key (MSC4362)."""
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    content = mallory.message(siege.room_id, "!ping")
    event_id = siege.meddler.inject_event(siege.room_id, mallory.user_id, content, state_key="")
    await siege.refused(event_id, "state_in_ciphertext")
    await siege.still_works()


async def test_r22_events_without_the_deprecated_fields_are_read(siege: Siege) -> None:
    """R22: `sender_key` and `device_id` are gone from newer clients' events, or lie."""
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    for fields in ({"sender_key": None, "device_id": None}, {"sender_key": "lie", "device_id": "lie"}):
        content = mallory.message(siege.room_id, "!ping", **fields)
        assert (await siege.row(await mallory.send(siege.room_id, content))).kind == "message"
    await siege.still_works()
