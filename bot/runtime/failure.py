"""Failures: what may be logged of an exception: its type and its place, never its text."""

import traceback


def described(error: BaseException) -> dict[str, str]:
    """Type and place of an exception, for the log; its message could quote what people wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames[-6:])
    )
    return {"error": type(error).__name__, "at": place}
