"""Stories of alerts: raised, refused, answered and read."""

import asyncio

import pytest

from bot.kernel.vocabulary import Role
from tests.alert_scene import CLOSED, Scene, set_scene
from tests.story import Story

NONE = "No alert is active here.\nHow to raise one: !help alert"


@pytest.fixture
async def scene(story: Story) -> Scene:
    return await set_scene(story)


# raised


async def test_a_card_says_what_happened_who_says_so_and_what_to_type(scene: Scene) -> None:
    card = await scene.raised()
    assert card.split("\n") == [
        "🔴 A-1 SEVERE: Bridge closed",
        "RCMP · Anna · 12:00 EST (17:00Z)",
        "Answer by 12:10 EST (17:10Z): !ack A-1",
        "• CBP silent",
        "• OPP silent",
        "• RCMP raised it",
    ]


async def test_a_card_rings_those_who_are_asked_and_nobody_else(scene: Scene) -> None:
    card = await scene.raised()
    assert card.rings
    assert set(card.mentions) == {scene.cho.user_id, scene.opal.user_id, scene.otto.user_id}


async def test_without_a_tag_an_alert_stays_in_its_room_and_with_one_it_goes_to_every_such_room(
    scene: Scene,
) -> None:
    await scene.raised()
    assert scene.story.said(scene.sea) == []
    answer = await scene.anna.says(scene.ops, '!alert minor "Ice on the ramp" to=marine,ops')
    assert "A-2 MINOR: Ice on the ramp" in answer
    assert "Sent to 2 rooms: ops, sea." in answer
    assert scene.story.said(scene.sea)[0].mentions == (scene.cho.user_id,)


async def test_an_alert_can_be_raised_from_a_direct_room_but_only_to_somewhere(scene: Scene) -> None:
    direct = scene.story.direct_room(scene.anna)
    refused = await scene.anna.says(direct, CLOSED)
    assert "say where the alert is to go" in refused
    assert "Tags: marine (1 room), ops (2 rooms)." in refused
    assert refused.endswith('!alert severe "Bridge closed" to=…')
    assert "Sent to 1 room: sea." in await scene.anna.says(direct, f"{CLOSED} to=marine")


@pytest.mark.parametrize(
    ("typed", "mended"),
    [
        ('tandem: alert severe "Bridge closed"', '!alert severe "Bridge closed" to=…'),
        ("!alert severe\nBridge closed", "!alert severe to=… Bridge closed"),
        ("!alert severe Bridge closed", "!alert severe Bridge closed to=…"),
        ('!alert severe "Gas leak" to=nowhere', '!alert severe "Gas leak" to=…'),
    ],
)
async def test_what_is_missing_is_added_to_the_line_as_it_was_typed(
    scene: Scene, typed: str, mended: str
) -> None:
    direct = scene.story.direct_room(scene.anna)
    refused = await scene.anna.says(direct, typed)
    assert refused.endswith(f"Nothing was changed. Try:\n{mended}")
    assert "Sent to 1 room: sea." in await scene.anna.says(direct, mended.replace("…", "marine"))


async def test_tags_are_found_as_they_were_given(scene: Scene) -> None:
    await scene.root.says(scene.ops, "!room policy tags=réseau,ops")
    await scene.anna.says(scene.sea, '!alert severe "Bridge closed" to=réseau')
    await scene.anna.says(scene.sea, '!alert severe "Ferry lost" to=#ops')
    assert sum(each.rings for each in scene.story.said(scene.ops)) == 2


async def test_where_nothing_is_active_there_is_a_list_to_look_at(scene: Scene) -> None:
    refused = await scene.anna.says(scene.ops, "!ack")
    assert refused.endswith("!alert list")
    assert await scene.anna.says(scene.ops, "!alert list") == NONE
    assert await scene.cho.says(scene.ops, "!alert list") == "No alert is active here."


