"""Care for rooms: who may read there, what is wrong, and what is held back until it is mended."""

import pytest

from bot.kernel.room_care import holds_back, troubles
from bot.kernel.vocabulary import Role
from storage.pages import Pages
from storage.rooms import Room
from storage.transaction import Database
from tests.fakes import unreachable
from tests.story import Officer, Story

EVE = "@eve:elsewhere.example"


class Watched:
    """Anna of RCMP and Cho of CBP in ops; Ada is its admin."""

    def __init__(self, story: Story, room: str, anna: Officer, cho: Officer, ada: Officer) -> None:
        self.story, self.room = story, room
        self.anna, self.cho, self.ada = anna, cho, ada

    async def present(self, *others: str) -> None:
        """Exactly these, and the three, are there; the bot has seen it."""
        people = [self.anna.user_id, self.cho.user_id, self.ada.user_id, *others]
        async with self.story.database.transaction() as tx:
            await tx.rooms.settle(self.room, people)
        await self.story.pass_time(seconds=5)

    async def joins(self, user_id: str) -> str:
        """Somebody comes in; what the bot says to the room."""
        await self.present(user_id)
        content = {"user_id": user_id, "membership": "join", "by": user_id}
        await self.story.receive("member", self.room, user_id, content)
        return self.story.said(self.room)[-1]

    async def change(self, **facts: object) -> str:
        """The room's own settings change; what the bot says to the room."""
        async with self.story.database.transaction() as tx:
            await tx.rooms.change(self.room, **facts)
        await self.story.receive("settings", self.room, self.ada.user_id, {})
        return self.story.said(self.room)[-1]

    def shown(self) -> list[str]:
        """What the bot has said in the room that speaks of the alert by its headline."""
        return [said for said in self.story.said(self.room) if "Bridge closed" in said]


@pytest.fixture
async def watched(database: Database) -> Watched:
    """The scene."""
    story = await Story.begin(database)
    anna, cho = (
        await story.member("anna", Role.LIAISON),
        await story.member("cho", Role.OFFICER, agency="CBP"),
    )
    ada = await story.member("ada", Role.ADMIN)
    room = await story.room("ops", ["ops"], [anna, cho, ada])
    return Watched(story, room, anna, cho, ada)


async def test_a_stranger_who_comes_in_is_named_with_what_follows(watched: Watched) -> None:
    said = await watched.joins(EVE)
    assert "1 person here is not enrolled" in said
    assert EVE in said
    assert f"!member add {EVE} AGENCY" in said
    assert "Until that is mended I say nothing about alerts here" in said


async def test_an_alert_waits_until_the_stranger_has_gone(watched: Watched) -> None:
    await watched.joins(EVE)
    direct = watched.story.direct_room(watched.anna)
    await watched.anna.says(direct, '!alert severe "Bridge closed" to=ops')
    assert watched.shown() == []
    waits = [said for said in watched.story.said(watched.room) if "A-1 waits" in said]
    assert len(waits) == 1
    assert EVE in waits[0]
    await watched.present()
    assert watched.shown()[0].startswith("🔴 A-1 SEVERE: Bridge closed")
    assert watched.story.said(watched.room)[-1].startswith("All is well here again")


async def test_what_was_owed_before_the_stranger_came_waits_too(watched: Watched) -> None:
    usual, watched.story.messenger.fails = watched.story.messenger.fails, unreachable
    direct = watched.story.direct_room(watched.anna)
    await watched.anna.says(direct, '!alert severe "Bridge closed" to=ops')
    watched.story.messenger.fails = usual
    await watched.joins(EVE)
    await watched.story.pass_time(minutes=1)
    assert watched.shown() == []
    await watched.present()
    assert watched.shown()[0].startswith("🔴 A-1 SEVERE: Bridge closed")


async def test_a_room_that_the_bot_was_put_out_of_never_hears_what_was_held_back(watched: Watched) -> None:
    await watched.joins(EVE)
    await watched.anna.says(watched.story.direct_room(watched.anna), '!alert severe "Bridge closed" to=ops')
    async with watched.story.database.transaction() as tx:
        await tx.rooms.leave(watched.room)
    await watched.story.pass_time(seconds=5)
    async with watched.story.database.transaction() as tx:
        await tx.rooms.join(watched.room)
        assert await tx.outbox.holding() == []
    await watched.story.pass_time(minutes=1)
    assert watched.shown() == []


async def test_neither_a_list_nor_a_refusal_names_what_waits(watched: Watched) -> None:
    for headline in ("Bridge closed", "Bridge closed too"):
        await watched.anna.says(watched.room, f'!alert severe "{headline}"')
    await watched.joins(EVE)
    for typed in ("!alert list", "!alert show A-9", "!ack"):
        assert "Bridge" not in await watched.cho.says(watched.room, typed)
    assert "• A-2\n• A-1" in await watched.cho.says(watched.room, "!ack")
    assert "Bridge closed too" in watched.story.direct(watched.cho)[-1]


