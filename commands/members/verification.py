"""Verification by emoji: a member's client and the bot show the same seven if nobody is in between."""

from enum import Enum

from bot.kernel.card import Card, bullet, card
from bot.kernel.errors import Conflict
from bot.kernel.language import Text, t
from bot.kernel.vocabulary import Call, Example
from commands.members.capability import members
from storage.verifications import ASKED, COMPARE, DIFFERENT, SAME, Verification


class Seen(Enum):
    """Whether the member's client shows what the bot shows."""

    YES = "yes"
    NO = "no"

    @property
    def label(self) -> Text:
        """For readers."""
        return {"yes": t("yes"), "no": t("no")}[self.value]


@members.command(
    "verify",
    role=None,
    french=["vérifier"],
    names={"same": "pareil"},
    anywhere=True,
    examples=[
        Example("!verify", answers="I have asked your client to compare emoji with me"),
        Example("!verify yes", answers="There is nothing to compare yet", refused=True),
        Example("!verify no", answers="There is nothing to compare yet", refused=True),
    ],
)
async def verify_each_other(call: Call, same: Seen | None = None) -> Card:
    """Compare emoji with me, so that your client and I know each other's keys; then say yes or no."""
    if same is None:
        return await _ask(call)
    said = SAME if same is Seen.YES else DIFFERENT
    if not await call.tx.verifications.move(call.who.user_id, said, was=COMPARE):
        raise Conflict(
            t("There is nothing to compare yet."),
            allowed=t("Begin, and wait until your client and I both show seven emoji"),
            example="!verify",
        )
    if same is Seen.NO:
        return card(
            t("I have stopped: what your client shows is not what I show."),
            bullet(t("Somebody may stand between us. Telephone an admin before you type anything secret.")),
        )
    return card(t("Noted. I say when your client is done as well."))


async def _ask(call: Call) -> Card:
    """Leave word that the session is to send the request: it is another's work, after the commit."""
    await call.tx.verifications.put(
        Verification(
            call.who.user_id, call.room.room_id, call.event_id, None, call.device_id, ASKED, call.now
        )
    )
    return card(
        t("I have asked your client to compare emoji with me: accept it there."),
        bullet(
            t("No question appears? Your client cannot do this in rooms: open my profile, and press Verify.")
        ),
    )
