"""Confirmation: what cannot be undone waits for its code, which counts once."""

import pytest

from bot.kernel.vocabulary import Role
from storage.audit import Entry
from storage.transaction import Database
from tests.story import CODE, Officer, Story
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


async def last(story: Story) -> Entry:
    return (await story.audit())[-1]


async def test_what_cannot_be_undone_is_shown_first_and_done_with_its_code(
    story: Story, anna: Officer, ops: str
) -> None:
    shown = await anna.says(ops, "!sell T-1 5")
    assert shown.startswith("T-1 would be sold for 5\n")
    assert shown.endswith(f"!yes {CODE}")
    assert (await last(story)).reason_code == "awaiting_code"
    assert await anna.says(ops, f"!yes {CODE}") == "T-1 is sold for 5"
    entry = await last(story)
    assert (entry.action, entry.reason_code, entry.object) == ("sell", "confirmed", "T-1")
    assert (await anna.says(ops, f"!yes {CODE}")).startswith("Nothing of yours waits for a code here")


async def test_a_code_counts_for_her_on_her_device_here_and_now(
    story: Story, anna: Officer, carl: Officer, ops: str
) -> None:
    await anna.says(ops, "!sell T-1 5")
    assert (await carl.says(ops, f"!yes {CODE}")).startswith("Nothing of yours waits")
    assert "only on the device" in await anna.with_device("OTHER").says(ops, f"!yes {CODE}")
    assert (await anna.says(story.direct_room(anna), f"!yes {CODE}")).startswith("Nothing of yours waits")
    await story.pass_time(seconds=121)
    assert (await anna.says(ops, f"!yes {CODE}")).startswith("That code is no longer valid")


async def test_wrong_codes_are_counted(story: Story, anna: Officer, ops: str) -> None:
    await anna.says(ops, "!sell T-1 5")
    for _ in range(4):
        assert (await anna.says(ops, "!yes 0000")).startswith("That is not the code")
    assert (await anna.says(ops, "!yes 0000")).startswith("That was the wrong code too often")
    assert (await anna.says(ops, f"!yes {CODE}")).startswith("Nothing of yours waits")
    assert (await last(story)).outcome == "refused"


async def test_a_preview_may_refuse(anna: Officer, ops: str) -> None:
    assert (await anna.says(ops, "!sell T-1 -3")).endswith("!sell T-1 5")


async def test_the_reference_of_a_reply_waits_with_the_command(anna: Officer, ops: str) -> None:
    card = await anna.says(ops, "!toy small Ball to=ops")
    await anna.replies(ops, card, "!sell 5")
    assert await anna.says(ops, f"!yes {CODE}") == "T-1 is sold for 5"


async def test_a_code_is_spent_even_if_what_it_confirmed_is_refused_or_fails(
    story: Story, anna: Officer, ops: str
) -> None:
    await anna.says(ops, "!sell T-1 5")
    async with story.database.transaction() as tx:
        await tx.members.revoke(anna.user_id, story.clock.at)
    assert "needs the role officer" in await anna.says(ops, f"!yes {CODE}")
    async with story.database.transaction() as tx:
        await tx.members.grant(anna.user_id, "officer", "RCMP", by="@root:agency.example", now=story.clock.at)
    assert (await anna.says(ops, f"!yes {CODE}")).startswith("Nothing of yours waits")
    await anna.says(ops, "!sell T-1 13")
    assert (await anna.says(ops, f"!yes {CODE}")).startswith("Something failed here")
    assert (await anna.says(ops, f"!yes {CODE}")).startswith("Nothing of yours waits")
