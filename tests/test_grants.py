"""Grants: who gets which role, where, until when; and who is left to give them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.kernel.errors import NotUnderstood
from bot.kernel.vocabulary import Role
from commands.members.grants import end_of, role_or_all
from storage.transaction import Database
from tests.fakes import NOON
from tests.story import Officer, Said, Story

TORONTO = ZoneInfo("America/Toronto")


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        ("90d", NOON + timedelta(days=90)),
        ("2 weeks", NOON + timedelta(weeks=2)),
        ("2027-01-01", datetime(2027, 1, 1, 5, tzinfo=UTC)),
        ("2027-07-01", datetime(2027, 7, 1, 4, tzinfo=UTC)),
        ("2027-01-01 12:00", datetime(2027, 1, 1, 17, tzinfo=UTC)),
        ("tomorrow 0600", datetime(2026, 11, 4, 11, tzinfo=UTC)),
        ("+90d", NOON + timedelta(days=90)),
    ],
)
def test_an_end_is_a_length_of_time_a_day_or_an_instant(typed: str, end: datetime) -> None:
    assert end_of(typed, NOON, TORONTO) == end


@pytest.mark.parametrize(
    "typed",
    [
        "2020-01-01",
        "0d",
        "soon",
        "",
        "2026-11-03",
        "2027-13-01",
        "99999w",
        "99999w 99999w 99999w 99999w 99999w",
        "13/04/2020",
        "yesterday",
        "+9999w",
    ],
)
def test_an_end_that_is_past_or_none_is_refused_with_one_that_is_not(typed: str) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        end_of(typed, NOON, TORONTO)
    assert refusal.value.argument == "until"
    assert end_of(refusal.value.instead or "", NOON, TORONTO) > NOON


@pytest.mark.parametrize(
    ("typed", "role"),
    [
        ("liaison", Role.LIAISON),
        ("SUPERVISOR", Role.SUPERVISOR),
        ("all", None),
        ("tous", None),
        ("tout", None),
    ],
)
def test_a_role_or_all_of_them(typed: str, role: Role | None) -> None:
    assert role_or_all(typed) == role


@pytest.mark.parametrize(
    ("typed", "instead"), [("liason", "liaison"), ("captain", None), ("al", None), ("everything", None)]
)
def test_a_slip_of_the_finger_never_proposes_to_take_what_nobody_named(
    typed: str, instead: str | None
) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        role_or_all(typed)
    assert refusal.value.instead == instead


class Office:
    """Ada is admin, Anna an officer; the room where they work."""

    def __init__(self, story: Story, ada: Officer, anna: Officer, room: str) -> None:
        self.story, self.ada, self.anna, self.room = story, ada, anna, room

    async def types(self, typed: str) -> Said:
        """What the bot answers Ada."""
        return await self.ada.says(self.room, typed)

    async def anna_may(self, role: Role, room: str | None = None) -> bool:
        """Whether Anna would be asked for this role: only supervisors and admins see why someone is out."""
        async with self.story.database.transaction() as tx:
            grants = await tx.members.grants(self.anna.user_id, self.story.clock.at)
        return any(grant.role == role.value and grant.room_id in (None, room) for grant in grants)


@pytest.fixture
async def office(database: Database) -> Office:
    story = await Story.begin(database)
    ada, anna = await story.member("ada", Role.ADMIN), await story.member("anna", Role.OFFICER)
    return Office(story, ada, anna, await story.room("ops", ["ops"], [ada, anna]))


async def test_a_role_counts_at_once_and_until_it_is_taken(office: Office) -> None:
    assert "This needs the role admin" in await office.anna.says(office.room, '!agency add SQ "Sûreté"')
    await office.types("!grant @anna admin")
    assert "SQ is on the list" in await office.anna.says(office.room, '!agency add SQ "Sûreté"')
    assert (await office.types("!revoke @anna admin")).split("\n") == [
        "Anna (@anna:rcmp.example) no longer has: admin.",
        "• Roles: officer",
    ]
    assert "This needs the role admin" in await office.anna.says(office.room, '!agency add SPVM "SPVM"')


async def test_a_role_ends_by_itself(office: Office) -> None:
    answer = await office.types("!grant @anna admin until=2h")
    assert answer.startswith("Anna (@anna:rcmp.example) is admin until 19:00 UTC.")
    office.story.clock.turn(timedelta(hours=2))
    assert "This needs the role admin" in await office.anna.says(office.room, '!agency add SQ "Sûreté"')


async def test_a_role_for_one_room_counts_only_there(office: Office) -> None:
    other = await office.story.room("marine", ["marine"], [office.ada, office.anna])
    assert "is supervisor in room marine" in await office.types("!grant @anna supervisor room=Marine")
    assert await office.anna_may(Role.SUPERVISOR, other)
    assert not await office.anna_may(Role.SUPERVISOR, office.room)


async def test_an_admin_of_one_room_cannot_be_made(office: Office) -> None:
    answer = await office.types("!grant @anna admin room=ops")
    assert answer.startswith("An admin is admin of the whole bot, not of one room.")
    assert answer.endswith("!help grant")


async def test_an_end_of_several_words_needs_no_quotes(office: Office) -> None:
    answer = await office.types("!grant @anna duty until=tomorrow 14:00 room=ops")
    assert "is duty in room ops until Wed 4 Nov 14:00 UTC" in answer


@pytest.mark.parametrize(
    ("typed", "under"),
    [
        ("!revoke @anna liaison agency=OPP", "OPP"),
        ("!revoke @anna duty room=ops", "ops"),
        ("!revoke @anna analyst", "analyst"),
    ],
)
async def test_a_role_that_is_not_held_is_pointed_at_and_no_other_one_is_proposed(
    office: Office, typed: str, under: str
) -> None:
    await office.story.room("marine", [], [office.ada])
    for given in ("!grant @anna liaison agency=CBP", "!grant @anna duty room=marine"):
        await office.types(given)
    said, shown, marks, *_ = (await office.types(typed)).split("\n")
    assert "does not have this role" in said
    assert shown[marks.index("^") : marks.rindex("^") + 1] == under
    assert (await office.types(typed)).split("\n")[-1].startswith("!member show @anna")


async def test_a_role_is_taken_in_one_room_and_kept_elsewhere(office: Office) -> None:
    await office.types("!grant @anna duty")
    await office.types("!grant @anna duty room=ops")
    assert "no longer has: duty in room ops." in await office.types("!revoke @anna duty room=ops")
    assert await office.anna_may(Role.DUTY)
    assert "no longer has: duty" in await office.types("!révoquer @anna duty")


async def test_a_role_for_another_agency_has_to_be_said_and_is_shown(office: Office) -> None:
    assert "is liaison for CBP" in await office.types("!grant @anna liaison agency=cbp")
    assert "• Roles: officer, liaison for CBP" in await office.types("!member show @anna:rcmp.example")
    assert "There is no agency CBQ" in await office.types("!grant @anna liaison agency=CBQ")


async def test_the_same_role_again_only_changes_its_end(office: Office) -> None:
    await office.types("!grant @anna duty until=90d")
    assert "is duty already" not in await office.types("!grant @anna duty until=30d")
    answer = await office.types("!grant @anna duty")
    assert "• Roles: officer, duty" in answer.split("\n")
    assert "is duty already" in await office.types("!grant @anna duty")


async def test_roles_are_taken_one_by_one_by_agency_or_all(office: Office) -> None:
    for typed in ("!grant @anna liaison", "!grant @anna liaison agency=CBP", "!grant @anna duty"):
        await office.types(typed)
    assert "no longer has: liaison for CBP" in await office.types("!revoke @anna liaison agency=CBP")
    assert "no longer has: officer, liaison, duty" in await office.types("!revoke @anna all")
    assert "Anna (@anna:rcmp.example) does not have this role" in await office.types("!revoke @anna all")


async def test_the_last_admin_stays_one(office: Office) -> None:
    answer = await office.types("!revoke @ada:rcmp.example admin")
    assert answer.startswith("@ada:rcmp.example is the last admin")
    assert answer.endswith("!member list")
    await office.types("!grant @anna admin")
    asked = await office.types("!revoke @ada:rcmp.example admin")
    assert asked.startswith("You take from yourself: admin. Only another admin can give it back.")
    assert "no longer has: admin" in await office.types(asked.split("\n")[-1])


async def test_an_admin_with_an_end_does_not_count_as_one_who_is_left(office: Office) -> None:
    await office.types("!grant @anna admin until=1h")
    answer = await office.anna.says(office.room, "!revoke @ada admin")
    assert answer.startswith("@ada:rcmp.example is the last admin")
    for typed in (
        "!grant @ada admin until=90d",
        '!member suspend @ada "telephone lost"',
        '!member remove @ada "left the team"',
    ):
        answer = await office.anna.says(office.room, typed)
        assert answer.startswith("@ada:rcmp.example is the last admin"), typed
    await office.types("!grant @anna admin")
    assert "is admin until" in await office.anna.says(office.room, "!grant @ada admin until=90d")


async def test_an_admin_for_two_agencies_may_lose_one_of_them(office: Office) -> None:
    await office.types("!grant @anna admin until=1h")
    await office.anna.says(office.room, "!grant @ada admin agency=CBP")
    asked = await office.types("!revoke @ada admin agency=CBP")
    assert "no longer has: admin for CBP" in await office.types(asked.split("\n")[-1])


async def test_who_is_suspended_gets_no_role(office: Office) -> None:
    await office.types('!member suspend @anna "telephone lost"')
    answer = await office.types("!grant @anna:rcmp.example duty")
    assert "is suspended: resume them first." in answer
    assert answer.endswith("!member resume @anna:rcmp.example")


async def test_who_gave_and_took_a_role_stays_on_record(office: Office) -> None:
    await office.types("!grant @anna liaison agency=CBP")
    await office.types("!revoke @anna liaison")
    async with office.story.database.transaction() as tx:
        changes = await tx.transitions.of(office.anna.user_id)
    right = "@anna:rcmp.example/liaison/CBP"
    assert [(each.object, each.to_state, each.actor) for each in changes] == [
        (right, "granted", "@ada:rcmp.example"),
        (right, "revoked", "@ada:rcmp.example"),
    ]
