"""Me: ping, whoami, status, language and zone."""

from datetime import timedelta

import pytest

from bot.kernel.health import Health
from bot.kernel.vocabulary import Role
from commands.me import delay, troubles
from storage.inbox import Received
from storage.transaction import Database
from tests.fakes import NOON, unreachable
from tests.story import Story

WELL = Health(NOON - timedelta(hours=2), NOON - timedelta(seconds=4), True, 50, 0, 0, timedelta(0))


@pytest.mark.parametrize(
    ("changed", "trouble"),
    [
        ({}, None),
        ({"own_chain": False}, "my own identity does not hold together, so I send nothing"),
        ({"synced_at": None}, "I have no word from the homeserver yet"),
        ({"synced_at": NOON - timedelta(minutes=3)}, "no word from the homeserver for {time}"),
        ({"one_time_keys": 0}, "my one-time keys are used up, so new devices cannot reach me"),
        ({"violations": 1}, "{count} member shows another identity than the pinned one"),
        ({"skew": timedelta(minutes=-2)}, "my clock is {time} off"),
        ({"skew": None}, None),
        ({"undecryptable": 7}, None),
    ],
)
def test_each_trouble_has_its_words(changed: dict[str, object], trouble: str | None) -> None:
    health = Health(**{**vars(WELL), **changed})
    assert [each.one for each in troubles(health, 0, None, NOON)] == ([trouble] if trouble else [])


def test_what_waits_too_long_to_be_sent_is_a_trouble() -> None:
    assert troubles(WELL, 3, NOON - timedelta(seconds=59), NOON) == []
    assert [each.count for each in troubles(WELL, 3, NOON - timedelta(seconds=61), NOON)] == [3]


@pytest.mark.parametrize("took", [timedelta(0), timedelta(seconds=-1), None])
def test_a_delay_that_clocks_disagree_about_is_not_told(took: timedelta | None) -> None:
    assert delay(None if took is None else NOON - took, NOON) is None


async def test_ping_says_how_long_the_message_took(database: Database) -> None:
    story = await Story.begin(database)
    anna = await story.member("anna", Role.OFFICER)
    ops = await story.room("ops", members=[anna])
    sent = story.clock.at - timedelta(milliseconds=120)
    content = {"body": "!ping", "msgtype": "m.text", "device_id": "ANNADEV", "reply_to": None, "thread": None}
    async with database.transaction() as tx:
        await tx.inbox.add(Received("$late", ops, anna.user_id, "message", content, sent, story.clock.at))
    await story.settle()
    assert story.said(ops) == ["pong · 120 ms since you sent it"]


async def test_ping_answers_members_where_no_room_is_served_and_nobody_else(database: Database) -> None:
    story = await Story.begin(database)
    anna, eve = await story.member("anna", Role.OFFICER), await story.stranger("eve")
    lobby = await story.room("lobby", members=[anna, eve], served=False)
    assert await anna.says(lobby, "!ping") == "pong"
    assert await eve.says(lobby, "!ping") == ""


async def test_whoami_says_what_is_known_and_what_is_recorded(database: Database) -> None:
    story = await Story.begin(database)
    anna = await story.member("anna", Role.OFFICER, Role.LIAISON, language="en", zone="America/Regina")
    ops = await story.room("ops", members=[anna])
    assert (await anna.says(ops, "!whoami")).split("\n") == [
        "You are Anna (@anna:rcmp.example) · RCMP · active member",
        "• Roles: officer, liaison",
        "• Identity pinned, 11:00 CST (17:00Z): key- anna",
        "• Language: English · Zone: America/Regina",
        "• Enrolled 11:00 CST (17:00Z) by @root:agency.example",
        "• This device: ANNADEV",
        "• I record of each command: when, which device, which room, the outcome; never its text.",
        "• I keep, encrypted, until my operator deletes it: what you type to me, what I answer.",
    ]


