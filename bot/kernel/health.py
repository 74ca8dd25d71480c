"""Health: what only the running process knows of itself, for `!status` and for the operator."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Health:
    """The process at one instant.

    `synced_at` is the last good answer of the homeserver, None before the first. `own_chain`: this device,
    the self-signing key and the master key sign one another. `one_time_keys` are those left on the
    homeserver, None while unknown. `undecryptable` are events that still wait for their key, or never got
    it, since the start. `violations` are members whose identity is another one than was pinned.
    `skew`: our clock less the homeserver's, None while unknown.
    """

    started_at: datetime
    synced_at: datetime | None
    own_chain: bool
    one_time_keys: int | None
    undecryptable: int
    violations: int
    skew: timedelta | None = None
