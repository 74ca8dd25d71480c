"""Rooms: the bot works where an admin told it to, and says how."""

import pytest

from bot.kernel.errors import NotUnderstood
from bot.kernel.vocabulary import Role
from commands.rooms import name_of, own_tag, prefix_of, tags_of
from storage.transaction import Database
from tests.story import CODE, Officer, Story


@pytest.mark.parametrize(
    ("typed", "tags"),
    [
        (("ops",), ("ops",)),
        (("OPS", "#Marine", "ops"), ("ops", "marine")),
        (("ops,marine", "air;land"), ("ops", "marine", "air", "land")),
        (("Été",), ("ete",)),
        (("st-lawrence", "region7"), ("st-lawrence", "region7")),
        ((), ()),
    ],
)
def test_tags_have_one_spelling_and_stand_once(typed: tuple[str, ...], tags: tuple[str, ...]) -> None:
    assert tags_of(typed) == tags


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        (("mari/time",), "mari-time"),
        (("ops", "sea&air"), "ops,sea-air"),
        (("-",), "ops"),
        (("x" * 25,), "x" * 24),
        (tuple(f"tag{number}" for number in range(11)), ",".join(f"tag{number}" for number in range(10))),
    ],
)
def test_what_is_no_tag_is_refused_with_all_of_them_mended(typed: tuple[str, ...], instead: str) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        tags_of(typed)
    assert refusal.value.instead == instead
    assert tags_of((instead,))


@pytest.mark.parametrize(
    ("name", "tags"), [("ops", ("ops",)), ("Opérations", ("operations",)), ("Sea Air", ())]
)
def test_a_room_is_tagged_by_its_name_where_that_can_be_a_tag(name: str, tags: tuple[str, ...]) -> None:
    assert own_tag(name) == tags


@pytest.mark.parametrize("typed", ["", "  ", "#", "x" * 41])
def test_a_name_has_a_length(typed: str) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        name_of(typed)
    assert name_of((refusal.value.instead or "").strip('"'))


@pytest.mark.parametrize("typed", ["/", "a", "!!", "@", "1", ""])
def test_a_prefix_is_one_mark_that_nothing_else_uses(typed: str) -> None:
    with pytest.raises(NotUnderstood):
        prefix_of(typed)


async def begin(database: Database) -> tuple[Story, Officer, Officer]:
    story = await Story.begin(database)
    return story, await story.member("ada", Role.ADMIN), await story.member("anna", Role.OFFICER)


async def test_the_bot_works_in_a_room_from_the_moment_it_is_served(database: Database) -> None:
    story, ada, anna = await begin(database)
    bridge = await story.room("x", members=[ada, anna], served=False)
    assert "I do not work in this room" in await anna.says(bridge, "!member list")
    assert (await ada.says(bridge, "!room serve bridge marine #ops tz=detroit")).split("\n") == [
        "I serve this room as bridge.",
        "• Tags: marine, ops (alerts reach this room by them)",
        "• Language: English · Zone: America/Detroit",
        "• Commands begin with !",
        "• Reactions do not count as answers.",
        "• Everybody here is enrolled.",
        "What you can do here: !help",
    ]
    assert "Members: 2" in await anna.says(bridge, "!member list")
    room = await story.find_room(bridge)
    assert (room.name, room.tags, room.served_by) == ("bridge", ("marine", "ops"), ada.user_id)


async def test_who_is_in_the_room_and_not_enrolled_is_named(database: Database) -> None:
    story, ada, _anna = await begin(database)
    eve, mallory = await story.stranger("eve"), await story.stranger("mallory")
    bridge = await story.room("x", members=[ada, eve, mallory], served=False)
    served = await ada.says(bridge, "!room serve bridge")
    assert "2 people here are not enrolled" in served
    assert f"{eve.user_id}, {mallory.user_id}" in served
    assert f"Enrol them: !member add {eve.user_id} AGENCY" in served


async def test_only_an_admin_serves_changes_and_releases(database: Database) -> None:
    story, ada, anna = await begin(database)
    new = await story.room("new", members=[ada, anna], served=False)
    ops = await story.room("ops", ["ops"], [ada, anna])
    assert "This needs the role admin" in await anna.says(new, "!room serve new")
    assert "Only an admin changes how I work here" in await anna.says(ops, "!room policy reactions=on")
    assert "This needs the role admin" in await anna.says(ops, "!room release")
    assert (await story.find_room(ops)).served
    assert "Commands begin with !" in await anna.says(ops, "!room policy")


async def test_a_name_belongs_to_one_served_room(database: Database) -> None:
    story, ada, _anna = await begin(database)
    await story.room("ops", ["ops"], [ada])
    new = await story.room("new", members=[ada], served=False)
    answer = await ada.says(new, "!room serve OPS tz=detroit")
    assert answer.startswith("Another room is called OPS already.")
    assert answer.endswith("!room serve OPS-2 tz=detroit")
    assert "I serve this room as OPS-2." in await ada.says(new, "!room serve OPS-2 tz=detroit")


