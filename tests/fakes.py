"""Fakes of the lowest edges: rooms that remember what was sent into them, and a clock that is turned."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.kernel.errors import DeliveryRefused

NOON = datetime(2026, 11, 3, 17, 0, tzinfo=UTC)  # a Tuesday; noon in Toronto


class FakeClock:
    """A clock that stands until it is turned."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        """The instant it stands at."""
        return self.at

    def turn(self, length: timedelta) -> None:
        """Go on by this much."""
        self.at += length


@dataclass
class Sent:
    """One event as the homeserver has it."""

    room_id: str
    event_id: str
    txn_id: str
    content: dict[str, Any]


@dataclass
class FakeMessenger:
    """Delivers into lists; `fails` is asked before each delivery, and may raise."""

    sent: list[Sent] = field(default_factory=list)
    direct_rooms: dict[str, str] = field(default_factory=dict)
    fails: Callable[[str, str], None] = lambda room_id, txn_id: None
    searches: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    async def send(self, room_id: str, content: dict[str, Any], txn_id: str) -> str:
        """Keep the event; the same transaction id gives the same event."""
        self.fails(room_id, txn_id)
        for sent in self.sent:
            if sent.txn_id == txn_id:
                return sent.event_id
        event_id = f"$bot{next(self._numbers)}"
        self.sent.append(Sent(room_id, event_id, txn_id, content))
        return event_id

    async def upload(self, content: bytes) -> dict[str, Any]:
        """Keep the file under a new address."""
        self.fails("upload", "upload")
        address = f"mxc://agency.example/{len(self.files)}"
        self.files[address] = content
        return {"url": address}

    async def direct_room(self, user_id: str) -> str:
        """The direct room, made when it is first asked for."""
        return self.direct_rooms.setdefault(user_id, f"!direct-{user_id[1:].partition(':')[0]}")

    async def find_sent(self, room_id: str, txn_id: str) -> str | None:
        """The event of this transaction id."""
        self.searches.append(txn_id)
        return next((sent.event_id for sent in self.sent if sent.txn_id == txn_id), None)

    def in_room(self, room_id: str) -> list[Sent]:
        """What is in a room, oldest first."""
        return [sent for sent in self.sent if sent.room_id == room_id]


def unreachable(room_id: str, txn_id: str) -> None:
    """A homeserver that does not answer."""
    raise DeliveryRefused("unreachable", permanent=False)
