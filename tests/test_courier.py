"""The courier: in order within a room, the urgent first, each message once, whatever fails."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bot.kernel.errors import DeliveryRefused
from bot.runtime.courier import AT_ONCE, Courier
from storage.outbox import CARD, EDIT, FAILED, QUEUED, SENT, Owed
from storage.transaction import Database
from tests.fakes import FakeClock, FakeMessenger, unreachable

ROOM, OTHER = "!ops:agency.example", "!marine:agency.example"


class Post:
    """A courier with its outbox."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock()
        self.messenger = FakeMessenger()
        self.courier = Courier(database, self.messenger, self.clock.now, lambda low, high: high)

    async def owes(self, body: str, room_id: str | None = ROOM, **values: Any) -> int:
        async with self.database.transaction() as tx:
            content = {"msgtype": "m.notice", "body": body}
            return await tx.outbox.add(content, f"txn-{body}", self.clock.at, room_id=room_id, **values)

    async def row(self, row_id: int) -> Owed:
        async with self.database.transaction() as tx:
            owed = await tx.outbox.find(row_id)
        assert owed is not None
        return owed

    def bodies(self, room_id: str = ROOM) -> list[str]:
        return [sent.content["body"] for sent in self.messenger.in_room(room_id)]


@pytest.fixture
async def post(database: Database) -> Post:
    return Post(database)


async def test_messages_of_a_room_keep_their_order_and_the_urgent_overtakes(post: Post) -> None:
    for body in ("one", "two", "three"):
        await post.owes(body)
    await post.owes("urgent", priority=5)
    await post.courier.drain()
    assert post.bodies() == ["urgent", "one", "two", "three"]


async def test_what_is_sent_is_marked_with_its_event(post: Post) -> None:
    row_id = await post.owes("one", None, to_user="@anna:rcmp.example")
    await post.courier.drain()
    row = await post.row(row_id)
    assert (row.state, row.event_id, row.room_id, row.attempts) == (SENT, "$bot1", "!direct-anna", 1)


async def test_a_room_that_fails_holds_up_no_other(post: Post) -> None:
    def fails(room_id: str, txn_id: str) -> None:
        if room_id == ROOM:
            raise DeliveryRefused("unreachable", permanent=False)

    post.messenger.fails = fails
    await post.owes("one")
    await post.owes("two")
    await post.owes("elsewhere", OTHER)
    await post.courier.drain()
    assert (post.bodies(), post.bodies(OTHER)) == ([], ["elsewhere"])


async def test_it_tries_again_for_ever_with_growing_pauses(post: Post) -> None:
    post.messenger.fails = unreachable
    row_id = await post.owes("one")
    pauses = []
    for _ in range(12):
        await post.courier.drain()
        row = await post.row(row_id)
        pauses.append((row.next_try_at - post.clock.at).total_seconds())
        post.clock.at = row.next_try_at
    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert pauses[-1] == 300
    assert (row.state, row.error) == (QUEUED, "unreachable")
    post.messenger.fails = lambda room_id, txn_id: None
    await post.courier.drain()
    assert post.bodies() == ["one"]


async def test_a_surprise_in_the_messenger_loses_nothing(post: Post) -> None:
    def fails(room_id: str, txn_id: str) -> None:
        raise ZeroDivisionError

    post.messenger.fails = fails
    row_id = await post.owes("one")
    await post.courier.drain()
    assert ((await post.row(row_id)).state, (await post.row(row_id)).error) == (QUEUED, "ZeroDivisionError")


async def test_what_can_never_be_delivered_is_given_up_and_recorded(post: Post) -> None:
    def fails(room_id: str, txn_id: str) -> None:
        if txn_id == "txn-one":
            raise DeliveryRefused("left_room", permanent=True)

    post.messenger.fails = fails
    row_id = await post.owes("one", about="A-1")
    await post.owes("two")
    await post.courier.drain()
    assert (await post.row(row_id)).state == FAILED
    assert post.bodies() == ["two"]


async def test_a_late_retry_first_asks_whether_the_message_is_there(post: Post) -> None:
    row_id = await post.owes("one")

    owed = await post.row(row_id)
    async with post.database.transaction() as tx:
        assert await tx.outbox.mark_tried(owed)
    # Here the process dies: the message is in the room, and nobody has noted it.
    await post.messenger.send(ROOM, {"body": "one"}, "txn-one")
    post.clock.turn(timedelta(minutes=26))
    await post.courier.drain()
    assert post.messenger.searches == ["txn-one"]
    assert post.bodies() == ["one"]
    assert (await post.row(row_id)).event_id == "$bot1"


async def test_an_edit_waits_for_its_card_and_names_its_event(post: Post) -> None:
    card = await post.owes("card", kind=CARD, about="A-1")
    await post.owes("edit", kind=EDIT, replaces=card)
    post.messenger.fails = unreachable
    await post.courier.drain()
    assert post.bodies() == []
    post.messenger.fails = lambda room_id, txn_id: None
    post.clock.turn(timedelta(minutes=1))
    await post.courier.drain()
    assert post.bodies() == ["card", "edit"]
    assert post.messenger.sent[1].content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$bot1"}


async def test_an_edit_of_a_card_that_was_given_up_is_given_up(post: Post) -> None:
    card = await post.owes("card", kind=CARD, about="A-1")
    edit = await post.owes("edit", kind=EDIT, replaces=card)
    async with post.database.transaction() as tx:
        await tx.outbox.mark_failed(card, "left_room")
    await post.courier.drain()
    assert (await post.row(edit)).error == "card_failed"


async def test_what_is_on_its_way_is_no_longer_changed(post: Post) -> None:
    row_id = await post.owes("one", kind=CARD)
    owed = await post.row(row_id)
    async with post.database.transaction() as tx:
        assert await tx.outbox.replace_content(row_id, owed.content | {"body": "changed"})
        assert await tx.outbox.mark_tried(owed)
        assert not await tx.outbox.replace_content(row_id, owed.content)
        assert not await tx.outbox.mark_tried(owed)
    await post.courier.drain()
    assert post.bodies() == ["changed"]


async def test_rooms_are_served_side_by_side_but_not_all_at_once(post: Post) -> None:
    gate, begun = asyncio.Event(), []

    class Slow(FakeMessenger):
        async def send(self, room_id: str, content: dict[str, Any], txn_id: str) -> str:
            begun.append(room_id)
            if len(begun) == AT_ONCE:
                gate.set()
            await gate.wait()
            return await super().send(room_id, content, txn_id)

    messenger = Slow()
    for number in range(AT_ONCE + 4):
        await post.owes(f"{number}", f"!room{number}:agency.example")
    await Courier(post.database, messenger, post.clock.now).drain()
    assert len(messenger.sent) == AT_ONCE + 4


async def test_it_runs_until_it_is_ended_and_is_woken_by_new_messages(database: Database) -> None:
    post = Post(database)
    arrived = asyncio.Event()

    class Telling(FakeMessenger):
        async def send(self, room_id: str, content: dict[str, Any], txn_id: str) -> str:
            arrived.set()
            return await super().send(room_id, content, txn_id)

    messenger = Telling()
    courier = Courier(database, messenger, post.clock.now)
    running = asyncio.create_task(courier.run())  # noqa: TID251  # ended below
    for body in ("one", "two"):
        arrived.clear()
        await post.owes(body)
        courier.wake()
        await asyncio.wait_for(arrived.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [sent.content["body"] for sent in messenger.sent] == ["one", "two"]
