"""Stories of reactions to the cards of alerts: what a tick may answer, and what it may not."""

import pytest

from bot.kernel.vocabulary import Role
from tests.alert_scene import Scene, set_scene
from tests.story import Story


@pytest.fixture
async def scene(story: Story) -> Scene:
    return await set_scene(story)


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
