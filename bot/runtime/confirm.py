"""Confirmation: what leaves the room, binds an agency or deletes is shown first and needs a code."""

from datetime import timedelta

from bot.kernel.card import Card, card, line, render
from bot.kernel.errors import BotError, Conflict, NotAllowed, NotFound
from bot.kernel.language import ToType, t
from bot.kernel.vocabulary import Answer, Call, Capability, Example
from storage.confirmations import Pending
from storage.transaction import Transaction

VALID = timedelta(seconds=120)  # domain section 0: preview and confirm
MAX_TRIES = 5

confirmations = Capability("confirmations")


@confirmations.command(
    "yes",
    role=None,
    french=["oui"],
    anywhere=True,
    examples=[Example("!yes 4821", answers="Nothing of yours waits for a code here", refused=True)],
)
async def confirm(call: Call, code: str) -> Answer:
    """Do what I showed you, with the code I gave you."""
    # The dispatcher redeems the code itself, since the command that waits is to be run in place of this one.
    raise NotFound(t("Nothing of yours waits for a code here"))


async def ask(call: Call, shown: Card, code: str) -> Card:
    """Let the call wait for its code, which counts for what is shown now and for nothing else."""
    store = call.tx.confirmations
    await store.put(
        Pending(
            call.who.user_id,
            call.room.room_id,
            call.device_id,
            call.typed,
            call.reply,
            store.digest(code),
            0,
            call.now + VALID,
            seen(call, shown),
        )
    )
    question = t("Nothing is done yet. To do it, type this within {valid}, on this device:", valid=VALID)
    return card(shown.blocks, line(question), line(ToType(f"!yes {code}")))


def seen(call: Call, shown: Card) -> bytes:
    """What is kept of what the caller was shown."""
    return call.tx.confirmations.digest("\n".join(page.body for page in render(shown, call.voice)))


async def redeem(call: Call, code: str) -> Pending | BotError:
    """The command that waited for this code, or why it is not run.

    The error is returned, not raised: a wrong try must stay counted.
    """
    store = call.tx.confirmations
    pending = await store.find(call.who.user_id, call.room.room_id)
    if pending is None:
        return NotFound(t("Nothing of yours waits for a code here"), allowed=_ANEW)
    if pending.expires_at <= call.now:
        await store.use(pending)
        return Conflict(t("That code is no longer valid"), allowed=_ANEW)
    if pending.device_id != call.device_id:
        return NotAllowed(t("The code counts only on the device that gave the command"))
    if pending.code == store.digest(code.strip()):
        await store.use(pending)
        return pending
    if pending.tries + 1 >= MAX_TRIES:
        await store.use(pending)
        return Conflict(t("That was the wrong code too often; it is void"), allowed=_ANEW)
    await store.count_wrong(pending)
    return NotUnderstoodCode(t("That is not the code"), argument="code")


async def void(tx: Transaction, user_id: str, room_id: str) -> None:
    """Let nothing of this person wait in this room any more."""
    pending = await tx.confirmations.find(user_id, room_id)
    if pending is not None:
        await tx.confirmations.use(pending)


class NotUnderstoodCode(NotAllowed):
    """A code that is not the one that was shown."""

    code = "wrong_code"


_ANEW = t("Give the command anew to get a new code")
