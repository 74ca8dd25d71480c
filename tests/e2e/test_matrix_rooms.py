"""The session on a real Synapse: rooms, late keys, restarts, gaps, and its own identity."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.demo.homeserver import EmbeddedHomeserver
from bot.kernel import clock
from bot.matrix.account import Account
from bot.matrix.api import Homeserver
from bot.matrix.errors import ForeignIdentity, LoginRefused, SendRefused, SignedOut, Unreachable
from bot.matrix.identities import MEGOLM
from bot.matrix.login import forget_device
from bot.matrix.secret_storage import read_seeds
from bot.matrix.session import Session
from bot.matrix.trust import Circle, EnrolledCircle
from tests.e2e.hostile import Hostile
from tests.e2e.siege import PASSWORD, Siege

TEXT = {"msgtype": "m.text", "body": "!ping"}


@pytest.fixture
async def siege(homeserver: EmbeddedHomeserver, tmp_path: Path) -> AsyncIterator[Siege]:
    """The bot and Anna, in an encrypted room; nobody is hostile here."""
    siege = await Siege.begin(homeserver, tmp_path, patience=timedelta(seconds=2))
    yield siege
    await siege.end()


async def test_a_plaintext_room_is_told_why_and_left(siege: Siege) -> None:
    """One sentence in clear, in both languages, and nothing else."""
    room_id = await siege.anna.create_room("Plain", [siege.bot.user_id], encrypted=False)
    await siege.expect("refused", room_id=room_id, reason="room_not_encrypted")
    await siege.until(lambda: siege.bot.user_id not in siege.anna.members(room_id), "the bot to leave")
    said = [path for path, _ in siege.meddler.requests if "/send/m.room.message/" in path]
    assert len(said) == 1
    await siege.still_works()


async def test_invites_of_others_are_declined(siege: Siege) -> None:
    """A stranger's, and an enrolled officer's without a role that may invite."""
    for enrolled in (False, True):
        other = await siege.hostile(f"otto{enrolled}".lower(), enrolled=enrolled, join=False)
        encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM}}
        body = {"invite": [siege.bot.user_id], "initial_state": [encryption]}
        room_id = (await other.call("POST", "/createRoom", body))["room_id"]
        await siege.expect("refused", room_id=room_id, reason="invite_not_allowed")
        await siege.still_works()
        assert not siege.bot.members(room_id)


@pytest.mark.parametrize("version", ["1", "6", "10", "11", "12"])
async def test_every_room_version_works(siege: Siege, version: str) -> None:
    """Also version 12, whose room ids name no server."""
    boss = await siege.hostile("boss", join=False)
    await siege.enrol_role(boss.user_id, "supervisor")
    encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM}}
    body = {"invite": [siege.bot.user_id], "initial_state": [encryption], "room_version": version}
    room_id = (await boss.call("POST", "/createRoom", body))["room_id"]
    row = await siege.expect("joined", room_id=room_id)
    assert row.content == {"by": boss.user_id, "direct": False, "encrypted": True}
    await boss.share(room_id, siege.bot.user_id, siege.bot.device_id)
    assert (await siege.row(await boss.send(room_id, boss.message(room_id, "!ping")))).kind == "message"
    await siege.bot.send(room_id, TEXT, clock.token())


async def test_kicks_bans_and_tombstones_are_rows(siege: Siege) -> None:
    """And none ends the loop, nor does a message to a room that the bot was put out of."""
    boss = await Hostile.open(siege.homeserver.url, siege.anna.user_id, PASSWORD, keys=False)
    path = f"/rooms/{siege.room_id}"
    await boss.call("PUT", f"{path}/state/m.room.tombstone", {"replacement_room": "!new:example.org"})
    await siege.expect("left", reason="tombstoned")
    await siege.still_works()
    second = await siege.anna.create_room("Second", [siege.bot.user_id])
    await siege.expect("joined", room_id=second)
    for room_id, act, reason in ((siege.room_id, "kick", "kicked"), (second, "ban", "banned")):
        await boss.call("POST", f"/rooms/{room_id}/{act}", {"user_id": siege.bot.user_id})
        row = await siege.expect("left", room_id=room_id, reason=reason)
        assert row.content["by"] == siege.anna.user_id
        with pytest.raises(SendRefused, match="not_in_room"):
            await siege.bot.send(room_id, TEXT, clock.token())
    siege.room_id = await siege.anna.create_room("Third", [siege.bot.user_id])
    await siege.expect("joined", room_id=siege.room_id)
    await siege.still_works()
    await boss.close()


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is down"])
async def test_a_forgotten_room_is_no_end(siege: Siege, running: bool) -> None:
    """Left and forgotten with the bot's own token: nothing is sent there, and it comes back."""
    gone = await siege.anna.create_room("Gone", [siege.bot.user_id])
    await siege.expect("joined", room_id=gone)
    await siege.bot.send(gone, TEXT, clock.token())
    if not running:
        await siege.stop()
    server = Homeserver(siege.homeserver.url)
    server.token = await siege.token()
    for act in ("leave", "forget"):
        await server.call("POST", server.path("rooms", gone, act), {})
    await server.close()
    if not running:
        await siege.start()
    await siege.still_works()
    with pytest.raises(SendRefused) as refused:
        await siege.bot.send(gone, TEXT, clock.token())
    assert refused.value.permanent
    await siege.anna.invite(gone, siege.bot.user_id)
    await siege.until(
        lambda: siege.anna.members(gone).get(siege.bot.user_id) == "join", "the bot to join anew"
    )
    await siege.still_works()
    await siege.bot.send(gone, TEXT, clock.token())


