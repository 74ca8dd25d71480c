"""Agencies: the list, and codes in one spelling."""

import pytest

from bot.kernel.errors import NotUnderstood
from bot.kernel.vocabulary import Role
from commands.agencies import code_of
from storage.transaction import Database
from tests.story import Officer, Story


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("CBP", "CBP"),
        ("cbp", "CBP"),
        (" opp-east ", "OPP-EAST"),
        ("sq", "SQ"),
        ("X2", "X2"),
        ("ABCDEFGHIJ",) * 2,
    ],
)
def test_a_code_has_one_spelling(typed: str, code: str) -> None:
    assert code_of(typed) == code


@pytest.mark.parametrize("typed", ["ABCDEFGHIJK", "-CBP", "CBP-", "C B P", "GRC·RCMP", "R&D!"])
def test_what_is_no_code_is_refused_with_one_that_is(typed: str) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        code_of(typed)
    assert code_of(refusal.value.instead or "")


@pytest.mark.parametrize("typed", ["", "A", "ÉTÉ", "日本"])
def test_where_nothing_of_a_code_is_left_none_is_invented(typed: str) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        code_of(typed)
    assert (refusal.value.instead, refusal.value.example) == (None, "!agency list")


async def begin(database: Database) -> tuple[Story, Officer, str]:
    story = await Story.begin(database, agencies=())
    ada = await story.member("ada", Role.ADMIN)
    return story, ada, await story.room("ops", members=[ada])


async def test_the_first_agency_is_added_and_listed(database: Database) -> None:
    _story, ada, ops = await begin(database)
    assert "No agency is on the list yet" in await ada.says(ops, "!agency")
    added = await ada.says(
        ops, '!agency add rcmp "Royal Canadian Mounted Police" fr="Gendarmerie royale" country=ca'
    )
    assert added.split("\n") == [
        "RCMP is on the list: Royal Canadian Mounted Police.",
        "• In French: Gendarmerie royale",
        "• Enrol its people: !member add @name:server RCMP",
    ]
    assert await ada.says(ops, "!agencies") == (
        "Agencies: 1\n• RCMP: Royal Canadian Mounted Police (CA) · 1 member"
    )


async def test_a_code_is_taken_once_in_any_case(database: Database) -> None:
    _story, ada, ops = await begin(database)
    await ada.says(ops, '!agency add CBP "Customs and Border Protection"')
    again = await ada.says(ops, '!agency add cbp "Another"')
    assert again.startswith("CBP is already on the list: Customs and Border Protection.")
    assert again.endswith("!agency list")


async def test_a_name_fits_on_a_telephone(database: Database) -> None:
    _story, ada, ops = await begin(database)
    answer = await ada.says(ops, f'!agency add CBP "{"x" * 81}"')
    assert answer.startswith("An agency's name has 1 to 80 characters, not 81.")
    retried = await ada.says(ops, answer.split("\n")[-1])
    assert retried.startswith("CBP is on the list")


async def test_a_french_reader_sees_the_french_name(database: Database) -> None:
    story, ada, ops = await begin(database)
    await ada.says(
        ops, '!agency add CBSA "Canada Border Services Agency" fr="Agence des services frontaliers"'
    )
    await ada.says(ops, '!agency add CBP "Customs and Border Protection"')
    luc = await story.member("luc", Role.OFFICER, agency="CBSA", language="fr")
    listed = await luc.says(ops, "!agence liste")
    assert "Agence des services frontaliers" in listed
    assert "Customs and Border Protection" in listed


async def test_the_correction_for_an_unknown_agency_is_the_list_where_none_is_near(
    database: Database,
) -> None:
    _story, ada, ops = await begin(database)
    answer = await ada.says(ops, "!member add @roy:rcmp.example RCMP")
    assert answer.startswith("There is no agency RCMP.")
    assert answer.endswith("!agency list")


@pytest.mark.parametrize("typed", ["!member list XYZ", '!agency add 日本 "x"'])
async def test_a_code_that_is_none_is_answered_with_the_list(database: Database, typed: str) -> None:
    story = await Story.begin(database)
    ada = await story.member("ada", Role.ADMIN)
    answer = await ada.says(story.direct_room(ada), typed)
    assert answer.endswith("Nothing was changed. Try:\n!agency list")