async def test_status_is_one_sentence_for_officers_and_figures_for_admins(database: Database) -> None:
    story = await Story.begin(database, health=lambda: WELL)
    anna, ada = await story.member("anna", Role.OFFICER), await story.member("ada", Role.ADMIN)
    ops = await story.room("ops", members=[anna, ada])
    assert await anna.says(ops, "!status") == "All well.\n• 2 members in 1 room"
    shown = await ada.says(ops, "!status")
    kind = "PostgreSQL" if database.engine.dialect.name == "postgresql" else "SQLite"
    assert shown.split("\n") == [
        "All well.",
        "• 2 members in 1 room",
        f"• Waiting to be sent: 0 · Database: {kind}",
        "• Heard from the homeserver 4 s ago",
        "• One-time keys: 50 · Messages I could not read: 0",
        "• Running for 2 h",
        "• Audit record: not signed yet (1 entries not sealed)",
    ]


async def test_status_puts_the_gravest_trouble_first(database: Database) -> None:
    ill = Health(NOON, None, False, 50, 0, 0)
    story = await Story.begin(database, health=lambda: ill)
    anna = await story.member("anna", Role.OFFICER)
    ops = await story.room("ops", members=[anna])
    assert (await anna.says(ops, "!status")).split("\n")[:2] == [
        "Trouble: my own identity does not hold together, so I send nothing.",
        "• I have no word from the homeserver yet",
    ]


async def test_status_tells_since_when_messages_wait(database: Database) -> None:
    story = await Story.begin(database, health=lambda: WELL)
    anna = await story.member("anna", Role.OFFICER)
    ops = await story.room("ops", members=[anna])
    story.messenger.fails = unreachable
    await anna.says(ops, "!ping")
    story.clock.turn(timedelta(seconds=100))
    await anna.says(ops, "!status")
    story.messenger.fails = lambda room_id, txn_id: None
    await story.pass_time(minutes=2)
    assert story.said(ops)[-1].startswith("Trouble: 1 message waits for 1 min.")


async def test_the_signed_audit_record_is_shown_to_admins(database: Database) -> None:
    story = await Story.begin(database, health=lambda: WELL)
    ada = await story.member("ada", Role.ADMIN)
    ops = await story.room("ops", members=[ada])
    await ada.says(ops, "!ping")
    async with database.transaction() as tx:
        await tx.audit.seal()
        await tx.audit.sign(story.clock.at)
    story.clock.turn(timedelta(minutes=5))
    assert "signed 5 min ago (0 entries not sealed)" in await ada.says(ops, "!status")


async def test_a_language_counts_for_its_own_answer_and_every_later_one(database: Database) -> None:
    story = await Story.begin(database)
    luc = await story.member("luc", Role.OFFICER)
    ops = await story.room("ops", members=[luc])
    assert await luc.says(ops, "!lang fr") == "Désormais, je vous parle en français."
    assert (await luc.says(ops, "!quisuisje")).startswith("Vous êtes Luc (@luc:rcmp.example)")
    assert await luc.says(ops, "!langue en") == "From now on I speak English with you."
    assert "the language of each room" in await luc.says(ops, "!lang auto")
    async with database.transaction() as tx:
        member = await tx.members.find(luc.user_id)
    assert member is not None
    assert member.language is None


async def test_a_zone_is_echoed_with_its_own_clock(database: Database) -> None:
    story = await Story.begin(database)
    anna = await story.member("anna", Role.OFFICER)
    ops = await story.room("ops", members=[anna], zone="America/Toronto")
    answer = await anna.says(ops, "!tz regina")
    assert answer == "Your zone is America/Regina: it is 11:00 CST (17:00Z) there."
    assert "11:00 CST (17:00Z)" in await anna.says(ops, "!whoami")
    assert await anna.says(ops, "!tz auto") == "Times are in the zone of each room for you."
    assert "12:00 EST (17:00Z)" in await anna.says(ops, "!whoami")


async def test_an_abbreviation_is_answered_with_a_choice(database: Database) -> None:
    story = await Story.begin(database)
    anna = await story.member("anna", Role.OFFICER)
    ops = await story.room("ops", members=[anna])
    answer = await anna.says(ops, "!tz CST")
    assert "One of America/Winnipeg, America/Chicago, America/Regina" in answer
    assert answer.endswith("!tz America/Winnipeg")
    assert "1 Jan" not in await anna.says(ops, "!tz St. John's")
