"""The JavaScript officers themselves: what they say arrives encrypted, without a shield."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot.demo.homeserver import EmbeddedHomeserver
from tests.e2e.js_officer import JsOfficer, JsOfficerError, Mode

PASSWORD = "a long password"


async def signed_in(homeserver: EmbeddedHomeserver, name: str, mode: Mode) -> JsOfficer:
    """A new officer with a device and an identity."""
    await homeserver.register(name, PASSWORD)
    officer = await JsOfficer.start()
    try:
        await officer.login(homeserver.url, name, PASSWORD, mode)
    except BaseException:
        await officer.close()
        raise
    return officer


@pytest.fixture(scope="module")
async def anna(homeserver: EmbeddedHomeserver) -> AsyncIterator[JsOfficer]:
    """An officer whose client excludes insecure devices."""
    async with await signed_in(homeserver, "js-anna", "only-signed-devices") as officer:
        yield officer


@pytest.fixture(scope="module")
async def marc(homeserver: EmbeddedHomeserver) -> AsyncIterator[JsOfficer]:
    """Another."""
    async with await signed_in(homeserver, "js-marc", "only-signed-devices") as officer:
        yield officer


async def test_two_officers_read_each_other_without_a_shield(anna: JsOfficer, marc: JsOfficer) -> None:
    room = await anna.create_room("Bridge", invite=[marc.user_id])
    await marc.join(room)
    asked = await anna.send(room, "Is the bridge closed?")
    [question] = await marc.wait(room, contains="bridge")
    assert question.event_id == asked
    answered = await marc.send(room, "It is.", reply_to=asked)
    [answer] = await anna.wait(room, reply_to=asked, sender=marc.user_id)
    assert answer.event_id == answered
    assert answer.body == "It is."
    for seen in (question, answer):
        assert seen.encrypted
        assert seen.failure is None
        assert (seen.shield_colour, seen.shield_reason) == (0, None)


async def test_edits_reactions_and_redactions_arrive(anna: JsOfficer, marc: JsOfficer) -> None:
    room = await anna.create_room("Ferry", invite=[marc.user_id])
    await marc.join(room)
    event = await anna.send(room, "The ferry sails at 7")
    await anna.edit(room, event, "The ferry sails at 8")
    [edited] = await marc.wait(room, contains="at 8")
    assert edited.event_id == event
    assert edited.edited
    reaction = await marc.react(room, event, "✅")
    await anna.redact(room, event)
    await anna.send(room, "Forget it")
    await marc.wait(room, contains="Forget it")
    after = {seen.event_id: seen for seen in await marc.messages(room)}
    assert after[reaction].type == "m.reaction"
    assert not after[reaction].encrypted
    assert after[event].redacted


async def test_a_second_device_without_the_identity_is_not_read(
    homeserver: EmbeddedHomeserver, anna: JsOfficer, marc: JsOfficer
) -> None:
    room = await anna.create_room("Tunnel", invite=[marc.user_id])
    await marc.join(room)
    async with await JsOfficer.start() as unsigned:
        await unsigned.login(homeserver.url, "js-marc", PASSWORD, "all-devices")
        event = await unsigned.send(room, "from a device that nobody signed")
        assert await anna.signed_devices(marc.user_id) == {marc.device_id: True, unsigned.device_id: False}
        # Said after it: once this has come, so has that.
        await marc.send(room, "from a device that I signed")
        await anna.wait(room, contains="that I signed")
        [seen] = [seen for seen in await anna.messages(room) if seen.event_id == event]
        assert seen.failure == "UNSIGNED_SENDER_DEVICE"
        await unsigned.logout_device()


async def test_what_does_not_come_is_an_error_and_not_a_hang(anna: JsOfficer) -> None:
    room = await anna.create_room("Silence")
    with pytest.raises(JsOfficerError, match="nothing came within 0.2 s"):
        await anna.wait(room, contains="never said", within=timedelta(seconds=0.2))