async def test_only_agencies_with_someone_in_the_rooms_are_asked(scene: Scene) -> None:
    await scene.anna.says(scene.ops, '!alert severe "Vessel adrift" to=marine')
    card = scene.story.said(scene.sea)[0]
    assert "CBP silent" in card
    assert "OPP" not in card


async def test_in_a_room_with_nobody_else_the_card_says_that_nobody_is_asked(scene: Scene) -> None:
    own = await scene.story.room("own", [], [scene.anna])
    await scene.anna.says(own, CLOSED)
    assert "nobody is asked" in scene.story.said(own)[0]


@pytest.mark.parametrize(
    ("typed", "said", "instead"),
    [
        (
            '!alert severre "Bridge closed"',
            "severity is one of minor, moderate, severe, extreme",
            "!alert severe",
        ),
        ("!alert severe", "The headline is missing", '!alert severe "…"'),
        ('!alert severe ""', "headline is empty", '!alert severe "…"'),
        (f'!alert severe "{"ice " * 41}"', "The headline has 163 characters", "ice ice"),
        (f"{CLOSED} to=opz", "No room has the tag opz", f"{CLOSED} to=ops"),
        (f"{CLOSED} to=nowhere", "Tags: marine (1 room), ops (2 rooms).", f"{CLOSED} to=…"),
        (f"{CLOSED} to=ops,nowhere", "No room has the tag nowhere", f"{CLOSED} to=ops,…"),
        (f"{CLOSED} in=30s", "A deadline is 1 min to 24 h away", f"{CLOSED} in=10m"),
        (f"{CLOSED} in=25h", "A deadline is 1 min to 24 h away", f"{CLOSED} in=10m"),
        (f"{CLOSED} in=-5m", "-5m is not a time", f"{CLOSED} in=10m"),
        (f"{CLOSED} ack=all", "ack is one of none, any, each", f"{CLOSED} ack="),
    ],
)
async def test_bad_input_is_answered_with_what_to_type_and_changes_nothing(
    scene: Scene, typed: str, said: str, instead: str
) -> None:
    answer = await scene.anna.says(scene.ops, typed)
    assert said in answer
    assert "Nothing was changed" in answer
    assert instead in answer.split("\n")[-1]
    assert await scene.anna.says(scene.ops, "!alert") == NONE
    corrected = await scene.anna.says(
        scene.ops, answer.split("\n")[-1].replace("=…", "=ops").replace(",…", "")
    )
    assert "A-1 SEVERE" in corrected


async def test_the_same_headline_within_ten_minutes_is_refused_with_the_update(scene: Scene) -> None:
    await scene.raised()
    refused = await scene.anna.says(scene.ops, '!alert severe "bridge  CLOSED!"')
    assert "A-1 looks the same: Bridge closed." in refused
    assert refused.endswith("!alert who A-1")
    assert "CBP silent" in await scene.anna.says(scene.ops, refused.split("\n")[-1])
    await scene.story.pass_time(minutes=10, seconds=1)
    assert "A-2 SEVERE" in await scene.anna.says(scene.ops, CLOSED)


async def test_what_was_cancelled_or_another_agency_says_is_no_duplicate(scene: Scene) -> None:
    await scene.raised()
    await scene.anna.says(scene.ops, '!alert cancel A-1 "wrong bridge"')
    assert "A-2 SEVERE" in await scene.anna.says(scene.ops, CLOSED)
    carl = await scene.story.member("carl", Role.LIAISON, agency="CBP")
    assert "A-3 SEVERE" in await carl.says(scene.ops, CLOSED)


async def test_an_officer_may_not_raise_an_alert_and_a_stranger_is_met_with_silence(scene: Scene) -> None:
    assert "needs the role liaison" in await scene.cho.says(scene.ops, CLOSED)
    eve = await scene.story.stranger("eve")
    assert await eve.says(scene.ops, CLOSED) == ""
    assert [each.outcome for each in await scene.story.audit()] == ["refused", "refused"]