async def test_further_pages_about_an_alert_wait_too(watched: Watched) -> None:
    shown = Pages(
        watched.anna.user_id, watched.room, (("Bridge closed, page 2", ""),), "A-1", watched.story.clock.at
    )
    async with watched.story.database.transaction() as tx:
        await tx.pages.put(shown)
    await watched.joins(EVE)
    assert "A-1 waits" in await watched.anna.says(watched.room, "!more")
    assert watched.shown() == []


async def test_who_may_read_it_can_ask_by_direct_message_meanwhile(watched: Watched) -> None:
    await watched.joins(EVE)
    direct = watched.story.direct_room(watched.anna)
    await watched.anna.says(direct, '!alert severe "Bridge closed" to=ops')
    answer = await watched.cho.says(watched.story.direct_room(watched.cho), "!alert show A-1")
    assert "Bridge closed" in answer


async def test_what_becomes_of_an_alert_waits_too_and_is_then_shown_once(watched: Watched) -> None:
    await watched.anna.says(watched.room, '!alert severe "Bridge closed"')
    card = watched.shown()[0]
    await watched.joins(EVE)
    await watched.cho.says(watched.story.direct_room(watched.cho), '!ack A-1 unable "no boat"')
    assert "no boat" not in "".join(watched.story.said(watched.room))
    await watched.present()
    assert "no boat" in watched.shown()[0]
    assert watched.shown()[0] != card


async def test_enrolling_the_stranger_ends_the_waiting(watched: Watched) -> None:
    await watched.joins(EVE)
    await watched.anna.says(watched.story.direct_room(watched.anna), '!alert severe "Bridge closed" to=ops')
    await watched.ada.says(watched.room, f"!member add {EVE} OPP")
    await watched.story.pass_time(seconds=5)
    assert watched.shown()


async def test_an_admin_may_have_alerts_told_all_the_same(watched: Watched) -> None:
    await watched.joins(EVE)
    assert "also while somebody is not enrolled" in await watched.ada.says(
        watched.room, "!room policy strangers=tell"
    )
    assert "strangers" in await watched.ada.says(watched.room, "!room policy strangers=perhaps")
    await watched.anna.says(watched.room, '!alert severe "Bridge closed"')
    assert watched.shown()


async def test_a_suspended_member_holds_nothing_back(watched: Watched) -> None:
    await watched.ada.says(watched.room, '!member suspend @cho "telephone lost"')
    await watched.anna.says(watched.room, '!alert severe "Bridge closed"')
    assert watched.shown()


async def test_settings_that_let_others_in_or_read_are_told(watched: Watched) -> None:
    assert "Anybody can join it" in await watched.change(join_rule="public")
    assert "Guests may join it" in await watched.change(guests=True)
    said = await watched.change(visibility="world_readable")
    assert "open to the world" in said
    assert "I say nothing about alerts here" in said
    await watched.anna.says(watched.room, '!alert severe "Bridge closed"')
    assert watched.shown() == []
    before = len(watched.story.said(watched.room))
    await watched.change(visibility="shared", join_rule="invite", guests=False)
    await watched.story.pass_time(seconds=5)
    assert watched.shown()
    assert not any("Something is wrong" in said for said in watched.story.said(watched.room)[before:])


def room(**facts: object) -> Room:
    """A served room with these facts."""
    usual: dict[str, object] = {
        "served": True,
        "tags": ("ops",),
        "language": "en",
        "zone": "UTC",
        "prefix": "!",
    }
    names = [name for name in Room.__dataclass_fields__ if name not in usual]
    base = {"room_id": "!ops", "name": "ops", "direct_with": None, "reactions": False, "joined": True}
    values = usual | base | {"served_by": None, "served_at": None} | facts
    assert set(names) - set(values) <= {"holds", "visibility", "join_rule", "guests", "federated"}
    return Room(**values)  # type: ignore[arg-type]  # the fields by name


@pytest.mark.parametrize(
    ("facts", "strangers", "held"),
    [
        ({}, [], False),
        ({}, [EVE], True),
        ({"holds": False}, [EVE], False),
        ({"served": False}, [EVE], False),
        ({"visibility": "world_readable"}, [], True),
        ({"visibility": "world_readable", "holds": False}, [], False),
        ({"join_rule": "public", "guests": True}, [], False),
    ],
)
def test_what_holds_a_room_back(facts: dict[str, object], strangers: list[str], held: bool) -> None:
    assert holds_back(room(**facts), strangers) is held
    assert bool(troubles(room(**facts), strangers)) is bool(
        strangers or set(facts) & {"visibility", "join_rule"}
    )
