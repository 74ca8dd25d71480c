"""Stories of alerts: raised, refused, answered, read, updated and closed."""

import asyncio
from dataclasses import dataclass

import pytest

from bot.kernel.vocabulary import Role
from storage.alerts import Alert, Answered
from storage.transitions import Transition
from tests.story import Officer, Said, Story

CLOSED = '!alert severe "Bridge closed"'


@dataclass
class Scene:
    """Three agencies in two rooms: Anna raises, Cho and Opal answer, Otto watches, Sue leads Cho."""

    story: Story
    anna: Officer
    cho: Officer
    sue: Officer
    opal: Officer
    otto: Officer
    root: Officer
    ops: str
    sea: str

    async def raised(self, command: str = CLOSED, room: str | None = None) -> Said:
        """Anna raises an alert; its card in the room of operations."""
        await self.anna.says(room or self.ops, command)
        return self.card(self.ops)

    def card(self, room: str) -> Said:
        """The first card in the room, as it reads now."""
        return next(each for each in self.story.said(room) if each.rings)

    async def alert(self, number: int = 1) -> Alert:
        """The alert as it is stored."""
        async with self.story.database.transaction() as tx:
            found = await tx.alerts.find(number)
        assert found is not None
        return found

    async def answers(self, number: int = 1) -> list[Answered]:
        """Every answer, oldest first."""
        async with self.story.database.transaction() as tx:
            return await tx.alerts.answers(number)

    async def history(self, about: str = "A-1") -> list[Transition]:
        """What happened to an alert, oldest first."""
        async with self.story.database.transaction() as tx:
            return await tx.transitions.of(about)


@pytest.fixture
async def scene(story: Story) -> Scene:
    return await set_scene(story)


async def set_scene(story: Story) -> Scene:
    """Everyone in place, nothing said yet."""
    anna = await story.member("anna", Role.LIAISON, zone="America/Toronto")
    cho = await story.member("cho", Role.OFFICER, agency="CBP")
    sue = await story.member("sue", Role.SUPERVISOR, agency="CBP")
    opal = await story.member("opal", Role.OFFICER, agency="OPP")
    otto = await story.member("otto", Role.OBSERVER, agency="OPP")
    root = await story.member("root", Role.ADMIN)
    ops = await story.room("ops", ["ops"], [anna, cho, opal, otto], zone="America/Toronto", reactions=True)
    sea = await story.room("sea", ["ops", "marine"], [cho], zone="America/Toronto")
    return Scene(story, anna, cho, sue, opal, otto, root, ops, sea)


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
    assert refused.endswith('!alert severe "Bridge closed" to=marine')
    assert "Sent to 1 room: sea." in await scene.anna.says(direct, refused.split("\n")[-1])


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
        ('!alert "Bridge closed"', "severity is one of minor, moderate, severe, extreme", "!alert severe"),
        ("!alert severe", "headline is missing", '!alert severe "Bridge closed"'),
        ('!alert severe ""', "headline is empty", '!alert severe "Bridge closed"'),
        (f'!alert severe "{"ice " * 41}"', "The headline has 163 characters", "ice ice"),
        (f"{CLOSED} to=opz", "No room has the tag opz", f"{CLOSED} to=ops"),
        (f"{CLOSED} to=nowhere", "Tags: marine (1 room), ops (2 rooms).", CLOSED),
        (f"{CLOSED} in=30s", "A deadline is 1 min to 24 h away", f"{CLOSED} in=10m"),
        (f"{CLOSED} in=25h", "A deadline is 1 min to 24 h away", f"{CLOSED} in=10m"),
        (f"{CLOSED} in=-5m", "in is a length of time", f"{CLOSED} in=2m"),
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
    assert await scene.anna.says(scene.ops, "!alert") == "No alert is active here."
    corrected = await scene.anna.says(scene.ops, answer.split("\n")[-1])
    assert "A-1 SEVERE" in corrected