async def test_a_large_board_keeps_the_card_within_twelve_lines(scene: Scene) -> None:
    agencies = [f"PD-{number}" for number in range(20)]
    officers = [
        await scene.story.member(f"pat{number}", Role.OFFICER, agency=agency)
        for number, agency in enumerate(agencies)
    ]
    wide = await scene.story.room("wide", ["wide"], [scene.anna, *officers])
    await scene.anna.says(wide, CLOSED)
    for officer in officers[:9]:
        await officer.says(wide, '!ack A-1 unable "no one to send"')
    card = scene.card(wide)
    assert len(card.split("\n")) <= 12
    assert "11 silent" in card
    assert "10 answered" in card
    assert "!alert who A-1" in card


# answered


async def test_an_answer_is_confirmed_and_shown_in_every_room(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} to=ops")
    said = await scene.cho.says(scene.sea, '!ack A-1 accept "unit 4 is on its way"')
    assert said == "A-1: your answer is on record: CBP ✔ accepts. Still silent: OPP."
    for room in (scene.ops, scene.sea):
        assert "• CBP ✔ accepts · Cho · 12:00 EST (17:00Z): unit 4 is on its way" in scene.card(room)


async def test_a_reply_supplies_the_number_and_one_open_alert_needs_none(scene: Scene) -> None:
    card = await scene.raised()
    await scene.raised('!alert minor "Ice on the ramp"')
    assert "A-1: your answer" in await scene.cho.replies(scene.ops, card, "!ack")
    refused = await scene.opal.says(scene.ops, "!ack")
    assert "2 alerts are active here" in refused
    assert "• A-2 MINOR: Ice on the ramp\n• A-1 SEVERE: Bridge closed\nNothing" in refused
    assert refused.endswith("!alert list")
    await scene.anna.says(scene.ops, "!alert clear A-2")
    assert "A-1: your answer" in await scene.opal.says(scene.ops, "!ack")


async def test_the_same_answer_again_changes_no_card(scene: Scene) -> None:
    await scene.raised()
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.story.pass_time(minutes=1)
    sent = len(scene.story.messenger.sent)
    assert "CBP ✔ ack. Still silent: OPP." in await scene.cho.says(scene.ops, "!ack A-1")
    assert len(scene.story.messenger.sent) == sent + 1
    assert len(await scene.answers()) == 2
    assert "CBP ✔ ack · Cho · 12:00 EST" in scene.card(scene.ops)


async def test_where_nobody_is_asked_an_answer_is_on_record_and_that_is_all(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} ack=none")
    assert await scene.cho.says(scene.ops, "!ack A-1") == "A-1: your answer is on record: CBP ✔ ack."


async def test_of_many_open_alerts_five_are_shown(scene: Scene) -> None:
    for number in range(7):
        await scene.raised(f'!alert minor "Ice on ramp {number}" ack=none')
    refused = await scene.opal.says(scene.ops, "!ack")
    assert "7 alerts are active here" in refused
    assert refused.count("•") == 5


async def test_the_author_hears_that_all_have_answered_and_that_nobody_can(scene: Scene) -> None:
    await scene.raised()
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.opal.says(scene.ops, "!ack A-1")
    assert "A-1 is answered by 2 agencies, nobody is silent: Bridge closed" in scene.story.said(scene.ops)
    await scene.raised('!alert severe "Ferry lost"')
    await scene.cho.says(scene.ops, "!ack A-2 unable")
    await scene.opal.says(scene.ops, "!ack A-2 unable")
    assert "A-2: 2 answered, of which 2 unable: Ferry lost" in "\n".join(scene.story.said(scene.ops))