async def test_people_who_come_and_go_are_rows(siege: Siege) -> None:
    """Invite, join and leave of others; who left gets no further keys."""
    otto = await siege.hostile("otto")
    await siege.expect("member", user_id=otto.user_id, membership="invite", by=siege.anna.user_id)
    await siege.expect("member", user_id=otto.user_id, membership="join")
    await siege.bot.send(siege.room_id, TEXT, clock.token())
    first = [each for each in await otto.received() if each["sender"] == siege.bot.user_id]
    assert [each["type"] for each in first] == ["m.room.encrypted"]
    await otto.call("POST", f"/rooms/{siege.room_id}/leave", {})
    await siege.expect("member", user_id=otto.user_id, membership="leave")
    await siege.still_works()
    assert [each for each in await otto.received() if each["sender"] == siege.bot.user_id] == []


async def test_a_key_that_comes_in_time_opens_what_waited(siege: Siege) -> None:
    """Across a restart too; one that never comes gives one row."""
    otto = await siege.hostile("otto")
    event_id = await otto.send(siege.room_id, otto.message(siege.room_id, "!ping"))
    await siege.still_works()
    health = await siege.bot.health()
    assert health.awaited == 1
    assert health.skew is not None
    assert abs(health.skew) < timedelta(seconds=5), "the homeserver's clock is ours"
    await siege.stop()
    await otto.olm(
        siege.bot.user_id, siege.bot.device_id, "m.room_key", otto.room_key(siege.room_id)
    )  # from the next message on: too late for the first
    await siege.start()
    row = await siege.row(event_id)
    assert row.kind == "undecryptable"
    second = await otto.send(siege.room_id, otto.message(siege.room_id, "!ping"))
    assert (await siege.row(second)).kind == "message"
    key = otto.room_key(siege.room_id)
    await siege.stop()
    otto.renew()
    late = otto.room_key(siege.room_id)
    third = await otto.send(siege.room_id, otto.message(siege.room_id, "!ping"))
    await siege.start()
    await siege.still_works()
    await otto.olm(siege.bot.user_id, siege.bot.device_id, "m.room_key", late)
    assert (await siege.row(third)).kind == "message"
    assert key["session_id"] != late["session_id"]


async def test_what_was_said_while_the_bot_was_down_is_taken_in_whole(siege: Siege) -> None:
    """A gap longer than one timeline, in order, each once."""
    await siege.still_works()
    await siege.stop()
    sent = [
        await siege.anna.send(siege.room_id, {"msgtype": "m.text", "body": f"!n {at}"}, clock.token())
        for at in range(70)
    ]
    await siege.start()
    await siege.row(sent[-1])
    ours = [row.event_id for row in siege.rows if row.content.get("body", "").startswith("!n ")]
    assert ours == sent


