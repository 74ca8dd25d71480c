"""The dispatcher: each event has its effect once, and each answer says what to do."""

import pytest
from sqlalchemy import func, select

from bot.kernel.vocabulary import Role
from storage.audit import Entry
from storage.inbox import Received
from storage.outbox import outbox
from storage.transaction import Database
from tests.story import BOT, Officer, Story
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


async def test_a_command_is_answered_by_a_reply_and_recorded(story: Story, anna: Officer, ops: str) -> None:
    answer = await anna.says(ops, "!toy show T-1")
    assert answer == "T-1 shown"
    assert answer.reply_to == story.last_event
    assert (answer.rings, answer.mentions) == (False, ())
    entry = await last(story)
    assert (entry.type, entry.action, entry.outcome, entry.object) == ("command", "toy.show", "ok", "T-1")
    assert (entry.actor, entry.device_id, entry.agency) == (anna.user_id, "ANNADEV", "RCMP")
    assert (entry.room_id, entry.event_id, entry.device_verified) == (ops, story.last_event, True)


async def test_an_answer_stays_in_the_thread_where_it_was_asked(anna: Officer, ops: str) -> None:
    answer = await anna.says(ops, "!toy show T-1", thread="$root")
    assert answer.thread == "$root"
    assert answer.reply_to != "$root"


async def test_a_reply_supplies_the_reference(story: Story, anna: Officer, ops: str) -> None:
    card = await anna.says(ops, "!toy small Ball to=ops")
    assert await anna.replies(ops, card, "!toy show") == "T-1 shown"
    quoted = f"> <{BOT}> T-1 small\n\n!toy show"
    assert await anna.says(ops, quoted, reply_to=card.event_id) == "T-1 shown"
    assert await anna.says(ops, "!toy show", thread=card.event_id) == "T-1 shown"


async def test_a_reply_in_another_room_supplies_none(story: Story, anna: Officer, ops: str) -> None:
    card = await anna.says(ops, "!toy small Ball to=ops")
    assert (await anna.replies(story.direct_room(anna), card, "!toy show")).startswith("The toy is missing")


async def test_a_person_is_found_by_her_pill(story: Story, anna: Officer, carl: Officer, ops: str) -> None:
    pill = 'give <a href="https://matrix.to/#/%40carl%3Acbp.example">Carl of CBP</a> T-1'
    assert await anna.says(ops, "!give Carl of CBP T-1", formatted_body=pill) == "T-1 is given"
    assert story.direct(carl)[-1] == "T-1 is yours"
    assert story.direct(carl)[-1].rings


async def test_an_event_that_comes_twice_has_its_effect_once(story: Story, anna: Officer, ops: str) -> None:
    await anna.says(ops, "!toy show T-1")
    said, entries = story.said(ops), await story.audit()
    content = {"body": "!toy show T-1", "device_id": "ANNADEV"}
    again = Received(story.last_event, ops, anna.user_id, "message", content, story.clock.at, story.clock.at)
    async with story.database.transaction() as tx:
        assert not await tx.inbox.add(again)
    await story.settle()
    assert (story.said(ops), await story.audit()) == (said, entries)


async def test_a_refusal_has_five_parts(anna: Officer, ops: str) -> None:
    assert await anna.says(ops, "!toy smol Ball") == (
        "size is one of small, medium, large, not 'smol'.\n"
        "!toy smol Ball\n"
        "     ^^^^\n"
        "Understood: !toy\n"
        "Nothing was changed. Try:\n"
        "!toy small Ball"
    )


async def test_what_a_handler_refuses_is_pointed_at_and_mended_as_well(anna: Officer, ops: str) -> None:
    assert await anna.says(ops, "!toy small Brick in=5m") == (
        "There is a brick already.\n"
        "!toy small Brick in=5m\n"
        "           ^^^^^\n"
        "Understood: !toy small Brick in=5m\n"
        "Nothing was changed. Try:\n"
        '!toy small "Another brick" in=5m'
    )


async def test_a_refusal_changes_nothing_and_is_recorded(story: Story, anna: Officer, ops: str) -> None:
    await anna.says(ops, "!toy show T-9")
    entry = await last(story)
    assert (entry.action, entry.outcome, entry.reason_code) == ("toy.show", "refused", "not_found")
    assert entry.object == "T-9"


