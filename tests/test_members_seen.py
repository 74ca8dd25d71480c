"""Stories of an identity that is seen after its member was enrolled: whoever enrolled her is told."""

import pytest

from bot.kernel.vocabulary import Role
from storage.members import FIRST_SIGHT
from storage.transaction import Database
from tests.story import Officer, Story

ROY = "@roy:rcmp.example"
KEY = "fO37Gq0XyL6z1oTn8Vb4WcRk2mDs9HaEuPjI5tQxNZk"


class Desk:
    """Ada enrols people, in a room of hers."""

    def __init__(self, story: Story, ada: Officer, ops: str) -> None:
        self.story, self.ada, self.ops = story, ada, ops

    async def sees(self, user_id: str, key: str = KEY) -> None:
        """The homeserver shows an identity for the first time."""
        async with self.story.database.transaction() as tx:
            await tx.members.pin(user_id, key, FIRST_SIGHT, self.story.clock.at)
        await self.story.receive("identity", "", user_id, {"user_id": user_id, "identity": key})


@pytest.fixture
async def desk(database: Database) -> Desk:
    story = await Story.begin(database)
    ada = await story.member("ada", Role.ADMIN)
    return Desk(story, ada, await story.room("ops", [], [ada]))


async def test_the_fingerprint_is_told_where_the_member_was_enrolled(desk: Desk) -> None:
    said = await desk.ada.says(desk.ops, f"!member add {ROY} RCMP")
    assert "I am asking the homeserver for it" in said
    enrolment = desk.story.last_event
    await desk.sees(ROY)
    told = desk.story.said(desk.ops)[-1]
    assert told.split("\n") == [
        f"The homeserver shows me {ROY}. I have pinned this identity:",
        "fO37 Gq0X yL6z 1oTn 8Vb4 WcRk 2mDs 9HaE uPjI 5tQx NZk",
        "Compare it with them by telephone, group by group.",
    ]
    assert (told.reply_to, told.rings) == (enrolment, False)


async def test_it_is_told_directly_where_the_room_is_served_no_more(desk: Desk) -> None:
    await desk.ada.says(desk.ops, f"!member add {ROY} RCMP")
    async with desk.story.database.transaction() as tx:
        await tx.rooms.change(desk.ops, served=False)
    await desk.sees(ROY)
    assert ROY in desk.story.direct(desk.ada)[-1]


async def test_nobody_is_told_whom_the_configuration_enrolled_or_what_is_pinned_no_more(desk: Desk) -> None:
    await desk.sees(desk.ada.user_id)
    await desk.ada.says(desk.ops, f"!member add {ROY} RCMP fingerprint={KEY}")
    before = len(desk.story.messenger.sent)
    await desk.sees(ROY, "another")
    assert len(desk.story.messenger.sent) == before