async def test_the_same_transaction_sends_the_same_bytes(siege: Siege) -> None:
    """Also when the first answer was lost and the bot began anew; and the room knows which event it is."""
    path = f"/rooms/{siege.room_id}/send/m.room.encrypted/once"
    siege.meddler.failing.add("/send/m.room.encrypted/once")
    with pytest.raises(Unreachable):
        await siege.bot.send(siege.room_id, TEXT, "once")
    siege.meddler.failing.clear()
    await siege.stop()
    await siege.start()
    event_id = await siege.bot.send(siege.room_id, {"msgtype": "m.text", "body": "other"}, "once")
    assert await siege.bot.find_sent(siege.room_id, "once") == event_id
    assert await siege.bot.find_sent(siege.room_id, "never") is None
    bodies = [body for where, body in siege.meddler.requests if where.endswith(path)]
    assert len(bodies) > 1
    assert all(body == bodies[0] for body in bodies)


async def test_a_served_room_has_its_keys_before_anything_is_said(siege: Siege) -> None:
    """After a member has come, and after one has left: the message itself waits for no key."""
    otto = await siege.hostile("otto")
    async with siege.bots.transaction() as tx:
        await tx.rooms.change(siege.room_id, name="ops", served=True)
    emma = await siege.hostile("emma")
    assert [each["type"] for each in await emma.opened(siege.bot.user_id, 1)] == ["m.room_key"]
    await emma.call("POST", f"/rooms/{siege.room_id}/leave", {})
    first, second = await otto.opened(siege.bot.user_id, 2)
    assert first["content"]["session_id"] != second["content"]["session_id"]
    siege.meddler.requests.clear()
    await siege.bot.send(siege.room_id, TEXT, clock.token())
    assert [path for path, _ in siege.meddler.requests if "/sendToDevice/" in path] == []


async def test_an_olm_channel_that_broke_is_begun_anew(siege: Siege) -> None:
    """Once: the next message that does not open changes nothing; keys sent in the new session arrive."""
    otto = await siege.hostile("otto")
    await otto.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    for _ in range(2):
        await otto.break_channel(siege.bot.user_id, siege.bot.device_id)
        await siege.still_works()
    await siege.bot.send(siege.room_id, TEXT, clock.token())
    sent = [each["type"] for each in await otto.opened(siege.bot.user_id, 2)]
    assert sorted(sent) == ["m.dummy", "m.room_key"]
    otto.renew()
    await otto.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    event_id = await otto.send(siege.room_id, otto.message(siege.room_id, "!ping"))
    assert (await siege.row(event_id)).kind == "message"


async def test_a_session_is_kept_over_a_restart_and_ends_after_its_messages(siege: Siege) -> None:
    """R10: the room's own limit counts, over restarts too."""
    boss = await Hostile.open(siege.homeserver.url, siege.anna.user_id, PASSWORD, keys=False)
    content = {"algorithm": MEGOLM, "rotation_period_msgs": 3, "rotation_period_ms": 10**9}
    await boss.call("PUT", f"/rooms/{siege.room_id}/state/m.room.encryption", content)
    await boss.close()
    await siege.still_works()  # one message
    await siege.bot.send(siege.room_id, TEXT, "a")
    await siege.stop()
    await siege.start()
    await siege.bot.send(siege.room_id, TEXT, "b")
    await siege.bot.send(siege.room_id, TEXT, "c")
    sent = [body for where, body in siege.meddler.requests if "/send/m.room.encrypted/" in where]
    sessions = [body["session_id"] for body in sent]
    assert len(sessions) == 4
    assert sessions[0] == sessions[1] == sessions[2] != sessions[3]


async def test_a_direct_room_is_made_once_and_is_encrypted(siege: Siege) -> None:
    """The same one again, also after a restart."""
    room_id = await siege.bot.direct_room(siege.anna.user_id)
    await siege.bot.send(room_id, TEXT, clock.token())
    assert await siege.bot.direct_room(siege.anna.user_id) == room_id
    await siege.stop()
    await siege.start()
    assert await siege.bot.direct_room(siege.anna.user_id) == room_id
    assert siege.bot.members(room_id) == {siege.bot.user_id: "join", siege.anna.user_id: "invite"}


