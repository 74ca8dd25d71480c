"""Holding back: what may not be said in a room now is said when nobody is there who must not read it."""

from collections.abc import Sequence
from datetime import timedelta

from bot.kernel.arguments import is_ref
from bot.kernel.card import Card, card
from bot.kernel.language import t
from bot.kernel.room_care import holds_back
from bot.kernel.vocabulary import Capability, Post, Said, Tick
from storage.transaction import Transaction

holding = Capability("holding")


async def is_held(tx: Transaction, room_id: str | None, about: str | None) -> bool:
    """Whether a message about this object may not be said in this room now."""
    room = await tx.rooms.find(room_id) if room_id and about and is_ref(about) else None
    return room is not None and holds_back(room, await tx.rooms.strangers(room.room_id))


async def stub(tx: Transaction, room_id: str, about: str) -> Card:
    """What is said in its place: that there is something, and why it waits."""
    strangers = await tx.rooms.strangers(room_id)
    if strangers:
        why = t("{about} waits: {users} is here and not enrolled.", about=about, users=tuple(strangers))
    else:
        why = t("{about} waits: the history of this room is open to the world.", about=about)
    return card(why, t("Ask me about it by direct message."))


@holding.job(every=timedelta(seconds=2))
async def release(tick: Tick) -> Sequence[Said]:
    """Let go what was held back for rooms where all is well again; a room that is left hears it no more."""
    said = []
    for room_id in await tick.tx.outbox.holding():
        room = await tick.tx.rooms.find(room_id)
        if room is None or not room.is_reached:
            await tick.tx.outbox.give_up(room_id, "room_left")
        elif not holds_back(room, await tick.tx.rooms.strangers(room_id)):
            await tick.tx.outbox.release(room_id, tick.now)
            said.append(Post(card(t("All is well here again: this is what waited.")), room_id=room_id))
    return said