async def test_the_same_headline_within_ten_minutes_is_refused_with_the_update(scene: Scene) -> None:
    await scene.raised()
    refused = await scene.anna.says(scene.ops, '!alert severe "bridge  CLOSED!"')
    assert "A-1 looks the same: Bridge closed." in refused
    assert refused.endswith('!alert update A-1 "bridge CLOSED!"')
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
    assert refused.endswith("!ack A-2")
    await scene.anna.says(scene.ops, "!alert clear A-2")
    assert "A-1: your answer" in await scene.opal.says(scene.ops, "!ack")


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
        "A-1 is answered by 2 agencies, nobody is silent: Bridge closed",
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


# reactions


async def test_a_tick_counts_below_severe_where_the_room_allows_it_and_is_marked(scene: Scene) -> None:
    card = await scene.raised('!alert moderate "Ice on the ramp"')
    await scene.cho.reacts(scene.ops, card, "✅")
    assert "• CBP ✔ ack, unsigned · Cho" in scene.card(scene.ops)


@pytest.mark.parametrize("severity", ["severe", "extreme"])
async def test_a_tick_on_a_severe_alert_is_answered_once_with_what_to_type(
    scene: Scene, severity: str
) -> None:
    card = await scene.raised(f'!alert {severity} "Bridge closed"')
    said = await scene.cho.reacts(scene.ops, card, "✅")
    assert said == f"✅ can be forged, so it is no answer to {severity.upper()}. Type !ack A-1"
    assert said.mentions == (scene.cho.user_id,)
    assert await scene.cho.reacts(scene.ops, card, "✅") == ""
    assert await scene.opal.reacts(scene.ops, card, "✅") != ""
    assert "CBP silent" in scene.card(scene.ops)


async def test_a_tick_in_a_room_without_reactions_is_no_answer(scene: Scene) -> None:
    await scene.anna.says(scene.ops, '!alert minor "Ice on the ramp" to=marine')
    said = await scene.cho.reacts(scene.sea, scene.card(scene.sea), "✅")
    assert said == "✅ is no answer in this room. Type !ack A-1"
    assert "CBP silent" in scene.card(scene.sea)


async def test_ticks_of_observers_of_strangers_and_other_signs_change_nothing(scene: Scene) -> None:
    card = await scene.raised('!alert minor "Ice on the ramp"')
    eve = await scene.story.stranger("eve")
    for someone, key in ((scene.otto, "✅"), (eve, "✅"), (scene.cho, "👀"), (scene.cho, "🎉")):
        assert await someone.reacts(scene.ops, card, key) == ""
    assert scene.card(scene.ops) == card


async def test_a_tick_never_replaces_a_signed_answer(scene: Scene) -> None:
    card = await scene.raised('!alert minor "Ice on the ramp"')
    await scene.cho.says(scene.ops, "!ack A-1 unable")
    await scene.cho.reacts(scene.ops, card, "✅")
    assert "CBP ✖ unable" in scene.card(scene.ops)


async def test_taking_the_tick_off_withdraws_the_answer_but_not_that_of_a_colleague(scene: Scene) -> None:
    card = await scene.raised('!alert minor "Ice on the ramp"')
    carl = await scene.story.member("carl", Role.OFFICER, agency="CBP")
    await scene.cho.reacts(scene.ops, card, "✅")
    first = scene.story.last_event
    await carl.reacts(scene.ops, card, "✅")
    second = scene.story.last_event
    await scene.cho.redacts(scene.ops, first)
    assert "CBP ✔ ack, unsigned · Carl" in scene.card(scene.ops)
    await carl.redacts(scene.ops, second)
    assert "CBP silent" in scene.card(scene.ops)
    assert [each.to_state for each in await scene.history("A-1/CBP")] == [
        "ack",
        "ack",
        "withdrawn",
        "withdrawn",
    ]


