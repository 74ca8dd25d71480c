"""Reactions to the cards of alerts: where they count, and what is on record where they do not."""

import pytest

from tests.alert_scene import Scene, set_scene
from tests.story import Story


@pytest.fixture
async def scene(story: Story) -> Scene:
    return await set_scene(story)


async def on_record(scene: Scene) -> list[tuple[str, str | None]]:
    entries = await scene.story.audit()
    return [(each.outcome, each.reason_code) for each in entries if each.action == "reaction"]


async def test_a_reaction_counts_only_in_the_room_of_its_card(scene: Scene) -> None:
    await scene.anna.says(scene.ops, '!alert minor "Ice" to=marine')
    card = scene.card(scene.sea)  # reactions do not count there
    await scene.cho.reacts(scene.ops, card, "✅")  # where they do
    assert "CBP silent" in scene.card(scene.sea)
    assert await on_record(scene) == []


async def test_a_tick_that_changes_nothing_is_on_record_as_refused(scene: Scene) -> None:
    severe = await scene.raised()
    await scene.cho.reacts(scene.ops, severe, "✅")
    await scene.otto.reacts(scene.ops, severe, "✅")  # an observer
    await scene.cho.reacts(scene.ops, severe, "👀")
    await scene.cho.redacts(scene.ops, scene.story.last_event)
    await scene.anna.says(scene.ops, "!alert clear A-1")
    await scene.cho.reacts(scene.ops, severe, "✅")
    await scene.cho.redacts(scene.ops, scene.story.last_event)
    assert await on_record(scene) == [
        ("refused", "unsigned_severity"),
        ("refused", "not_allowed"),
        ("refused", "no_answer"),
        ("refused", "no_answer"),
        ("refused", "closed"),
        ("refused", "nothing_to_withdraw"),
    ]


async def test_a_tick_that_counts_is_on_record_as_done_and_one_without_effect_here_as_refused(
    scene: Scene,
) -> None:
    await scene.anna.says(scene.ops, '!alert minor "Ice" to=ops')
    await scene.cho.reacts(scene.sea, scene.card(scene.sea), "✅")
    await scene.cho.reacts(scene.ops, scene.card(scene.ops), "✅")
    assert await on_record(scene) == [("refused", "reactions_off"), ("ok", None)]
