"""Members: enrolment, identities, standing."""

from datetime import timedelta
from typing import Any

import pytest

from bot.kernel.errors import NotUnderstood
from bot.kernel.vocabulary import Role
from bot.kernel.words import grouped
from commands.members.rules import SAMPLE, in_words, key_of, name_of
from storage.crypto import DeviceList
from storage.members import ACTIVE, REMOVED, SUSPENDED, Grant, Member
from storage.transaction import Database
from tests.fakes import NOON
from tests.story import CODE, Officer, Said, Story

KEY = SAMPLE.replace(" ", "")
OTHER = "A" * 43
ROY = "@roy:cbp.example"


@pytest.mark.parametrize(
    "typed",
    [KEY, SAMPLE, f"{KEY}=", f"  {KEY}\n", SAMPLE.replace(" ", "  "), SAMPLE.replace(" ", "\u202f")],
)
def test_a_fingerprint_is_read_with_or_without_spaces_and_padding(typed: str) -> None:
    assert key_of(typed) == KEY


@pytest.mark.parametrize(
    "typed", ["", "abcd", KEY[:-1], f"{KEY}A", KEY.replace("f", "é"), f"{KEY[:-1]}l", "=" * 44]
)
def test_what_is_no_ed25519_key_is_no_fingerprint(typed: str) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        key_of(typed)
    assert refusal.value.instead is None  # a fingerprint of nobody's must not be pinned by a paste


def test_a_fingerprint_is_shown_in_groups_of_four() -> None:
    assert grouped(KEY) == SAMPLE
    assert grouped("") == ""


@pytest.mark.parametrize("typed", ["", "   ", "x" * 61])
def test_a_name_has_a_length(typed: str) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        name_of(typed)
    assert name_of((refusal.value.instead or "").strip('"'))


@pytest.mark.parametrize(
    ("agency", "room_id", "expires", "template"),
    [
        ("CBP", None, False, "liaison"),
        ("RCMP", None, False, "{role} for {agency}"),
        ("CBP", "!ops", False, "{role} in room {room}"),
        ("CBP", None, True, "{role} until {end}"),
    ],
)
def test_a_grant_says_only_what_is_not_usual(
    agency: str, room_id: str | None, expires: bool, template: str
) -> None:
    end = NOON if expires else None
    grant = Grant(1, ROY, "liaison", agency, room_id, "@ada:rcmp.example", NOON, end, None)
    assert in_words(grant, "CBP", {"!ops": "ops"}).one == template


class Office:
    """Ada is admin; the room where she works."""

    def __init__(self, story: Story, ada: Officer, room: str) -> None:
        self.story, self.ada, self.room = story, ada, room

    async def types(self, typed: str) -> Said:
        """What the bot answers Ada."""
        return await self.ada.says(self.room, typed)

    async def confirms(self, typed: str) -> Said:
        """The answer after the code was typed too."""
        assert "Nothing is done yet" in await self.types(typed)
        return await self.types(f"!yes {CODE}")

    async def shown_identity(self, user_id: str, master: str | None) -> None:
        """The homeserver shows this identity."""
        async with self.story.database.transaction() as tx:
            document: dict[str, Any] = {"master": master, "devices": []}
            await tx.crypto.save_device_lists([DeviceList(user_id, False, document, None)])

    async def member(self, user_id: str) -> Member:
        """A member as stored."""
        async with self.story.database.transaction() as tx:
            found = await tx.members.find(user_id)
        assert found is not None
        return found


@pytest.fixture
async def office(database: Database) -> Office:
    story = await Story.begin(database)
    ada = await story.member("ada", Role.ADMIN)
    return Office(story, ada, await story.room("ops", ["ops"], [ada], zone="America/Toronto"))


async def test_who_is_enrolled_is_listened_to_from_then_on(office: Office) -> None:
    roy = await office.story.stranger("roy")
    roy.user_id = ROY
    assert await roy.says(office.room, "!ping") == ""
    await office.types(f"!member add {ROY} CBP")
    assert (await roy.says(office.room, "!ping")).startswith("pong")


async def test_enrolment_pins_the_identity_that_is_known_and_shows_it(office: Office) -> None:
    await office.shown_identity(ROY, KEY)
    answer = await office.types(f"!member add {ROY} CBP")
    assert SAMPLE in answer
    assert "Compare it with them by telephone" in answer
    assert ((await office.member(ROY)).master_key, (await office.member(ROY)).pinned_how) == (
        KEY,
        "enrolment",
    )


