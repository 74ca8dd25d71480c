"""Every example of every command, good or refused, typed into the whole bot."""

from dataclasses import dataclass
from datetime import UTC

import pytest

from bot.kernel.arguments import Reader
from bot.kernel.language import Language
from bot.kernel.vocabulary import Command, Example, Role
from bot.runtime.dispatcher import complete
from bot.runtime.lines import command_start
from commands import CAPABILITIES
from storage.transaction import Database
from tests.fakes import NOON
from tests.story import BOT, Officer, Story

_, TABLE = complete(CAPABILITIES)
SHOWN = [(command, example) for command in TABLE.commands for example in command.examples]
IDS = [f"{number} {example.typed}" for number, (_, example) in enumerate(SHOWN)]

# What is typed where the bot does not work yet.
FIRST = {("room", "serve")}


@dataclass
class Stage:
    """A room with an officer who may do everything, and two from another agency to answer her."""

    story: Story
    anna: Officer
    room: str

    async def types(self, example: Example, language: Language = Language.EN) -> str:
        """Everything the bot says to her, in the room and by direct message, when she types the example."""
        for typed in example.given:
            await self.anna.says(self.room, TABLE.spelled(typed, language, "!"))
        before = len(self.story.direct(self.anna))
        said = await self.anna.says(self.room, TABLE.spelled(example.typed, language, "!"))
        return "\n".join([said, *self.story.direct(self.anna)[before:]])


async def stage(database: Database, command: Command) -> Stage:
    story = await Story.begin(database, agencies=("RCMP", "CBP"))
    anna = await story.member("anna", *Role)
    carl = await story.member("carl", Role.LIAISON, agency="CBP")
    served = command.path not in FIRST
    room = await story.room("ops", ["ops"] if served else [], [anna, carl], served=served)
    return Stage(story, anna, room)


@pytest.mark.parametrize("language", Language, ids=lambda each: each.value)
@pytest.mark.parametrize(("command", "example"), SHOWN, ids=IDS)
async def test_an_example_gets_the_answer_it_promises_in_the_words_of_either_language(
    database: Database, command: Command, example: Example, language: Language
) -> None:
    said = await (await stage(database, command)).types(example, language)
    assert example.answers in said


@pytest.mark.parametrize(("command", "example"), SHOWN, ids=IDS)
async def test_a_refused_example_changes_nothing_and_offers_what_can_be_parsed(
    database: Database, command: Command, example: Example
) -> None:
    set_up = await stage(database, command)
    said = await set_up.types(example)
    refused = [entry.outcome for entry in await set_up.story.audit()][-1] == "refused"
    assert refused == example.refused
    if refused:
        assert "Nothing was changed." in said
        correction = said.split("\n")[-1]
        start = command_start(correction, "!", [BOT])
        assert start is not None, correction
        TABLE.parse(correction, start, Reader(NOON, UTC))


@pytest.mark.parametrize("command", TABLE.commands, ids=lambda each: " ".join(each.path))
def test_a_command_shows_at_least_one_example(command: Command) -> None:
    assert command.examples
    assert all(example.typed.startswith("!") for example in command.examples)