async def test_an_answer_can_be_changed_and_the_earlier_one_stays_on_record(scene: Scene) -> None:
    await scene.raised()
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.cho.says(scene.ops, '!ack A-1 unable "no boat before noon"')
    assert "CBP ✖ unable · Cho" in scene.card(scene.ops)
    assert [each.answer for each in await scene.answers()] == ["raised", "ack", "unable"]
    steps = [(each.from_state, each.to_state) for each in await scene.history("A-1/CBP")]
    assert steps == [("silent", "ack"), ("ack", "unable")]


@pytest.mark.parametrize("answer", ["ack", "accept", "help", "unable", "decline"])
async def test_every_answer_is_an_answer(scene: Scene, answer: str) -> None:
    await scene.raised()
    assert "Still silent: OPP" in await scene.cho.says(scene.ops, f"!ack A-1 {answer}")


async def test_the_author_hears_of_a_need_and_of_the_last_answer(scene: Scene) -> None:
    await scene.raised()
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.opal.says(scene.ops, '!ack A-1 help "two boats"')
    told = next(each for each in scene.story.said(scene.ops) if each.startswith("A-1: OPP"))
    assert told.split("\n") == [
        "A-1: OPP ✔ needs HELP · Opal: two boats",
        "A-1: 2 answered, of which 1 needs HELP: Bridge closed",
    ]
    assert told.rings
    assert told.mentions == (scene.anna.user_id,)
    assert "Every agency asked has answered." in scene.card(scene.ops)


async def test_with_ack_any_one_agency_is_enough_and_with_ack_none_nobody_is_asked(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} ack=any")
    assert "One agency must answer by" in scene.card(scene.ops)
    await scene.opal.says(scene.ops, "!ack A-1 decline")
    assert "CBP silent" in scene.card(scene.ops)
    await scene.cho.says(scene.ops, "!ack A-1")
    assert "no other agency need answer" in scene.card(scene.ops)
    await scene.anna.says(scene.ops, '!alert minor "Radio test at noon" ack=none')
    assert "No answer is asked for." in scene.story.said(scene.ops)[-1]
    assert scene.story.said(scene.ops)[-1].mentions == ()


async def test_any_is_not_answered_by_the_agency_that_asks(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} ack=any")
    await scene.anna.says(scene.ops, "!ack A-1")
    assert "It is answered" not in scene.card(scene.ops)
    await scene.story.pass_time(minutes=11)
    assert any("No answer yet from CBP, OPP" in each for each in scene.story.said(scene.ops))


async def test_with_ack_any_the_author_is_told_when_every_agency_is_unable(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} ack=any")
    await scene.cho.says(scene.ops, "!ack A-1 unable")
    await scene.opal.says(scene.ops, "!ack A-1 decline")
    assert scene.card(scene.ops).split("\n")[2] == "No agency can: call them."
    told = next(each for each in scene.story.said(scene.ops) if each.startswith("A-1: OPP"))
    assert told.split("\n")[-1] == "A-1: no agency can. Call them."
    assert told.mentions == (scene.anna.user_id,)


async def test_signs_tell_headlines_apart(scene: Scene) -> None:
    await scene.raised('!alert severe "Depth < 5 m"')
    assert "A-2 SEVERE" in await scene.anna.says(scene.ops, '!alert severe "Depth > 5 m"')
    await scene.cho.says(scene.ops, "!ack A-2")
    await scene.anna.says(scene.ops, '!alert update A-2 "Depth < 5 m"')
    assert "Earlier answers no longer count" in scene.story.said(scene.ops)[-1]


async def test_whoever_comes_later_may_answer_and_is_shown_as_such(scene: Scene) -> None:
    await scene.raised()
    gus = await scene.story.member("gus", Role.OFFICER, agency="USCG")
    assert "There is no alert A-1" in await gus.says(scene.sea, "!ack A-1")
    await scene.story.room("ops", ["ops"], [scene.anna, scene.cho, scene.opal, scene.otto, gus])
    assert "USCG ✔ ack" in await gus.says(scene.ops, "!ack A-1")
    assert "not asked: came later" in await scene.anna.says(scene.ops, "!alert who A-1")


