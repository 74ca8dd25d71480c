"""What was said in rooms, as an officer's client shows it: edits applied, removed messages gone."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from storage.inbox import Received


@dataclass(frozen=True)
class Heard:
    """A message as it now reads. `mentions` are the user ids it rings; a `notice` rings nobody.

    `file` is where its encrypted file lies, with the key and the file's name; None without one.
    """

    event_id: str
    room_id: str
    sender: str
    body: str
    html: str | None
    notice: bool
    mentions: tuple[str, ...]
    reply_to: str | None
    at: datetime
    edits: int = 0
    file: dict[str, Any] | None = None

    def rings(self, user_id: str) -> bool:
        """Whether this person's client makes a sound for it."""
        return user_id in self.mentions and not self.notice


@dataclass(frozen=True)
class Change:
    """One thing that came in: `before` is None for a new message, `after` None for a removed one."""

    before: Heard | None
    after: Heard | None


class Conversations:
    """The messages of all rooms, in the order they came."""

    def __init__(self) -> None:
        self._messages: dict[str, Heard] = {}
        self.refused: list[Received] = []

    def take(self, received: Received) -> Change | None:
        """Take in one event; None if nothing that is shown changes by it."""
        match received.kind:
            case "message":
                return self._put(None, _heard(received))
            case "edit":
                return self._edit(received)
            case "redaction":
                # Whoever the homeserver lets remove it, as in any client: a moderator may.
                gone = self._messages.pop(str(received.content.get("target")), None)
                return Change(gone, None) if gone else None
            case "refused" | "undecryptable":
                self.refused.append(received)
        return None

    def find(self, event_id: str) -> Heard | None:
        """The message with this id."""
        return self._messages.get(event_id)

    def all(self) -> list[Heard]:
        """Every message, oldest first."""
        return list(self._messages.values())

    def in_room(self, room_id: str) -> list[Heard]:
        """The messages of a room, oldest first."""
        return [heard for heard in self._messages.values() if heard.room_id == room_id]

    def _put(self, before: Heard | None, after: Heard) -> Change:
        self._messages[after.event_id] = after
        return Change(before, after)

    def _edit(self, received: Received) -> Change | None:
        before = self._messages.get(str(received.content.get("target")))
        # Only its author may change a message (Matrix specification, "Validity of replacement events").
        if before is None or before.sender != received.sender:
            return None
        new = _heard(received)
        after = replace(before, body=new.body, html=new.html, edits=before.edits + 1)
        return self._put(before, after)


def _heard(received: Received) -> Heard:
    content: dict[str, Any] = received.content
    return Heard(
        event_id=received.event_id,
        room_id=received.room_id,
        sender=received.sender,
        body=str(content.get("body", "")),
        html=content.get("formatted_body"),
        notice=content.get("msgtype") == "m.notice",
        mentions=tuple(content.get("mentions", ())),
        reply_to=content.get("reply_to"),
        at=received.sent_at,
        file=content.get("file"),
    )
