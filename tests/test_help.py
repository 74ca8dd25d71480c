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
        '!toy SIZE "LABEL" [to=TAG] [in=10m] [at=14:30] [count=2] [wrapped=yes]\n'
        "Add a toy.\n"
        "size: small, medium, large\n"
        '• !toy small "Red ball"\n'
        '• !toy small "Red ball" to=ops in=5m\n'
        "• !toy show"
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


async def test_help_on_a_command_is_all_that_is_known_of_it(database: Database) -> None:
    whole = await Story.begin(database)
    anna, ada = await whole.member("anna", Role.LIAISON), await whole.member("ada", Role.ADMIN)
    shown = (await anna.says(whole.direct_room(anna), "!help alert")).split("\n")
    assert shown[0] == '!alert SEVERITY "HEADLINE" [to=TAG] [ack=none|any|each] [in=10m] [for=AGENCY]'
    assert "`to=ops` or `to=ops,marine` to every room with that tag" in shown[2]
    assert shown[3:5] == ["severity: minor, moderate, severe, extreme", '• !alert severe "Bridge closed"']
    assert shown[-1] == "• !alert update · cancel · clear · cap · list · who · show"
    assert "role: observer, officer" in await ada.says(whole.direct_room(ada), "!help grant")


async def test_help_in_french_is_in_french_to_the_last_word(database: Database) -> None:
    whole = await Story.begin(database)
    luc = await whole.member("luc", Role.LIAISON, Role.ADMIN, language="fr")
    there = whole.direct_room(luc)
    shown = await luc.says(there, "!aide alerte")
    assert "[à=ÉTIQUETTE] [accusé=aucune|une|chacune] [dans=10m] [pour=AGENCE]" in shown
    assert '• !alerte mineure "Radio test at noon" accusé=aucune' in shown
    assert '• !accuser A-1 incapable "no boat before noon"' in await luc.says(there, "!aide accuser")
    shown = await luc.says(there, "!aide salon règles")
    assert "[langue=anglais|français|bilingue]" in shown
    assert "• !salon règles étiquettes=ops,marine réactions=oui" in shown
    assert "jusque=90j" in await luc.says(there, "!aide accorder")
    pages = [await luc.says(there, "!aide"), await luc.says(there, "!suite")]
    assert "• !membre ajouter · épingler · appareils · vérifier · liste · voir" in "\n".join(pages)
    assert "·  ·" not in "\n".join(pages)
    assert (await luc.says(there, '!alerte rouge "Pont"')).endswith("!aide alerte")
