"""Steps of verifications as they arrive, in rooms and between devices: read, not believed yet."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.matrix.sas import PREFIX
from bot.matrix.wire import Json, Malformed, need, number, obj, text

KINDS = frozenset(("request", "ready", "start", "accept", "key", "mac", "done", "cancel"))
REQUEST = f"{PREFIX}request"
MOST_WAITING = 200  # more than the people of any bot send at once


@dataclass(frozen=True)
class Step:
    """One message: `room_id` None if it came from device to device; `sent_at` is the sender's word."""

    sender: str
    kind: str
    content: Json
    transaction: str
    room_id: str | None = None
    event_id: str | None = None
    sent_at: datetime | None = None


def is_step(event_type: object, content: Json) -> bool:
    """Whether this is part of a verification; a request in a room is a message to those who know none."""
    if event_type == "m.room.message":
        return content.get("msgtype") == REQUEST
    return isinstance(event_type, str) and event_type.removeprefix(PREFIX) in KINDS - {event_type}


def in_room(room_id: str, event: Json, event_type: object, content: Json, cleartext: Json) -> Step:
    """A step in a room; Malformed if it names no transaction. `cleartext` is what stood around it.

    Some clients leave the relation outside only. It carries no authority: the emoji depend on it.
    """
    event_id, sender = need(event.get("event_id")), need(event.get("sender"))
    kind = "request" if event_type == "m.room.message" else need(event_type).removeprefix(PREFIX)
    relation = obj(content.get("m.relates_to")) or obj(cleartext.get("m.relates_to"))
    transaction: str | None = event_id
    if kind != "request":
        transaction = text(relation.get("event_id")) if relation.get("rel_type") == "m.reference" else None
    if transaction is None:
        raise Malformed("a step of no verification")
    return Step(
        sender, kind, content, transaction, room_id, event_id, _instant(event.get("origin_server_ts"))
    )


def between_devices(sender: str, event_type: str, content: Json) -> Step:
    """A step from device to device; Malformed if it names no transaction."""
    kind, transaction = event_type.removeprefix(PREFIX), need(content.get("transaction_id"))
    return Step(sender, kind, content, transaction, sent_at=_instant(content.get("timestamp")))


def _instant(stamp: object) -> datetime | None:
    milliseconds = number(stamp)
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


class Waiting:
    """Steps of the round under way: handed on once it is committed, forgotten if it is not."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def add(self, step: Step) -> bool:
        """False if too many wait already."""
        if len(self._steps) >= MOST_WAITING:
            return False
        self._steps.append(step)
        return True

    def take(self) -> Iterator[Step]:
        """All of them, oldest first."""
        taken, self._steps = self._steps, []
        yield from taken

    def forget(self) -> None:
        """The round was undone, and will come again."""
        self._steps.clear()
