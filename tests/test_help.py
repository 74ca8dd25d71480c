"""Help: what she may do here, from the declarations alone."""

import pytest

from bot.kernel.card import MAX_LINES
from bot.kernel.vocabulary import Role
from storage.transaction import Database
from tests.story import Officer, Story
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


async def test_help_lists_only_what_she_may_do_here(story: Story, anna: Officer, ops: str) -> None:
    otto = await story.member("otto", Role.OBSERVER)
    assert "• !sell" in await anna.says(ops, "!help")
    assert "• !sell" not in await otto.says(ops, "!help")
    assert (await otto.says(ops, "!help sell")).startswith("This needs the role officer")


async def test_help_shows_usage_summary_and_good_examples(anna: Officer, ops: str) -> None:
    assert await anna.says(ops, "!help toy") == (
        '!toy SIZE "LABEL" [to=TO] [in=10m] [at=14:30] [count=2] [wrapped=yes]\n'
        "Add a toy.\n"
        '• !toy small "Red ball"\n'
        '• !toy small "Red ball" to=ops in=5m\n'
        "!toy show T-1\n"
        "Show a toy.\n"
        "• !toy show T-1"
    )
    assert (await anna.says(ops, "!aide jouet montrer")).startswith("!toy show T-1")
    assert "• !note T-1" in await anna.says(ops, "!help all")
    assert (await anna.says(ops, "!help tyo")).endswith("!help toy")


async def test_help_in_two_languages_still_fits_a_telephone(story: Story, database: Database) -> None:
    whole = await Story.begin(database, agencies=())
    ada = await whole.member("ada", Role.ADMIN, Role.SUPERVISOR)
    room = await whole.room("both", members=[ada, await whole.member("otto")], language="both")
    page = await ada.says(room, "!help")
    seen = []
    while page.split("\n")[-1].endswith("!more"):
        assert len(page.split("\n")) <= MAX_LINES
        seen.append(page)
        page = await ada.says(room, "!more")
    assert len(page.split("\n")) <= MAX_LINES
    assert all("!member" in each for each in seen if "!membre" in each)
