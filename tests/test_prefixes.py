"""Prefixes: a command that the bot names works where it is read."""

import re
from pathlib import Path

import pytest

from bot.kernel.vocabulary import Role
from tests.alert_scene import CLOSED, Scene, set_scene
from tests.story import CODE, Officer, Said, Story

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for folder in ("bot/runtime", "bot/kernel", "commands") for path in (ROOT / folder).rglob("*.py")
)


@pytest.fixture
async def scene(story: Story) -> Scene:
    """The room of operations begins its commands with a full stop, the other with an exclamation mark."""
    scene = await set_scene(story)
    await scene.root.says(scene.ops, "!room policy prefix=.")
    return scene


@pytest.mark.parametrize("path", SOURCES, ids=lambda each: str(each.relative_to(ROOT)))
def test_no_source_writes_a_command_with_a_prefix_of_its_own(path: Path) -> None:
    # In a text, in a part of a card or as its value; `example=` is spelled by the refusal.
    written = r"""(?:Code\(|command=)f?['"]!.*|^ *(?:t\()?"[^"]*[a-z,] ![a-z].*"""
    assert re.findall(written, path.read_text(), re.MULTILINE) == []


async def obeyed(officer: Officer, room: str, command: str) -> Said:
    """The answer to a command that the bot named."""
    answer = await officer.says(room, command)
    assert answer, command
    assert "Nothing was changed" not in answer, f"{command}: {answer}"
    return answer


async def test_a_card_names_the_command_with_the_prefix_of_its_room(scene: Scene) -> None:
    await scene.anna.says(scene.ops, f".{CLOSED[1:]} to=ops")
    for room, command in ((scene.ops, ".ack A-1"), (scene.sea, "!ack A-1")):
        assert scene.card(room).split("\n")[2].endswith(f": {command}")
        assert f"<code>{command}</code>" in scene.card(room).html
    assert "your answer is on record" in await obeyed(scene.cho, scene.ops, ".ack A-1")


async def test_a_direct_message_names_it_with_the_prefix_of_the_direct_room(scene: Scene) -> None:
    await scene.anna.says(scene.ops, f".{CLOSED[1:]}")
    await scene.story.pass_time(minutes=16)
    (told,) = scene.story.direct(scene.sue)
    assert told.endswith(": !ack A-1")
    await scene.cho.says(scene.ops, ".alrt A-1")
    (refused,) = scene.story.direct(scene.cho)
    await obeyed(scene.cho, scene.story.direct_room(scene.cho), refused.split("\n")[-1])


async def test_a_card_names_the_command_in_the_language_of_its_reader(story: Story) -> None:
    luc = await story.member("luc", Role.LIAISON, language="fr")
    cho = await story.member("cho", Role.OFFICER, agency="CBP")
    room = await story.room("both", [], [luc, cho], language="both", prefix="+")
    await luc.says(room, f"+{CLOSED[1:]}")
    card = story.said(room)[0]
    assert "<code>+ack A-1</code>" in card.html
    assert "<code>+accuser A-1</code>" in card.html
    assert "est consignée" in await obeyed(luc, room, "+accuser A-1")


async def test_a_long_answer_goes_on_with_the_command_it_names(scene: Scene) -> None:
    first = await scene.root.says(scene.ops, ".help all")
    command = first.split("\n")[-1].rpartition(": ")[2]
    assert command == ".more"
    await obeyed(scene.root, scene.ops, command)


async def test_a_code_is_asked_for_with_the_prefix_and_a_released_room_has_none_of_its_own(
    scene: Scene,
) -> None:
    shown = await scene.root.says(scene.ops, ".room release")
    assert shown.endswith(f".yes {CODE}")
    released = await obeyed(scene.root, scene.ops, shown.split("\n")[-1])
    assert "I serve this room as ops" in await obeyed(scene.root, scene.ops, released.rpartition(": ")[2])


async def test_who_speaks_with_the_bot_alone_is_told_how_commands_begin(story: Story) -> None:
    luc = await story.member("luc", language="fr")
    assert (await luc.says(story.direct_room(luc), "bonjour")).endswith("!aide les affiche")


async def test_a_command_that_called_the_bot_by_name_is_mended_behind_the_prefix(scene: Scene) -> None:
    refused = await scene.anna.says(scene.ops, "tandem: alert sever “Bridge closed”")
    assert refused.split("\n")[-1] == ".alert severe “Bridge closed”"
