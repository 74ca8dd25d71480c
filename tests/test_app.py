"""The composition root: what Matrix refuses reaches the courier in its own words."""

from typing import Any

import pytest

from bot.app import Messenger
from bot.kernel.errors import DeliveryRefused
from bot.matrix.errors import MatrixError, Rejected, SendRefused, SignedOut, Unreachable


class Refusing:
    """A session to which everything goes wrong in the same way."""

    def __init__(self, error: MatrixError) -> None:
        self._error = error

    async def send(self, room_id: str, content: dict[str, Any], txn_id: str) -> str:
        """Raises."""
        raise self._error

    async def upload(self, content: bytes) -> dict[str, Any]:
        """Raises."""
        raise self._error

    async def direct_room(self, user_id: str) -> str:
        """Raises."""
        raise self._error

    async def find_sent(self, room_id: str, txn_id: str) -> str | None:
        """Raises."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "reason", "permanent"),
    [
        (SendRefused("keys_withheld", permanent=False), "keys_withheld", False),
        (SendRefused("not_encrypted", permanent=True), "not_encrypted", True),
        (Unreachable("no answer"), "unreachable", False),
        (SignedOut(), "signed_out", False),
        (Rejected(403, "M_FORBIDDEN", {}), "M_FORBIDDEN", True),
        (Rejected(413, "M_TOO_LARGE", {}), "M_TOO_LARGE", True),
        (Rejected(401, "M_UNAUTHORIZED", {}), "M_UNAUTHORIZED", False),
    ],
)
async def test_a_refusal_is_told_with_whether_to_try_again(
    error: MatrixError, reason: str, permanent: bool
) -> None:
    messenger = Messenger(Refusing(error))
    for attempt in (
        messenger.send("!room", {}, "txn"),
        messenger.upload(b"file"),
        messenger.direct_room("@sam:hq.example"),
        messenger.find_sent("!room", "txn"),
    ):
        with pytest.raises(DeliveryRefused) as refused:
            await attempt
        assert (refused.value.reason, refused.value.permanent) == (reason, permanent)
