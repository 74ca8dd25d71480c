"""The clock and randomness: the only place that reads either, so that all else can be told them."""

import os
import secrets
import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def random_bytes(count: int) -> bytes:
    """`count` bytes fit for keys, from the operating system."""
    return os.urandom(count)


def token(count: int = 16) -> str:
    """A URL-safe text that carries `count` random bytes."""
    return secrets.token_urlsafe(count)


def digits(count: int = 4) -> str:
    """A decimal code of `count` digits, each equally likely, leading zeros kept."""
    return f"{secrets.randbelow(10**count):0{count}d}"


def jitter(low: float, high: float) -> float:
    """A random factor between `low` and `high`, to keep retries of many clients apart."""
    return low + (high - low) * secrets.randbelow(1 << 20) / (1 << 20)
