"""Attacks by way of devices: other keys under an old id, and a device that goes meanwhile."""

import asyncio

from vodozemac import Account

from bot.kernel import clock
from tests.e2e.hostile import Hostile, Json
from tests.e2e.siege import Siege


def resign(owner: Hostile, keys: Json) -> Json:
    """These device keys, vouched for by their owner's identity."""
    assert owner.identity is not None
    owner.identity.self_signing.add_signature(keys, owner.user_id)
    return keys


async def test_s18_a_device_whose_keys_change_is_refused_and_reported_once(siege: Siege) -> None:
    """S18: the same signing key with another Curve25519 key, signed by the member's own identity."""
    mallory = await siege.hostile()
    await mallory.share(siege.room_id, siege.bot.user_id, siege.bot.device_id)
    row = await siege.row(await mallory.send(siege.room_id, mallory.message(siege.room_id, "!ping")))
    assert row.kind == "message"
    keys = resign(mallory, mallory.device_keys(curve25519=Account().curve25519_key.to_base64()))

    def swap(answer: Json) -> None:
        answer["device_keys"].get(mallory.user_id, {})[mallory.device_id] = keys

    siege.meddler.alter["/keys/query"] = swap
    for _ in range(2):
        siege.meddler.inject(device_lists={"changed": [mallory.user_id]})
        await siege.still_works()
    await siege.expect("device", user_id=mallory.user_id, reason="device_changed")
    assert sum(row.kind == "device" for row in siege.rows) == 1
    event_id = await mallory.send(siege.room_id, mallory.message(siege.room_id, "!ping"))
    await siege.refused(event_id, "unverified_device")


async def test_s16_a_new_unsigned_device_of_a_member_is_on_record(siege: Siege) -> None:
    """S16: it need not speak for that."""
    thief = await siege.device_of(siege.anna.user_id)
    row = await siege.expect("device", device_id=thief.device_id)
    assert (row.content["user_id"], row.content["reason"]) == (siege.anna.user_id, "unverified_device")


async def test_s20_a_device_that_goes_while_its_key_is_on_the_way_reads_nothing(siege: Siege) -> None:
    """S20: the keys are held back until the bot knows that the device is gone; the message has others."""
    mallory = await siege.hostile(join=False)
    gone = await siege.device_of(mallory.user_id)
    keys = resign(mallory, gone.device_keys())
    await gone.call("POST", "/keys/signatures/upload", {gone.user_id: {gone.device_id: keys}})
    await siege.anna.invite(siege.room_id, mallory.user_id)
    await mallory.join(siege.room_id)
    await siege.until(lambda: siege.bot.members(siege.room_id).get(mallory.user_id) == "join", "the join")
    said = {"msgtype": "m.text", "body": "x"}
    async with asyncio.TaskGroup() as group, siege.meddler.holding("/sendToDevice/m.room.enc") as caught:
        group.create_task(siege.bot.send(siege.room_id, said, clock.token()))
        await caught.wait()
        async with siege.bots.transaction() as tx:
            shared = await tx.crypto.outbound(siege.room_id)
        await gone.call("POST", "/logout", {})
        await knows_it_is_gone(siege, gone)
    [sent] = [body for path, body in siege.meddler.requests if "/send/m.room.encrypted/" in path]
    assert shared is not None
    assert sent["session_id"] != shared.session_id


async def knows_it_is_gone(siege: Siege, gone: Hostile) -> None:
    """Wait until the bot counts on this device no more."""
    async with asyncio.timeout(60):
        while True:
            async with siege.bots.transaction() as tx:
                known = (await tx.crypto.device_lists([gone.user_id])).get(gone.user_id)
            if known is None or known.outdated or gone.device_id not in str(known.document):
                return
            await siege.bot.next_round()
