"""Identities: devices that count, and how a new identity comes to count."""

from typing import Any

import pytest

from bot.kernel.vocabulary import Role
from bot.kernel.words import grouped
from commands.members.rules import SAMPLE, why_not_counted
from storage.crypto import DeviceList
from storage.members import ACTIVE, SUSPENDED, Member
from storage.transaction import Database
from tests.fakes import NOON
from tests.story import CODE, Officer, Said, Story

OLD, NEW = "A" * 43, SAMPLE.replace(" ", "")
ROY = "@roy:cbp.example"


class Reset:
    """Roy of CBP, whose identity was OLD, is shown with NEW; Ada and Bea are admins, Sam is a supervisor."""

    def __init__(self, story: Story, room: str, *people: Officer) -> None:
        self.story, self.room = story, room
        self.ada, self.bea, self.sam = people

    async def shows(self, master: str | None, **signed: bool) -> None:
        """The homeserver shows this identity for Roy, and these devices."""
        devices = [
            {
                "user_id": ROY,
                "device_id": name,
                "ed25519": name,
                "curve25519": name,
                "signed": ok,
                "name": "Telephone",
            }
            for name, ok in signed.items()
        ]
        document: dict[str, Any] = {"master": master, "devices": devices}
        async with self.story.database.transaction() as tx:
            await tx.crypto.save_device_lists([DeviceList(ROY, False, document, master)])

    async def confirms(self, officer: Officer, typed: str) -> Said:
        """The answer after the code was typed too."""
        assert "Nothing is done yet" in await officer.says(self.room, typed)
        return await officer.says(self.room, f"!yes {CODE}")

    async def pinned(self) -> str | None:
        """What is pinned for Roy."""
        async with self.story.database.transaction() as tx:
            member = await tx.members.find(ROY)
        assert member is not None
        return member.master_key


@pytest.fixture
async def reset(database: Database) -> Reset:
    """The scene."""
    story = await Story.begin(database)
    people = [await story.member("ada", Role.ADMIN), await story.member("bea", Role.ADMIN)]
    people.append(await story.member("sam", Role.SUPERVISOR))
    scene = Reset(story, await story.room("ops", ["ops"], people), *people)
    await scene.shows(OLD)
    await people[0].says(scene.room, f"!member add {ROY} CBP")
    await scene.shows(NEW)
    return scene


async def test_both_identities_are_shown_before_anything_is_noted(reset: Reset) -> None:
    answer = await reset.ada.says(reset.room, "!member verify @roy")
    assert f"Pinned: {grouped(OLD)}" in answer
    assert f"Shown now: {grouped(NEW)}" in answer
    assert await reset.pinned() == OLD


@pytest.mark.parametrize("second", ["bea", "sam"])
async def test_two_people_who_compared_it_pin_a_new_identity(reset: Reset, second: str) -> None:
    answer = await reset.confirms(reset.ada, "!member verify @roy")
    assert answer.startswith("Noted. A second person must compare it too")
    assert await reset.pinned() == OLD
    verb = {"bea": "verify", "sam": "confirm"}[second]
    answer = await reset.confirms(getattr(reset, second), f"!member {verb} @roy")
    assert answer.startswith(f"The new identity of {ROY} is pinned")
    assert f"Compared by {reset.ada.user_id} and" in answer
    assert await reset.pinned() == NEW
    assert "pinned after two people compared it" in await reset.ada.says(reset.room, "!member show @roy")
    async with reset.story.database.transaction() as tx:
        assert await tx.crypto.violations() == []


async def test_nobody_is_the_second_person_too(reset: Reset) -> None:
    for _ in range(2):
        answer = await reset.confirms(reset.ada, "!member verify @roy")
        assert answer.startswith("Noted.")
    assert await reset.pinned() == OLD


async def test_another_identity_than_the_one_compared_begins_anew(reset: Reset) -> None:
    await reset.confirms(reset.ada, "!member verify @roy")
    await reset.shows("B" * 43)
    assert (await reset.confirms(reset.bea, "!member verify @roy")).startswith("Noted.")
    assert await reset.pinned() == OLD


async def test_a_code_counts_only_for_the_identity_that_was_shown(reset: Reset) -> None:
    for officer in (reset.ada, reset.bea):
        await officer.says(reset.room, "!member verify @roy")
        await reset.shows("B" * 43)  # the homeserver exchanges it once it was compared
        answer = await officer.says(reset.room, f"!yes {CODE}")
        assert answer.startswith("This has changed since I showed it to you. Look again:")
        assert f"Shown now: {grouped('B' * 43)}" in answer
        await reset.shows(NEW)
    async with reset.story.database.transaction() as tx:
        assert await tx.repins.find(ROY) is None
    assert await reset.pinned() == OLD


