"""Work side by side with the homeserver: while one answer is worked on, the next is on its way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from bot.kernel.cancellation import counted, heed

A = TypeVar("A")


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose first error comes out as itself; what else is under way is then cancelled."""
    before, is_left = counted(), False
    group = asyncio.TaskGroup()
    try:
        async with group:
            yield group
            is_left = True
    except BaseExceptionGroup as errors:
        first: BaseException = errors
    else:
        return
    # A group that fails while it is left has cancelled us itself; CPython up to 3.12 leaves that so.
    own = is_left and getattr(group, "_parent_cancel_requested", False)
    heed(before + own)
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    raise first


async def one_ahead(calls: Iterable[Coroutine[Any, Any, A]], work: Callable[[A], Awaitable[None]]) -> None:
    """Do the work on each call's result, in order; one call is under way meanwhile."""
    async with together() as group:
        current: asyncio.Task[A] | None = None
        for call in calls:
            following = group.create_task(call)
            if current is not None:
                await work(await current)
            current = following
        if current is not None:
            await work(await current)
