"""The one door to Matrix: sign in, keep in step, send; what arrives goes to the inbox."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bot.matrix.account import Account, Health
from bot.matrix.trust import Circle
from storage.transaction import Database

PATIENCE = timedelta(seconds=30)  # how long an event that cannot be decrypted waits for its key


class Session:
    """One signed-in device; `on_received` is called after each commit that added inbox rows."""

    user_id: str
    device_id: str
    on_received: Callable[[], None]

    @classmethod
    async def open(
        cls, database: Database, account: Account, circle: Circle, patience: timedelta = PATIENCE
    ) -> "Session":
        """Sign in or restore; MatrixError whose text is one line if that is not to be had."""
        raise NotImplementedError

    async def run(self) -> None:
        """The sync loop; ends by cancellation or with a fatal MatrixError."""
        raise NotImplementedError

    async def synced(self) -> None:
        """Wait until the first round of sync is done."""
        raise NotImplementedError

    async def send(
        self, room_id: str, content: dict[str, Any], txn_id: str, event_type: str = "m.room.message"
    ) -> str:
        """Encrypt and send; the event's id. The same `txn_id` sends the same bytes again."""
        raise NotImplementedError

    async def react(self, room_id: str, event_id: str, key: str, txn_id: str) -> str:
        """React to an event, in clear as the specification has it."""
        raise NotImplementedError

    async def find_sent(self, room_id: str, txn_id: str) -> str | None:
        """The event that this device sent under this transaction id lately, if it is in the room."""
        raise NotImplementedError

    async def direct_room(self, user_id: str) -> str:
        """The encrypted direct room with this person; made, and the person invited, if there is none."""
        raise NotImplementedError

    async def create_room(
        self, name: str | None = None, invite: tuple[str, ...] = (), *, encrypted: bool = True
    ) -> str:
        """Make a private room; its id."""
        raise NotImplementedError

    async def join(self, room_id: str) -> None:
        """Join a room that we are invited to."""
        raise NotImplementedError

    async def leave(self, room_id: str) -> None:
        """Leave a room or decline its invite."""
        raise NotImplementedError

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite someone to a room we are in."""
        raise NotImplementedError

    async def set_display_name(self, name: str) -> None:
        """The name that officers see."""
        raise NotImplementedError

    async def make_recovery_key(self) -> str:
        """Put our identity into secret storage under a new recovery key; the key's text, shown once."""
        raise NotImplementedError

    def members(self, room_id: str) -> dict[str, str]:
        """Who is in the room now: user id to `join` or `invite`."""
        raise NotImplementedError

    async def unknown_members(self, room_id: str) -> list[str]:
        """Those in the room, joined or invited, who are not active members of the circle."""
        raise NotImplementedError

    async def health(self) -> Health:
        """What an operator should know."""
        raise NotImplementedError

    async def close(self) -> None:
        """End the connections; a running `run` must have been cancelled before."""
        raise NotImplementedError