async def test_what_was_shown_anew_can_be_confirmed(reset: Reset) -> None:
    await reset.ada.says(reset.room, "!member verify @roy")
    await reset.shows("B" * 43)
    await reset.ada.says(reset.room, f"!yes {CODE}")
    assert (await reset.ada.says(reset.room, f"!yes {CODE}")).startswith("Noted.")


async def test_supervisors_confirm_what_an_admin_has_compared_and_nothing_else(reset: Reset) -> None:
    assert "No other person has compared" in await reset.sam.says(reset.room, "!member confirm @roy")
    sue = await reset.story.member("sue", Role.SUPERVISOR)
    assert "No other person has compared" in await sue.says(reset.room, "!member confirm @roy")
    both = await reset.story.member("kim", Role.ADMIN, Role.SUPERVISOR)
    await reset.confirms(both, "!member verify @roy")
    answer = await both.says(reset.room, "!member confirm @roy")
    assert "No other person has compared" in answer
    assert answer.endswith(f"!member verify {ROY}")
    assert await reset.pinned() == OLD


async def test_the_word_of_somebody_suspended_meanwhile_does_not_count(reset: Reset) -> None:
    await reset.confirms(reset.ada, "!member verify @roy")
    await reset.bea.says(reset.room, '!member suspend @ada "telephone stolen"')
    assert (await reset.confirms(reset.bea, "!member verify @roy")).startswith("Noted.")
    assert await reset.pinned() == OLD


async def test_removing_and_enrolling_anew_does_not_replace_a_pin(reset: Reset) -> None:
    await reset.confirms(reset.ada, '!member remove @roy "new telephone"')
    answer = await reset.ada.says(reset.room, f'!member add {ROY} CBP fingerprint="{SAMPLE}"')
    assert "two people compare a new one" in answer
    await reset.ada.says(reset.room, f"!member add {ROY} CBP")
    assert await reset.pinned() == OLD


async def test_a_comparison_waits_for_a_day(reset: Reset) -> None:
    await reset.confirms(reset.ada, "!member verify @roy")
    await reset.story.pass_time(hours=24)
    assert (await reset.confirms(reset.bea, "!member verify @roy")).startswith("Noted.")
    assert await reset.pinned() == OLD


async def test_what_cannot_be_verified_is_refused(reset: Reset) -> None:
    for shown, why in ((None, "I have seen no identity of"), (OLD, "has just the identity that is pinned")):
        await reset.shows(shown)
        assert why in await reset.ada.says(reset.room, "!member verify @roy")
    assert "Nobody verifies their own identity" in await reset.ada.says(reset.room, "!member verify @ada")
    assert "This needs the role admin" in await reset.sam.says(reset.room, "!member verify @roy")
    assert "This needs the role supervisor" in await reset.ada.says(reset.room, "!member confirm @roy")


async def test_one_admin_alone_does_not_replace_a_pin(reset: Reset) -> None:
    answer = await reset.ada.says(reset.room, f'!member pin @roy "{SAMPLE}"')
    assert "two people compare a new one" in answer
    assert answer.endswith(f"!member verify {ROY}")
    assert await reset.pinned() == OLD


async def test_devices_are_listed_with_why_they_count_or_do_not(reset: Reset) -> None:
    await reset.shows(OLD, AAAA=True, BBBB=False)
    answer = await reset.ada.says(reset.room, "!member devices @roy")
    assert "• AAAA Telephone · counts: signed by the identity that is pinned" in answer
    assert "• BBBB Telephone · does not count: its owner has not verified it" in answer


def member(state: str = ACTIVE, pin: str | None = OLD) -> Member:
    """Roy, as the record has him."""
    return Member(ROY, "CBP", None, None, None, state, pin, None, None, "@ada:rcmp.example", NOON)


@pytest.mark.parametrize(
    ("who", "shown", "signed", "why"),
    [
        (member(), OLD, True, None),
        (member(), OLD, False, "its owner has not verified it"),
        (member(), NEW, True, "another identity than the pinned one"),
        (member(), None, True, "the pinned identity is no longer shown"),
        (member(pin=None), NEW, True, "no identity is pinned yet"),
        (member(SUSPENDED), OLD, True, "the member is suspended"),
    ],
)
def test_a_device_counts_only_if_all_is_well(
    who: Member, shown: str | None, signed: bool, why: str | None
) -> None:
    reason = why_not_counted(who, shown, signed=signed)
    assert (reason.one if reason else None) == (why and f"does not count: {why}")
