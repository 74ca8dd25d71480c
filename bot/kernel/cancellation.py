"""Cancellation that is not lost: an error on the way out may take its place."""

import asyncio


def heed(before: int = 0) -> None:
    """Raise CancelledError if this task was cancelled, more often than `before`, and goes on.

    A task group, or a connection that is tidied up, can raise an error of its own instead (CPython 3.11); a
    loop that outlives errors would then go on for ever. `before` is `asyncio.Task.cancelling` at the start.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def counted() -> int:
    """How often this task was cancelled and goes on: what `heed` takes."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