async def test_enrolment_leaves_open_what_is_not_known_yet(office: Office) -> None:
    answer = await office.types(f'!member add {ROY} cbp supervisor name="Roy Dubois" lang=fr tz=detroit')
    assert answer.startswith(f"Roy Dubois ({ROY}) is enrolled for CBP as supervisor.")
    assert "Identity: not pinned yet" in answer
    roy = await office.member(ROY)
    assert (roy.language, roy.zone, roy.master_key) == ("fr", "America/Detroit", None)


async def test_a_fingerprint_given_at_enrolment_is_pinned(office: Office) -> None:
    assert SAMPLE in await office.types(f'!member add {ROY} CBP fingerprint="{SAMPLE}"')
    assert (await office.member(ROY)).pinned_how == "fingerprint"


async def test_a_fingerprint_that_is_not_shown_by_the_homeserver_is_refused(office: Office) -> None:
    await office.shown_identity(ROY, OTHER)
    answer = await office.types(f'!member add {ROY} CBP fingerprint="{SAMPLE}"')
    assert answer.startswith(f"The homeserver shows another identity for {ROY}")
    assert OTHER not in answer.replace(" ", "")
    async with office.story.database.transaction() as tx:
        assert await tx.members.find(ROY) is None


async def test_who_is_enrolled_is_not_enrolled_again(office: Office) -> None:
    await office.types(f"!member add {ROY} CBP")
    assert f"{ROY} is enrolled already, for CBP: active member." in await office.types(
        f"!member add {ROY} RCMP"
    )
    await office.types(f'!member suspend {ROY} "telephone lost"')
    assert (await office.types(f"!member add {ROY} RCMP")).endswith(f"!member resume {ROY}")


async def test_only_an_admin_enrols_grants_suspends_and_removes(office: Office) -> None:
    await office.story.member("otto", Role.OBSERVER)
    anna = await office.story.member("anna", Role.SUPERVISOR)
    for typed in (
        f"!member add {ROY} CBP",
        f"!member pin @otto {KEY}",
        '!member suspend @otto "x"',
        "!member resume @otto",
        '!member remove @otto "x"',
        "!grant @otto admin",
        "!revoke @otto all",
        '!agency add SQ "Sûreté du Québec"',
    ):
        assert "This needs the role admin" in await anna.says(office.room, typed), typed


@pytest.mark.parametrize(
    "typed",
    [
        "!member add @ada:rcmp.example CBP",
        f"!member pin @ada {KEY}",
        '!member suspend @ada "x"',
        '!member remove @ada "x"',
        "!grant @ada supervisor",
    ],
)
async def test_nobody_decides_about_herself(office: Office, typed: str) -> None:
    await office.story.member("bea", Role.ADMIN)
    answer = await office.types(typed)
    assert "Another admin has to do it" in answer
    assert "Nothing was changed" in answer


async def test_suspended_is_not_heard_and_keeps_her_roles_for_later(office: Office) -> None:
    anna = await office.story.member("anna", Role.OFFICER)
    answer = await office.types('!member suspend @anna "telephone lost"')
    assert answer.startswith("Anna (@anna:rcmp.example) is suspended")
    assert await anna.says(office.room, "!ping") == ""
    assert "SUSPENDED" in await office.types("!member list")
    assert "@ada:rcmp.example: telephone lost" in await office.types("!member show @anna:rcmp.example")
    again = await office.types("!member resume @anna:rcmp.example")
    assert "• Roles: officer" in again
    assert (await anna.says(office.room, "!ping")).startswith("pong")


async def test_why_somebody_is_suspended_is_for_those_who_decide_about_it(office: Office) -> None:
    await office.story.member("anna", Role.OFFICER)
    otto = await office.story.member("otto", Role.OBSERVER)
    await office.types('!member suspend @anna "under investigation"')
    shown = await otto.says(office.room, "!member show @anna:rcmp.example")
    assert "suspended member" in shown
    assert "investigation" not in shown


async def test_removal_waits_for_its_code_and_ends_every_role(office: Office) -> None:
    anna = await office.story.member("anna", Role.OFFICER, Role.LIAISON)
    assert "2 roles have ended" in await office.confirms('!member remove @anna "left the team"')
    assert (await office.member(anna.user_id)).state == REMOVED
    assert await anna.says(office.room, "!ping") == ""
    assert "@anna:rcmp.example is not enrolled" in await office.types("!member show @anna:rcmp.example")
    async with office.story.database.transaction() as tx:
        assert await tx.members.grants(anna.user_id, office.story.clock.at) == []
        changes = await tx.transitions.of(anna.user_id)
    assert [(each.from_state, each.to_state, each.reason) for each in changes] == [
        (ACTIVE, REMOVED, "left the team")
    ]


