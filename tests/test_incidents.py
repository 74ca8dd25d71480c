"""Incidents: reactions, edits, input that did not count, people and rooms."""

from datetime import timedelta

import pytest

from bot.kernel.vocabulary import Role
from storage.audit import Entry
from storage.transaction import Database
from tests.story import Officer, Story
from tests.toys import toys


@pytest.fixture
async def story(database: Database) -> Story:
    """A bot that knows toys only."""
    return await Story.begin(database, [toys])


@pytest.fixture
async def anna(story: Story) -> Officer:
    return await story.member("anna", Role.OFFICER, zone="America/Toronto")


@pytest.fixture
async def carl(story: Story) -> Officer:
    return await story.member("carl", Role.OFFICER, agency="CBP")


@pytest.fixture
async def ops(story: Story, anna: Officer, carl: Officer) -> str:
    return await story.room("ops", members=[anna, carl])


async def last(story: Story) -> Entry:
    return (await story.audit())[-1]


async def test_a_reaction_reaches_its_capability_and_can_be_taken_back(
    story: Story, anna: Officer, carl: Officer
) -> None:
    room = await story.room("ops", members=[anna, carl], reactions=True)
    card = await anna.says(room, "!toy small Ball to=ops")
    await carl.reacts(room, card, "✅")
    assert story.now_reads(card) == f"{carl.user_id} likes it"
    await carl.redacts(room, story.last_event)
    assert story.now_reads(card) == f"{carl.user_id} no longer likes it"
    eve = await story.stranger("eve")
    await eve.reacts(room, card, "✅")
    assert story.now_reads(card) == f"{carl.user_id} no longer likes it"
    assert (await last(story)).reason_code == "not_enrolled"


async def test_an_edited_command_is_not_run_again(
    story: Story, anna: Officer, carl: Officer, ops: str
) -> None:
    await anna.says(ops, "!toy show T-1")
    command = story.last_event
    assert await anna.edits(ops, command, "!toy show T-2") == "I do not run edited commands. Send it anew."
    assert await carl.edits(ops, command, "!toy show T-2") == ""
    await anna.says(ops, "good morning")
    assert await anna.edits(ops, story.last_event, "good evening") == ""


async def test_chatter_that_is_edited_into_a_command_is_not_run_either(
    story: Story, anna: Officer, carl: Officer, ops: str
) -> None:
    await anna.says(ops, "toy show T-1")
    message = story.last_event
    assert await anna.edits(ops, message, "!toy show T-1") == "I do not run edited commands. Send it anew."
    assert (await last(story)).reason_code == "edited"
    assert await carl.edits(ops, message, "!toy show T-1") == ""
    assert "Send it anew" in await anna.edits(ops, "$before the bot came", "!toy show T-1")


async def test_a_redacted_command_stays_done(story: Story, anna: Officer, ops: str) -> None:
    await anna.says(ops, "!toy show T-1")
    assert await anna.redacts(ops, story.last_event) == ""
    assert (await last(story)).action == "message.redact"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "unverified_device",
            "I received this from a device its owner has not verified (ABCDEFGHIJ). I did not act."
            " Verify it, then resend.",
        ),
        ("clear_text", "That message was not encrypted. I did not act. Turn on encryption, then resend."),
        ("replayed", ""),
        ("malformed", ""),
    ],
)
async def test_input_that_did_not_count_is_explained_once_a_day(
    story: Story, anna: Officer, ops: str, reason: str, said: str
) -> None:
    content = {"reason": reason, "device_id": "ABCDEFGHIJ", "event_type": "m.room.encrypted"}
    assert await story.receive("refused", ops, anna.user_id, content) == said
    assert await story.receive("refused", ops, anna.user_id, content) == ""
    assert [entry.reason_code for entry in await story.audit()] == [reason, reason]
    story.clock.turn(timedelta(days=1))
    assert await story.receive("refused", ops, anna.user_id, content) == said


async def test_a_stranger_whose_input_is_refused_gets_silence(story: Story, ops: str) -> None:
    content = {"reason": "unverified_device", "device_id": "X", "event_type": "m.room.encrypted"}
    assert await story.receive("refused", ops, "@eve:elsewhere.example", content) == ""
    assert (await last(story)).reason_code == "unverified_device"


async def test_who_cannot_be_decrypted_is_asked_to_resend(story: Story, anna: Officer, ops: str) -> None:
    content = {"device_id": "ANNADEV", "session_id": "s"}
    answer = await story.receive("undecryptable", ops, anna.user_id, content)
    assert answer.endswith("Please send it again.")
    assert await story.receive("undecryptable", ops, anna.user_id, content) == ""


async def test_another_identity_is_told_to_admins_and_supervisors_once(
    story: Story, anna: Officer, ops: str
) -> None:
    ada = await story.member("ada", Role.ADMIN)
    sue = await story.member("sue", Role.SUPERVISOR, Role.ADMIN)
    refused = {"reason": "identity_changed", "device_id": "EVIL", "event_type": "m.room.encrypted"}
    assert (await story.receive("refused", ops, anna.user_id, refused)).startswith("Your identity is not")
    violation = {"user_id": anna.user_id, "old": "a", "new": "b"}
    await story.receive("violation", ops, anna.user_id, violation)
    for told in (story.direct(ada), story.direct(sue)):
        assert len(told) == 1
        assert anna.user_id in told[0]
        assert told[0].rings


async def test_the_bot_says_on_arrival_what_to_do_next(story: Story, anna: Officer) -> None:
    room = await story.room("new", members=[anna, await story.stranger("eve")], served=False)
    await story.receive(
        "joined", room, anna.user_id, {"by": anna.user_id, "direct": False, "encrypted": True}
    )
    (said,) = story.said(room)
    assert "!room serve NAME" in said
    assert "@eve:elsewhere.example" in said
    assert anna.user_id not in said


async def test_who_joins_without_being_enrolled_is_named(story: Story, anna: Officer, ops: str) -> None:
    eve = {"user_id": "@eve:elsewhere.example", "membership": "join", "by": "@eve:elsewhere.example"}
    async with story.database.transaction() as tx:
        await tx.rooms.arrive(ops, "@eve:elsewhere.example")
    await story.receive("member", ops, "@eve:elsewhere.example", eve)
    said = story.said(ops)[0]
    assert said.startswith("Something is wrong with this room:")
    assert "1 person here is not enrolled" in said
    assert "@eve:elsewhere.example" in said
    await story.receive("member", ops, anna.user_id, eve | {"user_id": anna.user_id})
    await story.receive("left", ops, anna.user_id, {"reason": "kicked"})
    assert len(story.said(ops)) == 1
