"""Cancellation is not lost where an error takes its place."""

import asyncio

import pytest

from bot.matrix.errors import Unreachable
from bot.matrix.together import one_ahead, together


async def test_the_first_error_of_those_at_work_comes_out_as_itself() -> None:
    async def fails() -> None:
        raise Unreachable("down")

    async def works() -> None:
        async with together() as group:
            group.create_task(fails())
            await asyncio.Event().wait()

    with pytest.raises(Unreachable, match="down"):
        await works()


async def test_an_error_that_comes_when_all_is_under_way_is_no_cancellation() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise Unreachable("down")

    async def works() -> None:
        async with together() as group:
            group.create_task(fails())

    for _ in range(2):
        with pytest.raises(Unreachable, match="down"):
            await works()


async def test_who_is_cancelled_ends_as_cancelled_whatever_fails_on_the_way_out() -> None:
    began = asyncio.Event()

    async def fails_when_cut_off() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Unreachable("cut off") from None

    async def works() -> None:
        try:
            async with together() as group:
                group.create_task(fails_when_cut_off())
                began.set()
                await asyncio.Event().wait()
        except Unreachable:
            raise AssertionError("the cancellation is lost") from None

    task = asyncio.create_task(works())  # noqa: TID251  # cancelled and awaited below
    await began.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_is_done_in_order_with_one_call_ahead() -> None:
    order: list[str] = []

    async def call(number: int) -> int:
        order.append(f"call {number}")
        return number

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        order.append(f"work {number}")

    await one_ahead((call(number) for number in range(3)), work)
    assert [each for each in order if each.startswith("work")] == ["work 0", "work 1", "work 2"]
    assert order.index("call 1") < order.index("work 0")
    assert order.index("call 2") < order.index("work 1")