async def test_who_comes_back_is_held_to_the_identity_she_had(office: Office) -> None:
    anna = await office.story.member("anna", Role.OFFICER)
    await office.confirms('!member remove @anna "left the team"')
    await office.shown_identity(anna.user_id, OTHER)
    answer = await office.types(f"!member add {anna.user_id} CBP")
    assert "ANOTHER identity is shown now" in answer
    back = await office.member(anna.user_id)
    assert (back.agency, back.state, back.master_key) == ("CBP", ACTIVE, "key-anna")


async def test_the_list_is_of_one_agency_or_of_all(office: Office) -> None:
    await office.story.member("carl", Role.LIAISON, agency="CBP")
    assert (await office.types("!members")).split("\n") == [
        "Members: 2",
        "• CBP · Carl (@carl:cbp.example) · liaison",
        "• RCMP · Ada (@ada:rcmp.example) · admin",
    ]
    assert "Ada" not in await office.types("!member list cbp")
    assert await office.types("!member list OPP") == "Nobody of OPP is enrolled."


async def test_a_member_is_shown_with_all_that_is_recorded(office: Office) -> None:
    await office.types(f'!member add {ROY} CBP liaison name="Roy Dubois" fingerprint={KEY} tz=detroit')
    await office.story.pass_time(hours=1)
    assert (await office.types("!member show Roy Dubois")).split("\n") == [
        f"Roy Dubois ({ROY}) · CBP · active member",
        "• Roles: liaison",
        f"• Identity pinned by fingerprint, 12:00 EST (17:00Z): {SAMPLE}",
        "• Language: the room's · Zone: America/Detroit",
        "• Enrolled 12:00 EST (17:00Z) by @ada:rcmp.example",
    ]


async def test_a_misspelt_member_is_answered_with_the_one_meant(office: Office) -> None:
    await office.story.member("anna", Role.OFFICER)
    answer = await office.types("!member show @annna:rcmp.example")
    assert answer.startswith("@annna:rcmp.example is not enrolled.")
    assert answer.endswith("!member show @anna:rcmp.example")


async def test_without_first_sight_an_admin_has_to_give_the_fingerprint(database: Database) -> None:
    story = await Story.begin(database, pins_at_sight=False)
    ada = await story.member("ada", Role.ADMIN)
    office = Office(story, ada, await story.room("ops", members=[ada]))
    await office.shown_identity(ROY, KEY)
    answer = await office.types(f"!member add {ROY} CBP")
    assert "I take no commands before that:" in answer
    assert (await office.member(ROY)).master_key is None


async def test_the_audit_record_names_the_person_of_an_act_and_of_a_refusal(office: Office) -> None:
    await office.types(f"!member add {ROY} CBP")
    await office.types(f"!member resume {ROY}")
    entries = [(each.action, each.object, each.outcome) for each in await office.story.audit()]
    assert entries == [("member.add", ROY, "ok"), ("member.resume", ROY, "refused")]


async def test_a_suspended_admin_does_not_count_as_one_who_is_left(office: Office) -> None:
    bea = await office.story.member("bea", Role.ADMIN)
    await office.types('!member suspend @bea "telephone lost"')
    assert "is the last admin" in await office.types("!revoke @ada:rcmp.example admin")
    assert (await office.member(bea.user_id)).state == SUSPENDED


async def test_a_suspended_member_is_known_by_name(office: Office) -> None:
    await office.story.member("opal", agency="OPP")
    await office.types('!member suspend opal "telephone lost"')
    assert "(@opal:opp.example) is active again" in await office.types("!member resume opal")


async def test_a_comma_behind_an_id_is_no_part_of_it(office: Office) -> None:
    assert f"{ROY} is enrolled for CBP" in await office.types(f"!member add {ROY}, CBP")


async def test_a_grant_that_ran_out_is_not_shown(office: Office) -> None:
    await office.types(f"!member add {ROY} CBP")
    await office.types("!grant @roy duty until=2h")
    assert "duty until 14:00 EST (19:00Z)" in await office.types("!member show @roy")
    office.story.clock.turn(timedelta(hours=2))
    assert "• Roles: officer" in (await office.types("!member show @roy")).split("\n")