async def test_a_failure_is_told_with_a_reference_only(
    story: Story, anna: Officer, ops: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await anna.says(ops, "!toy small Bomb")
    assert answer == "Something failed here (ref 7F3A). Nothing was changed."
    assert (await last(story)).outcome == "error"
    logged = capsys.readouterr().out
    assert "7F3A" in logged
    assert "Bomb" not in logged
    assert await anna.says(ops, "!toy show T-1") == "T-1 shown"


async def test_a_role_that_is_lacking_is_named(story: Story, ops: str) -> None:
    otto = await story.member("otto", Role.OBSERVER)
    answer = await otto.says(ops, "!toy small Ball")
    assert answer.startswith("This needs the role officer.\n")
    assert "Your roles here: observer." in answer
    assert (await last(story)).reason_code == "not_allowed"


async def test_strangers_and_suspended_members_get_silence(story: Story, ops: str) -> None:
    eve = await story.stranger("eve")
    sam = await story.member("sam", Role.OFFICER, state="suspended")
    assert await eve.says(ops, "!toy show T-1") == ""
    assert (await last(story)).reason_code == "not_enrolled"
    assert await sam.says(ops, "!toy show T-1") == ""
    assert (await last(story)).reason_code == "suspended"
    assert story.messenger.sent == []


async def test_a_room_that_is_not_served_gets_one_sentence(story: Story, anna: Officer) -> None:
    lobby = await story.room("lobby", members=[anna], served=False)
    said = "I do not work in this room until an admin types !room serve NAME"
    assert await anna.says(lobby, "!toy show T-1") == said
    assert (await anna.says(lobby, "!help")).startswith("What you may do here")
    assert await anna.says(lobby, "good morning") == ""


async def test_a_direct_room_takes_every_command_and_hints_at_them(story: Story, anna: Officer) -> None:
    direct = story.direct_room(anna)
    assert await anna.says(direct, "!toy show T-1") == "T-1 shown"
    assert await anna.says(direct, "hello?") == "Commands begin with !; !help shows them"
    assert (await anna.says(direct, "!tyo show T-1")).endswith("!toy show T-1")


async def test_a_served_room_of_one_person_is_no_group(story: Story, anna: Officer) -> None:
    home = await story.room("home", members=[anna])
    assert await anna.says(home, "hello?") == "Commands begin with !; !help shows them"
    assert (await anna.says(home, "!tyo show T-1")).endswith("!toy show T-1")


async def test_chat_in_a_group_is_left_alone(story: Story, anna: Officer, ops: str) -> None:
    await anna.says(ops, "see you at the bridge!")
    assert story.messenger.sent == []


async def test_an_unknown_noun_makes_no_noise_in_a_group(story: Story, anna: Officer, ops: str) -> None:
    await anna.says(ops, "!tyo show T-1")
    await anna.says(ops, "!lunch anyone?")
    assert story.said(ops) == []
    assert [said.split("\n")[0] for said in story.direct(anna)] == ["I know no command 'tyo'."]
    await story.pass_time(minutes=1)
    await anna.says(ops, "!lunch anyone?")
    assert len(story.direct(anna)) == 2


async def test_a_room_may_have_another_prefix(story: Story, anna: Officer, carl: Officer) -> None:
    room = await story.room("quiet", members=[anna, carl], prefix="+")
    assert await anna.says(room, "!toy show T-1") == ""
    assert await anna.says(room, "+toy show T-1") == "T-1 shown"
    assert (await anna.says(room, "+toy smol Ball")).endswith("+toy small Ball")


async def test_the_bot_can_be_called_by_its_pill(anna: Officer, ops: str) -> None:
    pill = f'<a href="https://matrix.to/#/{BOT}">Desk</a> toy show T-1'
    assert await anna.says(ops, "Desk toy show T-1", formatted_body=pill) == "T-1 shown"


# posts, boards and pages


async def test_a_card_rings_whom_it_names_and_is_kept_current_by_edits(
    story: Story, anna: Officer, carl: Officer, ops: str
) -> None:
    marine = await story.room("marine", members=[carl])
    answer = await anna.says(ops, "!toy small Ball to=ops,marine")
    assert (answer.rings, answer.mentions, answer.room_id) == (True, (carl.user_id,), ops)
    (other,) = story.said(marine)
    assert (other.rings, other.reply_to) == (True, None)
    assert await carl.replies(ops, answer, "!play") == "Done."
    assert story.now_reads(answer) == story.now_reads(other) == f"T-1 played by {carl.user_id}: accept"
    assert story.now_reads(other).edited


async def test_edits_that_wait_become_one(story: Story, anna: Officer, ops: str) -> None:
    card = await anna.says(ops, "!toy small Ball to=ops")
    for answer in ("accept", "unable", "help"):
        content = {"body": f"!play T-1 {answer}", "device_id": "ANNADEV"}
        row = Received(
            f"$play{answer}", ops, anna.user_id, "message", content, story.clock.at, story.clock.at
        )
        async with story.database.transaction() as tx:
            await tx.inbox.add(row)
    await story.dispatcher.drain()
    async with story.database.transaction() as tx:
        edits = await tx.connection.execute(select(func.count()).where(outbox.c.kind == "edit"))
        assert edits.scalar_one() == 1
    await story.courier.drain()
    assert story.now_reads(card) == f"T-1 played by {anna.user_id}: help"


async def test_a_long_answer_goes_on_with_more(anna: Officer, carl: Officer, ops: str) -> None:
    first = await anna.says(ops, "!box open")
    assert first.split("\n")[0] == "1"
    assert first.endswith("Page 1 of 3. Next: !more")
    assert len(first.split("\n")) == 12
    assert (await anna.says(ops, "!more")).startswith("12\n")
    assert (await carl.says(ops, "!more")).startswith("There is nothing more to show")
    assert (await anna.says(ops, "!more")).endswith("30")
    assert (await anna.says(ops, "!more")).startswith("There is nothing more to show")


async def test_both_languages_stand_in_a_bilingual_room(story: Story, anna: Officer) -> None:
    room = await story.room("both", members=[anna], language="both")
    answer = await anna.says(room, "!toy show T-1")
    assert answer == "T-1 shown\nT-1 shown"


# in French


async def test_a_refusal_speaks_the_readers_language(story: Story, carl: Officer) -> None:
    zoe = await story.member("zoe", Role.OFFICER, language="fr")
    ops = await story.room("ops", members=[zoe, carl])
    assert await zoe.says(ops, "!jouet small « Balle » dans=10") == (
        "dans est une durée comme 90m, 2h, 1j, et non « 10 ».\n"
        "!jouet small « Balle » dans=10\n"
        "                            ^^\n"
        "Compris : !jouet small « Balle »\n"
        "Rien n'a été changé. Essayez :\n"
        "!jouet small « Balle » dans=10m"
    )
    shown = await zoe.says(ops, "!aide jouet")
    assert shown.startswith('!jouet SIZE "ÉTIQUETTE" [to=ÉTIQUETTE] [dans=10m]')