async def test_a_tick_on_a_closed_alert_is_told_so(scene: Scene) -> None:
    card = await scene.raised('!alert minor "Ice on the ramp"')
    await scene.anna.says(scene.ops, "!alert clear A-1")
    assert "A-1 is closed" in await scene.cho.reacts(scene.ops, card, "✅")


async def test_taking_a_tick_off_a_closed_alert_changes_nothing(scene: Scene) -> None:
    card = await scene.raised('!alert minor "Ice on the ramp"')
    await scene.cho.reacts(scene.ops, card, "✅")
    tick = scene.story.last_event
    await scene.anna.says(scene.ops, "!alert clear A-1")
    card = scene.card(scene.ops)
    await scene.cho.redacts(scene.ops, tick)
    assert scene.card(scene.ops) == card
    assert "CBP ✔ ack, unsigned" in await scene.anna.says(scene.ops, "!alert who A-1")


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
    assert "Ends by itself at 20:00 EST (01:00Z)." in shown
    assert "12:00 EST (17:00Z) CBP: ✔ ack" in shown


async def test_who_may_not_know_of_an_alert_is_told_that_there_is_none(scene: Scene) -> None:
    await scene.raised()
    gus = await scene.story.member("gus", Role.SUPERVISOR, agency="USCG")
    direct = scene.story.direct_room(gus)
    for command in ("!alert who A-1", "!alert show A-1", "!ack A-1", '!alert cancel A-1 "x"'):
        assert "There is no alert A-1" in await gus.says(direct, command)
    assert await gus.says(direct, "!alert") == "No alert is active here."


async def test_an_unknown_number_suggests_the_nearest_open_alert(scene: Scene) -> None:
    await scene.raised()
    refused = await scene.cho.says(scene.ops, "!ack A-99")
    assert "There is no alert A-99" in refused
    assert "A-1 is active: Bridge closed" in refused
    assert refused.endswith("!ack A-1")


async def test_in_a_room_it_was_not_sent_to_an_alert_is_read_by_direct_message(scene: Scene) -> None:
    await scene.raised()
    said = await scene.cho.says(scene.sea, "!alert who A-1")
    assert said == "A-1 is an alert of other rooms. I have written to you directly."
    assert "Bridge closed" in scene.story.direct(scene.cho)[-1]
    await scene.cho.says(scene.sea, "!ack A-1")
    assert not any("Bridge" in each or "OPP" in each for each in scene.story.said(scene.sea))


# updated and closed


async def test_an_update_asks_everyone_anew_and_edits_the_card(scene: Scene) -> None:
    await scene.raised()
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.story.pass_time(minutes=5)
    said = await scene.anna.says(scene.ops, '!alert update A-1 "Bridge closed to lorries"')
    assert said.split("\n") == [
        "A-1 SEVERE, updated: Bridge closed to lorries",
        "Earlier answers no longer count.",
        "Answer by 12:15 EST (17:15Z): !ack A-1",
    ]
    assert said.rings
    assert scene.cho.user_id in said.mentions
    card = scene.card(scene.ops)
    assert "A-1 SEVERE: Bridge closed to lorries" in card
    assert "CBP silent" in card
    assert "RCMP updated it" in card


async def test_a_corrected_spelling_asks_nobody_again(scene: Scene) -> None:
    await scene.raised('!alert severe "bridge closed"')
    await scene.cho.says(scene.ops, "!ack A-1")
    said = await scene.anna.says(scene.ops, '!alert update A-1 "Bridge closed."')
    assert said == "A-1 is corrected."
    assert "Bridge closed." in scene.card(scene.ops)
    assert "CBP ✔ ack" in scene.card(scene.ops)
    assert "says that already" in await scene.anna.says(scene.ops, '!alert update A-1 "Bridge closed."')


