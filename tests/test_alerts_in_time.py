"""Stories of what time does to alerts: the ladder, what is late, and the end of what nobody closes."""

from datetime import timedelta

import pytest

from bot.kernel.vocabulary import Role
from tests.alert_scene import CLOSED, Scene, set_scene
from tests.story import Said, Story


@pytest.fixture
async def scene(story: Story) -> Scene:
    return await set_scene(story)


async def down_for(scene: Scene, **length: float) -> None:
    """The bot is stopped for this long, then starts and does what is due."""
    scene.story.clock.turn(timedelta(**length))
    await scene.story.ticker.run_jobs()
    await scene.story.settle()


def asked_again(scene: Scene, room: str) -> list[Said]:
    """The messages that ring silent agencies."""
    return [each for each in scene.story.said(room) if "No answer yet from" in each]


async def test_a_silent_agency_is_rung_again_at_the_deadline_and_one_that_answered_is_not(
    scene: Scene,
) -> None:
    await scene.raised(f"{CLOSED} to=ops")
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.story.pass_time(minutes=9, seconds=55)
    assert asked_again(scene, scene.ops) == []
    await scene.story.pass_time(seconds=10)
    (again,) = asked_again(scene, scene.ops)
    assert again == "A-1 SEVERE: Bridge closed\nNo answer yet from OPP. Answer now: !ack A-1"
    assert again.rings
    assert set(again.mentions) == {scene.opal.user_id, scene.otto.user_id}
    assert asked_again(scene, scene.sea) == []
    card = scene.card(scene.ops)
    assert "OPP silent, asked again" in card
    assert "The deadline has passed. Answer now: !ack A-1" in card


async def test_one_patience_later_halved_its_supervisors_are_told_directly(scene: Scene) -> None:
    await scene.raised()
    await scene.opal.says(scene.ops, "!ack A-1")
    await scene.story.pass_time(minutes=14, seconds=50)
    assert scene.story.direct(scene.sue) == []
    await scene.story.pass_time(seconds=25)
    (told,) = scene.story.direct(scene.sue)
    assert told.split("\n") == [
        "A-1 SEVERE: Bridge closed",
        "CBP has not answered for 15 min. You are its supervisor.",
        "Have it answered, or answer for it: !ack A-1",
    ]
    assert told.rings
    assert "CBP silent, supervisors told" in scene.card(scene.ops)


async def test_a_supervisor_answers_by_replying_where_she_was_told(scene: Scene) -> None:
    await scene.raised()
    await scene.story.pass_time(minutes=16)
    (told,) = scene.story.direct(scene.sue)
    said = await scene.sue.replies(scene.story.direct_room(scene.sue), told, '!ack accept "unit 4"')
    assert "CBP ✔ accepts" in said
    assert "CBP ✔ accepts · Sue" in scene.card(scene.ops)


async def test_an_agency_without_supervisor_is_named_to_the_author_and_the_admins(scene: Scene) -> None:
    await scene.raised()
    await scene.story.pass_time(minutes=16)
    assert "OPP silent, no supervisor to tell" in scene.card(scene.ops)
    (author,) = [each for each in scene.story.said(scene.ops) if "Call its desk" in each]
    assert author.mentions == (scene.anna.user_id,)
    (admin,) = scene.story.direct(scene.root)
    assert "!grant @name supervisor agency=OPP" in admin
    assert "Bridge" not in admin


async def test_two_agencies_without_supervisors_are_named_in_one_message(scene: Scene) -> None:
    async with scene.story.database.transaction() as tx:
        await tx.members.revoke(scene.sue.user_id, scene.story.clock.at, "supervisor")
    await scene.raised()
    await scene.story.pass_time(minutes=16)
    (author,) = [each for each in scene.story.said(scene.ops) if "no supervisor" in each and "desk" in each]
    assert "A-1: CBP, OPP are silent and have no supervisors to tell. Call their desks." in author
    assert author.mentions == (scene.anna.user_id,)
    (admin,) = scene.story.direct(scene.root)
    assert "A-1: CBP, OPP are silent" in admin
    assert "!grant @name supervisor agency=CBP" in admin
    assert "!grant @name supervisor agency=OPP" in admin


async def test_at_the_end_of_the_ladder_the_author_is_told_and_then_it_is_quiet(scene: Scene) -> None:
    await scene.raised()
    await scene.story.pass_time(minutes=18)
    last = scene.story.said(scene.ops)[-1]
    assert "Still no answer from CBP, OPP" in last
    assert last.mentions == (scene.anna.user_id,)
    count = len(scene.story.messenger.sent)
    await scene.story.pass_time(hours=2)
    assert len(scene.story.messenger.sent) == count


