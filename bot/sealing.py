"""The sealer: jobs that give audit entries their places in the chain, sign its end, and post it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.kernel.card import Code, card, line
from bot.kernel.language import tn
from bot.kernel.vocabulary import Capability, Post, Said, Tick
from storage.transaction import Database

SIGN_EVERY = timedelta(minutes=1)
POST_EVERY = timedelta(days=1)
TAG = "audit"  # of the rooms that keep a copy of the heads

sealing = Capability("audit")


@sealing.job(every=timedelta(seconds=5))
async def seal(tick: Tick) -> Sequence[Said]:
    """Seal what was written since the last turn."""
    await tick.tx.audit.seal()
    await tick.tx.audit.sign(tick.now, SIGN_EVERY)
    return []


@sealing.job(every=timedelta(minutes=1))
async def post_head(tick: Tick) -> Sequence[Said]:
    """Post the newest head to the rooms for it: a copy that nobody changes with the database."""
    head = await tick.tx.audit.newest_head()
    if head is None:
        return []
    said = card(
        tn(
            "The audit record has {count} entry. Its head:",
            "The audit record has {count} entries. Its head:",
            head.seq,
        ),
        line(Code(f"tandem audit verify --posted {head.seq}:{head.hash.hex()}")),
    )
    return [
        Post(said, room_id=room.room_id)
        for room in await tick.tx.rooms.tagged(TAG)
        if await tick.tx.notices.claim(f"audit head {room.room_id}", tick.now, POST_EVERY)
    ]


async def seal_all(database: Database, now: Callable[[], datetime]) -> None:
    """Seal whatever is left, and sign the end: the last act of a process."""
    while True:
        async with database.transaction() as tx:
            if not await tx.audit.seal():
                await tx.audit.sign(now())
                return