async def test_an_observer_may_not_answer_and_an_overlong_reason_is_cut(scene: Scene) -> None:
    await scene.raised()
    assert "needs the role officer" in await scene.otto.says(scene.ops, "!ack A-1")
    refused = await scene.cho.says(scene.ops, f'!ack A-1 unable "{"x" * 201}"')
    assert "The reason has 201 characters" in refused
    assert len(await scene.answers()) == 1


async def test_two_answers_at_once_both_count(scene: Scene) -> None:
    await scene.raised()
    await asyncio.gather(scene.cho.says(scene.ops, "!ack A-1"), scene.opal.says(scene.ops, "!ack A-1"))
    assert sorted(each.agency for each in await scene.answers()) == ["CBP", "OPP", "RCMP"]
    assert "Every agency asked has answered." in scene.card(scene.ops)


# read


async def test_the_list_shows_what_this_room_may_read_newest_first(scene: Scene) -> None:
    await scene.raised()
    await scene.anna.says(scene.ops, '!alert minor "Ice on the ramp" to=marine ack=none')
    assert (await scene.cho.says(scene.ops, "!alert")).split("\n") == [
        "• A-2 MINOR: Ice on the ramp · no answer asked for",
        "• A-1 SEVERE: Bridge closed · silent: CBP, OPP",
    ]
    assert "A-1" not in await scene.cho.says(scene.sea, "!alert list")
    assert "A-1" in await scene.cho.says(scene.story.direct_room(scene.cho), "!alert list")


async def test_the_board_says_for_how_long_an_agency_is_silent_and_when_it_is_told_again(
    scene: Scene,
) -> None:
    await scene.raised()
    await scene.story.pass_time(minutes=4)
    await scene.cho.says(scene.ops, "!ack A-1")
    board = await scene.anna.says(scene.ops, "!alert who A-1")
    assert "• CBP ✔ ack · Cho · 12:04 EST (17:04Z)" in board
    assert "• OPP silent, for 4 min, told again at 12:10 EST (17:10Z)" in board


async def test_everything_about_an_alert_includes_its_history(scene: Scene) -> None:
    await scene.raised()
    await scene.cho.says(scene.ops, "!ack A-1")
    shown = await scene.anna.says(scene.ops, "!alert show A-1")
    assert "Sent to 1 room." in shown
    assert "Ends by itself at Tue 20:00 EST (Wed 01:00Z)." in shown
    assert "• 12:00 EST (17:00Z) CBP: ✔ ack · Cho\n" in f"{shown}\n"
    assert shown.count("CBP") == 1


async def test_who_may_not_know_of_an_alert_is_told_that_there_is_none(scene: Scene) -> None:
    await scene.raised()
    gus = await scene.story.member("gus", Role.SUPERVISOR, agency="USCG")
    direct = scene.story.direct_room(gus)
    for command in ("!alert who A-1", "!alert show A-1", "!ack A-1", '!alert cancel A-1 "x"'):
        assert "There is no alert A-1" in await gus.says(direct, command)
    assert await gus.says(direct, "!alert") == NONE


async def test_an_unknown_number_suggests_the_nearest_open_alert(scene: Scene) -> None:
    await scene.raised()
    refused = await scene.cho.says(scene.ops, "!ack A-99")
    assert "There is no alert A-99" in refused
    assert "A-1 is active: Bridge closed" in refused
    assert refused.endswith("!alert list")


async def test_in_a_room_it_was_not_sent_to_an_alert_is_read_by_direct_message(scene: Scene) -> None:
    await scene.raised()
    said = await scene.cho.says(scene.sea, "!alert who A-1")
    assert said == "A-1 is an alert of other rooms. I have written to you directly."
    assert "Bridge closed" in scene.story.direct(scene.cho)[-1]
    await scene.cho.says(scene.sea, "!ack A-1")
    assert not any("Bridge" in each or "OPP" in each for each in scene.story.said(scene.sea))