async def test_the_first_deadline_can_be_set_and_the_later_ones_follow_it(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} in=2m")
    assert "Answer by 12:02 EST (17:02Z)" in scene.card(scene.ops)
    await scene.story.pass_time(minutes=2, seconds=5)
    assert len(asked_again(scene, scene.ops)) == 1
    await scene.story.pass_time(minutes=1, seconds=5)
    assert len(scene.story.direct(scene.sue)) == 1


async def test_help_and_unable_end_the_asking_too(scene: Scene) -> None:
    await scene.raised()
    await scene.cho.says(scene.ops, "!ack A-1 unable")
    await scene.opal.says(scene.ops, "!ack A-1 help")
    await scene.story.pass_time(hours=1)
    assert asked_again(scene, scene.ops) == []


async def test_with_ack_any_the_first_answer_ends_the_asking(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} ack=any")
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.story.pass_time(hours=1)
    assert asked_again(scene, scene.ops) == []


async def test_with_ack_none_nobody_is_ever_asked(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} ack=none")
    await scene.story.pass_time(hours=1)
    assert asked_again(scene, scene.ops) == []


@pytest.mark.parametrize("command", ['!alert cancel A-1 "wrong bridge"', "!alert clear A-1"])
async def test_a_closed_alert_is_never_escalated(scene: Scene, command: str) -> None:
    await scene.raised()
    await scene.anna.says(scene.ops, command)
    await scene.story.pass_time(hours=1)
    assert asked_again(scene, scene.ops) == []
    assert scene.story.direct(scene.sue) == []


async def test_an_update_begins_the_ladder_anew(scene: Scene) -> None:
    await scene.raised()
    await scene.story.pass_time(minutes=11)
    await scene.anna.says(scene.ops, '!alert update A-1 "Bridge closed to lorries"')
    await scene.story.pass_time(minutes=9)
    assert len(asked_again(scene, scene.ops)) == 1
    await scene.story.pass_time(minutes=2)
    assert len(asked_again(scene, scene.ops)) == 2


async def test_a_withdrawn_tick_puts_the_agency_on_the_ladder_again(scene: Scene) -> None:
    card = await scene.raised('!alert moderate "Ice on the ramp"')
    await scene.opal.says(scene.ops, "!ack A-1")
    await scene.cho.reacts(scene.ops, card, "✅")
    tick = scene.story.last_event
    await scene.story.pass_time(hours=1)
    assert asked_again(scene, scene.ops) == []
    await scene.cho.redacts(scene.ops, tick)
    await scene.story.pass_time(minutes=1, seconds=10)
    assert "No answer yet from CBP. Answer now" in asked_again(scene, scene.ops)[-1]


async def test_one_agency_coming_and_going_buys_another_no_time(scene: Scene) -> None:
    card = await scene.raised('!alert moderate "Ice on the ramp" in=10m')
    await scene.story.pass_time(minutes=9, seconds=50)
    await scene.cho.reacts(scene.ops, card, "✅")
    await scene.cho.redacts(scene.ops, scene.story.last_event)
    await scene.story.pass_time(seconds=15)
    assert "No answer yet from OPP. Answer now" in asked_again(scene, scene.ops)[0]


async def test_what_fell_due_while_the_bot_was_down_is_done_at_once_and_marked_late(scene: Scene) -> None:
    await scene.raised()
    await down_for(scene, hours=1)
    (again,) = asked_again(scene, scene.ops)
    assert "No answer yet from CBP, OPP. (Late: due at 12:10 EST (17:10Z).)" in again
    # The next rung is not skipped to: people get their time to answer.
    assert scene.story.direct(scene.sue) == []
    await scene.story.pass_time(minutes=5, seconds=5)
    assert len(scene.story.direct(scene.sue)) == 1


async def test_an_agency_that_has_left_the_rooms_is_looked_for_at_its_supervisors_at_once(
    scene: Scene,
) -> None:
    await scene.raised()
    async with scene.story.database.transaction() as tx:
        await tx.rooms.depart(scene.ops, scene.cho.user_id)
    await scene.story.pass_time(minutes=10, seconds=15)
    assert "No answer yet from OPP." in asked_again(scene, scene.ops)[0]
    assert len(scene.story.direct(scene.sue)) == 1


async def test_a_room_that_was_left_is_not_rung(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} to=ops")
    async with scene.story.database.transaction() as tx:
        await tx.rooms.leave(scene.sea)
    await scene.story.pass_time(minutes=11)
    assert len(asked_again(scene, scene.ops)) == 1
    assert asked_again(scene, scene.sea) == []


async def test_news_for_an_author_who_is_gone_reach_her_supervisors(scene: Scene) -> None:
    sam = await scene.story.member("sam", Role.SUPERVISOR)
    await scene.raised()
    async with scene.story.database.transaction() as tx:
        await tx.members.set_state(scene.anna.user_id, "suspended", was="active")
    await scene.cho.says(scene.ops, "!ack A-1 unable")
    assert "CBP ✖ unable" in scene.story.direct(sam)[0]