async def test_a_policy_is_changed_setting_by_setting(database: Database) -> None:
    story, ada, _anna = await begin(database)
    ops = await story.room("ops", ["ops"], [ada])
    assert "Reactions count as answers" in await ada.says(ops, "!room policy reactions=on")
    assert "• Tags: air, ops" in await ada.says(ops, '!room policy tags="air ops"')
    assert "• Tags: ops, marine" in await ada.says(ops, "!room policy tags=ops,marine")
    assert "Zone: America/Regina" in await ada.says(ops, "!room policy tz=regina")
    room = await story.find_room(ops)
    assert (room.tags, room.reactions, room.zone) == (("ops", "marine"), True, "America/Regina")


async def test_a_new_prefix_counts_from_the_next_command_on(database: Database) -> None:
    story, ada, _anna = await begin(database)
    ops = await story.room("ops", members=[ada])
    assert "Commands begin with ." in await ada.says(ops, "!room policy prefix=.")
    assert "pong" not in await ada.says(ops, "!ping")
    assert (await ada.says(ops, ".ping")).startswith("pong")


async def test_a_refused_policy_changes_nothing_of_it(database: Database) -> None:
    story, ada, _anna = await begin(database)
    ops = await story.room("ops", ["ops"], [ada])
    assert "I know no zone nowhere" in await ada.says(ops, "!room policy reactions=on tz=nowhere")
    assert not (await story.find_room(ops)).reactions


async def test_release_waits_for_its_code_and_frees_the_name(database: Database) -> None:
    story, ada, anna = await begin(database)
    ops = await story.room("ops", ["ops"], [ada, anna])
    assert "After this I no longer work in ops." in await ada.says(ops, "!room release")
    assert (await story.find_room(ops)).served
    assert "I no longer work in this room." in await ada.says(ops, f"!yes {CODE}")
    assert "I do not work in this room" in await anna.says(ops, "!status")
    room = await story.find_room(ops)
    assert (room.served, room.tags, room.name) == (False, (), None)
    new = await story.room("new", members=[ada], served=False)
    assert "I serve this room as ops." in await ada.says(new, "!room serve ops")


async def test_the_list_shows_names_tags_and_how_many_are_there(database: Database) -> None:
    story, ada, anna = await begin(database)
    direct = story.direct_room(ada)
    assert "I serve no room yet" in await ada.says(direct, "!rooms")
    ops = await story.room("ops", ["ops", "air"], [ada, anna])
    await story.room("Marine", [], [ada])
    await story.room("idle", [], [ada], served=False)
    assert (await ada.says(ops, "!room list")).split("\n") == [
        "Rooms I serve: 2",
        "• Marine · no tags · 1 person",
        "• ops (this room) · ops, air · 2 people",
    ]


async def test_a_direct_room_that_is_served_is_no_longer_anyones_own(database: Database) -> None:
    story, ada, _anna = await begin(database)
    direct = story.direct_room(ada)
    assert "I serve this room as ops." in await ada.says(direct, "!room serve ops")
    assert (await story.find_room(direct)).direct_with is None


@pytest.mark.parametrize("membership", ["join", "invite"])
async def test_a_direct_room_that_somebody_else_comes_into_is_none_any_more_and_is_told_so_once(
    database: Database, membership: str
) -> None:
    story, ada, anna = await begin(database)
    direct = story.direct_room(ada)
    came = {"user_id": anna.user_id, "membership": membership, "by": ada.user_id, "direct_with": ada.user_id}
    await story.receive("member", direct, ada.user_id, came)
    await story.receive("member", direct, ada.user_id, came)
    (told,) = story.direct(ada)
    assert "@anna:rcmp.example is here too: this room is no longer private." in told
    assert (await story.find_room(direct)).direct_with is None
    assert "I do not work in this room" in await ada.says(direct, "!status")


async def test_who_comes_back_to_her_own_direct_room_or_leaves_it_keeps_it_private(
    database: Database,
) -> None:
    story, ada, anna = await begin(database)
    direct = story.direct_room(ada)
    for user_id, membership in ((ada.user_id, "join"), (anna.user_id, "leave")):
        row = {"user_id": user_id, "membership": membership, "by": user_id, "direct_with": ada.user_id}
        await story.receive("member", direct, user_id, row)
    assert story.direct(ada) == []
    assert (await story.find_room(direct)).direct_with == ada.user_id


async def test_a_list_of_who_is_there_ends_the_privacy_of_a_direct_room_for_good(database: Database) -> None:
    story, ada, anna = await begin(database)
    direct = story.direct_room(ada)
    async with story.database.transaction() as tx:
        await tx.rooms.settle(direct, [ada.user_id, anna.user_id])
        await tx.rooms.settle(direct, [ada.user_id])
        assert await tx.rooms.direct(ada.user_id) is None


async def test_a_direct_room_counts_as_private_only_while_nobody_else_is_in_it(database: Database) -> None:
    story, ada, anna = await begin(database)
    async with story.database.transaction() as tx:
        room = await tx.rooms.direct(ada.user_id)
        assert room is not None
        assert await tx.rooms.is_private(room, ada.user_id)
        assert not await tx.rooms.is_private(room, anna.user_id)
        await tx.rooms.arrive(room.room_id, anna.user_id)
        assert not await tx.rooms.is_private(room, ada.user_id)
        assert await tx.rooms.direct(ada.user_id) is None


async def test_in_a_direct_room_there_is_no_policy_but_a_list_of_rooms(database: Database) -> None:
    story, ada, _anna = await begin(database)
    direct = story.direct_room(ada)
    for typed in ("!room policy", "!room release"):
        assert (await ada.says(direct, typed)).endswith("!room list")