async def test_a_revoked_token_ends_in_a_clear_state(siege: Siege) -> None:
    """Not in a spin; a new device is then signed by the same identity (R4)."""
    old = siege.bot.device_id
    server = Homeserver(siege.homeserver.url)
    server.token = await siege.token()
    await server.call("POST", server.path("logout"), {})
    with pytest.raises(SignedOut, match="sign in anew"):
        await siege.ended()
    assert (await siege.bot.health()).state == "ended"
    await siege.stop()
    with pytest.raises(SignedOut):
        await siege.start()
    await forget_device(siege.bots)
    await siege.start()
    assert siege.bot.device_id != old
    assert siege.bot.chain_ok
    await siege.still_works()
    await server.close()


async def test_signing_in_says_in_one_line_what_is_wrong(
    siege: Siege, homeserver: EmbeddedHomeserver
) -> None:
    """Wrong password, no homeserver, another's database, and an identity that is not ours."""
    empty = await siege.database("empty")
    user = await siege.register("user")
    with pytest.raises(LoginRefused):
        await Session.open(empty, Account(homeserver.url, user, "wrong"), Circle())
    with pytest.raises(LoginRefused):
        await Session.open(empty, Account(homeserver.url, user), Circle())
    with pytest.raises(ForeignIdentity, match="belongs to"):
        await Session.open(siege.bots, Account(homeserver.url, user, PASSWORD), Circle())
    client = await Hostile.open(homeserver.url, user, PASSWORD)
    before = await client.call("GET", "/devices")
    with pytest.raises(ForeignIdentity, match="tandem identity recover.* account of its own"):
        await Session.open(empty, Account(homeserver.url, user, PASSWORD), Circle())
    after = await client.call("GET", "/devices")
    assert len(after["devices"]) == len(before["devices"]), "what was refused leaves no device behind"
    await client.close()
    fresh = await siege.register("fresh")
    session = await Session.open(empty, Account(homeserver.url, fresh, PASSWORD), Circle())
    assert session.chain_ok, "and the database is anyone's still"
    await session.close()


async def test_the_identity_is_recovered_from_secret_storage(
    siege: Siege, homeserver: EmbeddedHomeserver
) -> None:
    """R3: what the recovery key opens are the very seeds."""
    text = await siege.bot.make_recovery_key()
    server = Homeserver(homeserver.url)
    server.token = await siege.token()
    seeds = await read_seeds(server, siege.bot.user_id, text)
    await server.close()
    async with siege.bots.transaction() as tx:
        assert await tx.crypto.value("cross_signing_seeds") == seeds


async def test_an_unenrolled_identity_by_fingerprint_is_not_pinned(siege: Siege) -> None:
    """`pinning = "fingerprint"`: who has no pin is not heard, and gets no keys."""
    await siege.stop()
    siege.circle = EnrolledCircle("fingerprint")
    await siege.start()
    otto = await siege.hostile("otto")
    await otto.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    event_id = await otto.send(siege.room_id, otto.message(siege.room_id, "!ping"))
    await siege.refused(event_id, "not_pinned")
    await siege.still_works()  # Anna was pinned before


async def test_the_loop_outlives_a_homeserver_that_fails(siege: Siege) -> None:
    """500s on /sync, then answers that are no JSON objects or lack all parts."""
    siege.meddler.failing.add("/sync")
    siege.meddler.inject(next_batch=5)
    await siege.until(lambda: siege.bot.state == "unreachable", "the loop to notice")
    siege.meddler.failing.clear()
    siege.meddler.inject(rooms=[], to_device="x", device_lists=7, device_one_time_keys_count=[])
    siege.meddler.inject(
        rooms={"join": {siege.room_id: None, "!x": [], "": {"timeline": 5, "state": {"events": 1}}}}
    )
    siege.meddler.inject(
        rooms={"invite": {"!y": 1}, "leave": {"!z": None}}, to_device={"events": [None, 1, {}]}
    )
    odd = [{"type": []}, {"type": "m.room.member", "state_key": {}}, {"sender": 5, "event_id": 7}]
    siege.meddler.inject(rooms={"join": {siege.room_id: {"timeline": {"events": odd}}}})
    await siege.still_works()
