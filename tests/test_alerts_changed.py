"""Stories of alerts that are updated, cancelled or cleared, and what is kept of it."""

import pytest

from bot.kernel.vocabulary import Role
from tests.alert_scene import CLOSED, Scene, set_scene
from tests.fakes import unreachable
from tests.story import CODE, Story


@pytest.fixture
async def scene(story: Story) -> Scene:
    return await set_scene(story)


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
    assert "No alert is active here." in await scene.anna.says(scene.ops, "!alert")


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


@pytest.mark.parametrize("verb", ["cancel", "clear"])
async def test_the_reason_of_an_end_has_a_length(scene: Scene, verb: str) -> None:
    await scene.raised()
    refused = await scene.anna.says(scene.ops, f'!alert {verb} A-1 "{"wrong " * 100}"')
    assert "The reason has 599 characters" in refused
    await scene.anna.says(scene.ops, refused.split("\n")[-1])
    assert len((await scene.alert()).closed_reason or "") == 200


async def test_a_released_room_hears_no_more_of_an_alert(scene: Scene) -> None:
    await scene.raised(f"{CLOSED} to=ops")
    await scene.root.says(scene.sea, "!room release")
    await scene.root.says(scene.sea, f"!yes {CODE}")
    await scene.cho.says(scene.ops, '!ack A-1 unable "boat 7 has a leak"')
    assert not any("boat 7" in each for each in scene.story.said(scene.sea))
    assert "boat 7" in scene.card(scene.ops)


async def test_what_waited_for_a_room_when_it_was_released_is_not_sent_any_more(scene: Scene) -> None:
    scene.story.messenger.fails = unreachable
    await scene.anna.says(scene.ops, f"{CLOSED} to=ops")
    await scene.root.says(scene.sea, "!room release")
    await scene.root.says(scene.sea, f"!yes {CODE}")
    scene.story.messenger.fails = lambda room_id, txn_id: None
    await scene.story.pass_time(minutes=5)
    assert "Bridge closed" in scene.card(scene.ops)
    assert not any("Bridge closed" in each for each in scene.story.said(scene.sea))
    assert "I no longer work in this room" in scene.story.said(scene.sea)[-1]