async def test_a_suspended_member_is_not_rung(scene: Scene) -> None:
    async with scene.story.database.transaction() as tx:
        await tx.members.set_state(scene.otto.user_id, "suspended", was="active")
    card = await scene.raised()
    assert scene.otto.user_id not in card.mentions


@pytest.mark.parametrize(
    ("severity", "hours"), [("extreme", 4), ("severe", 8), ("moderate", 24), ("minor", 72)]
)
async def test_what_nobody_closes_ends_by_itself_and_says_who_never_answered(
    scene: Scene, severity: str, hours: int
) -> None:
    await scene.raised(f'!alert {severity} "Bridge closed"')
    await scene.opal.says(scene.ops, "!ack A-1")
    await down_for(scene, hours=hours, seconds=-1)
    assert (await scene.alert()).state == "active"
    await down_for(scene, seconds=1)
    assert (await scene.alert()).state == "expired"
    (ended,) = [each for each in await scene.story.audit() if each.action == "alert.expire"]
    assert (ended.type, ended.object, ended.agency) == ("job", "A-1", "RCMP")
    assert scene.card(scene.ops).startswith(f"⌛ A-1 EXPIRED: Bridge closed\nIt was {severity.upper()}.")
    told = scene.story.said(scene.ops)[-1]
    assert "CBP never answered. Raise it again if it is not over." in told
    assert told.mentions == (scene.anna.user_id,)
    assert "A-1 is closed: expired" in await scene.cho.says(scene.ops, "!ack A-1")


async def test_an_alert_that_ended_while_the_bot_was_down_asks_nobody_any_more(scene: Scene) -> None:
    await scene.raised()
    await down_for(scene, hours=20)
    assert asked_again(scene, scene.ops) == []
    assert "CBP, OPP never answered" in scene.story.said(scene.ops)[-1]


@pytest.mark.parametrize("policy", ["none", "any"])
async def test_an_alert_that_asks_nobody_is_not_looked_at_each_second(scene: Scene, policy: str) -> None:
    await scene.raised(f"{CLOSED} ack={policy}")
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.story.pass_time(hours=1)
    async with scene.story.database.transaction() as tx:
        assert await tx.alerts.with_deadline_by(scene.story.clock.at) == []


async def test_who_takes_an_answer_to_any_back_leaves_the_others_their_deadline(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} ack=any")
    await scene.cho.says(scene.ops, "!ack A-1")
    await scene.cho.says(scene.ops, "!ack A-1 unable")
    await scene.story.pass_time(minutes=9)
    assert asked_again(scene, scene.ops) == []
    await scene.story.pass_time(minutes=2)
    assert "No answer yet from OPP" in asked_again(scene, scene.ops)[0]


async def test_every_rung_is_on_record(scene: Scene) -> None:
    await scene.raised()
    await scene.opal.says(scene.ops, "!ack A-1")
    await scene.story.pass_time(minutes=20)
    steps = [each.to_state for each in await scene.history("A-1/CBP")]
    assert steps == ["rooms", "supervisors", "author"]
    audited = [each for each in await scene.story.audit() if each.type == "job"]
    assert [(each.action, each.object, each.agency, each.reason_code) for each in audited] == [
        ("alert.escalate", "A-1", "CBP", step) for step in steps
    ]
    shown = await scene.anna.says(scene.ops, "!alert show A-1")
    assert "CBP: asked again in the rooms" in shown + await scene.anna.says(scene.ops, "!more")


async def test_extreme_overtakes_what_is_queued(scene: Scene) -> None:
    await scene.anna.says(scene.ops, '!alert extreme "Shots fired, pier 4"')
    async with scene.story.database.transaction() as tx:
        (extreme,) = await tx.outbox.cards("A-1")
    await scene.anna.says(scene.ops, '!alert minor "Ice on the ramp"')
    async with scene.story.database.transaction() as tx:
        (minor,) = await tx.outbox.cards("A-2")
    assert extreme.priority > minor.priority


@pytest.mark.parametrize(
    ("typed", "due"),
    [
        ("in=5m", "12:05 EST (17:05Z)"),
        ("in=14:30", "14:30 EST (19:30Z)"),
        ("in=tomorrow 0900", "Wed 4 Nov 09:00 EST (14:00Z)"),
        ("dans=1930Z", "14:30 EST (19:30Z)"),
    ],
)
async def test_a_deadline_is_a_length_of_time_or_a_moment(scene: Scene, typed: str, due: str) -> None:
    await scene.raised(f"{CLOSED} {typed}")
    assert f"Answer by {due}: !ack A-1" in scene.card(scene.ops)