async def test_a_cancelled_alert_was_wrong_and_a_cleared_one_is_over(scene: Scene) -> None:
    await scene.raised()
    await scene.raised('!alert minor "Ice on the ramp"')
    said = await scene.anna.says(scene.ops, '!alert cancel A-1 "wrong bridge"')
    assert said.split("\n") == ["A-1 is CANCELLED: it was wrong. Bridge closed", "Anna, RCMP: wrong bridge"]
    assert scene.card(scene.ops).startswith("✖ A-1 CANCELLED: Bridge closed\nIt was SEVERE. Anna, 12:00 EST")
    assert "CBP did not answer" in scene.card(scene.ops)
    said = await scene.anna.says(scene.ops, "!alert clear A-2")
    assert said.split("\n") == ["A-2 ALL CLEAR: it is over. Ice on the ramp", "Anna, RCMP"]
    assert await scene.anna.says(scene.ops, "!alert") == "No alert is active here."


@pytest.mark.parametrize(
    "command", ["!ack A-1", '!alert update A-1 "Bridge open"', '!alert cancel A-1 "x"', "!alert clear A-1"]
)
async def test_a_closed_alert_stays_as_it_is(scene: Scene, command: str) -> None:
    await scene.raised()
    await scene.anna.says(scene.ops, "!alert clear A-1")
    card, before = scene.card(scene.ops), await scene.alert()
    refused = await scene.anna.says(scene.ops, command)
    assert "A-1 is closed: all clear since 12:00 EST (17:00Z)." in refused
    assert (scene.card(scene.ops), await scene.alert()) == (card, before)


@pytest.mark.parametrize(
    "command", ['!alert update A-1 "Bridge open"', '!alert cancel A-1 "x"', "!alert clear A-1"]
)
async def test_only_the_agency_that_raised_an_alert_may_change_it(scene: Scene, command: str) -> None:
    await scene.raised()
    leo = await scene.story.member("leo", Role.LIAISON)
    rex = await scene.story.member("rex", Role.OFFICER)
    for someone in (scene.cho, scene.sue, rex):
        assert "A-1 is an alert of RCMP." in await someone.says(scene.ops, command)
    assert "A-1" in await leo.says(scene.ops, command)
    assert (await scene.alert()).version == 2


async def test_an_author_who_lost_her_role_may_still_end_her_alert(scene: Scene) -> None:
    await scene.raised()
    async with scene.story.database.transaction() as tx:
        await tx.members.revoke(scene.anna.user_id, scene.story.clock.at)
        now = scene.story.clock.at
        await tx.members.grant(scene.anna.user_id, "officer", "RCMP", by="@root:agency.example", now=now)
    assert "ALL CLEAR" in await scene.anna.says(scene.ops, "!alert clear A-1")


async def test_rooms_that_are_no_longer_served_are_named(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} to=ops")
    async with scene.story.database.transaction() as tx:
        await tx.rooms.leave(scene.sea)
    said = await scene.anna.says(scene.ops, "!alert clear A-1")
    assert said == "Not reached, I do not serve it any more: sea."
    assert len(scene.story.said(scene.sea)) == 1


async def test_every_change_of_state_is_on_record_with_who_and_why(scene: Scene) -> None:
    await scene.raised()
    await scene.anna.says(scene.ops, '!alert update A-1 "Bridge closed to lorries"')
    await scene.anna.says(scene.ops, '!alert cancel A-1 "wrong bridge"')
    steps = [(each.from_state, each.to_state, each.actor, each.reason) for each in await scene.history()]
    anna = scene.anna.user_id
    assert steps == [
        (None, "active", anna, None),
        ("active", "updated", anna, None),
        ("active", "cancelled", anna, "wrong bridge"),
    ]
    assert {each.device_id for each in await scene.history()} == {"ANNADEV"}


async def test_an_alert_that_was_changed_meanwhile_is_not_changed_again(scene: Scene) -> None:
    await scene.raised()
    seen = await scene.alert()
    async with scene.story.database.transaction() as tx:
        assert await tx.alerts.change(seen, headline="One")
        assert not await tx.alerts.change(seen, headline="Two")
    assert (await scene.alert()).headline == "One"
