"""What becomes of a verification: the emoji are shown, the end of it is told, and on record."""

from datetime import datetime
from typing import Any

from bot.kernel.card import Card, Inline, Line, bullet, card, line
from bot.kernel.language import Text, ToType, t
from bot.runtime.emoji import shown
from storage.audit import OK, REFUSED, Entry
from storage.inbox import Received

# A client that began anew ends the earlier one; nobody needs to be told.
SILENT = frozenset({"replaced"})


def said_of(content: dict[str, Any]) -> Card | None:
    """What the person reads at this stage; None for what concerns nobody but the record."""
    stage, code = content["stage"], str(content.get("code"))
    if stage == "compare":
        return to_compare(content["emoji"])
    if stage == "done":
        return card(
            t("Verified: your client and I know each other's identity now."),
            bullet(t("Should mine ever change, your client warns you. Then telephone an admin.")),
        )
    if stage != "cancelled" or code in SILENT:
        return None
    return card(_ENDED.get(code, t("The verification has ended without a result.")), line(*_again()))


def to_compare(emoji: list[int]) -> Card:
    """The seven emoji, and what to type."""
    parts: list[Inline] = []
    for each in shown(emoji):
        parts += [" · ", each] if parts else [each]
    return card(
        t("I show these seven emoji. Does your client show the same, in this order?"),
        Line(tuple(parts)),
        bullet(t("The same: say so in your client first, then type"), " ", ToType("!verify yes")),
        bullet(t("Anything else:"), " ", ToType("!verify no")),
        bullet(
            t("To be sure of me as well, have a colleague who has verified me read them to you by telephone.")
        ),
    )


def entry_of(row: Received, now: datetime) -> Entry | None:
    """What the audit record keeps of this stage."""
    stage, code = row.content["stage"], row.content.get("code")
    if stage == "compare" or code in SILENT:
        return None
    done = stage in ("done", "vouched")
    reason = {"vouched": "operator", "vouched_other": "identity_changed"}.get(stage, code)
    return Entry(
        now,
        "event",
        "identity.verify",
        OK if done else REFUSED,
        actor=row.sender,
        device_id=row.content.get("device_id"),
        room_id=row.room_id or None,
        object=row.sender,
        reason_code=reason,
    )


def _again() -> tuple[Inline, ...]:
    return (t("Nothing has changed. Once more:"), " ", ToType("!verify"))


_ENDED: dict[str, Text] = {
    "m.mismatched_sas": t("The emoji differ: somebody may stand between us. Telephone an admin."),
    "m.mismatched_commitment": t(
        "Your client's keys are not what it promised: somebody may stand between us."
    ),
    "m.key_mismatch": t("Your client vouches for other keys than those I know of you."),
    "m.timeout": t("The verification took more than ten minutes, so I have ended it."),
    "m.user": t("The verification was ended in your client."),
    "m.unknown_method": t("Your client cannot compare emoji the way I do."),
    "unsaid": t("Your client has verified me, but you have not told me that the emoji were the same."),
    "restarted": t("I was restarted in the middle of our verification, so I have ended it."),
    "failed": t("The verification failed: I could not reach your client."),
}
