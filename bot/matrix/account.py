"""Who we are on the homeserver: what a sign-in needs, and what health shows of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Account:
    """A Matrix account and how to sign in to it.

    `user` is a localpart or a full id. `password` serves the first sign-in only. `token` and `device_id`
    are for operators whose homeserver issues tokens by itself; both or neither.
    """

    homeserver: str
    user: str
    password: str | None = None
    device_name: str = "Tandem"
    token: str | None = None
    device_id: str | None = None


@dataclass(frozen=True)
class Health:
    """The state of the session; instants are UTC, None where nothing has happened yet."""

    state: str  # starting, syncing, unreachable, ended
    last_sync_at: datetime | None
    own_chain_ok: bool
    foreign_devices: tuple[str, ...]
    one_time_keys: int | None
    fallback_published: bool
    undecryptable: int
    awaited: int
    violations: tuple[str, ...]
    refused: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    skew: timedelta | None = None  # our clock less the homeserver's
