"""The sealer: a job that gives audit entries their places in the chain, and signs its end now and then."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.kernel.vocabulary import Capability, Said, Tick
from storage.transaction import Database

SIGN_EVERY = timedelta(minutes=1)

sealing = Capability("audit")


@sealing.job(every=timedelta(seconds=5))
async def seal(tick: Tick) -> Sequence[Said]:
    """Seal what was written since the last turn."""
    await tick.tx.audit.seal()
    await tick.tx.audit.sign(tick.now, SIGN_EVERY)
    return []


async def seal_all(database: Database, now: Callable[[], datetime]) -> None:
    """Seal whatever is left, and sign the end: the last act of a process."""
    while True:
        async with database.transaction() as tx:
            if not await tx.audit.seal():
                await tx.audit.sign(now())
                return
