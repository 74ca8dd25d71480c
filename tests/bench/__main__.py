"""`make bench`: how fast a message reaches a room of many devices, against the homeserver's floor.

The floor is what any client must ask of this homeserver for the same message, by plain HTTP, with nothing
encrypted: to query, to claim, to hand over, to send. Both are measured in turn, in the same run.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

from bot.demo.homeserver import EmbeddedHomeserver
from tests.bench.sharing import CASES, Bench, Measured

SIZES = (10, 100, 300, 1000)
ROUNDS = 3


async def main(sizes: tuple[int, ...]) -> None:
    """Print one line per size and case."""
    print(f"{'devices':>8}  {'case':<22}{'floor s':>9}{'bot s':>9}{'ratio':>7}{'blocked ms':>12}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        homeserver = await EmbeddedHomeserver.start(Path(folder) / "homeserver", limits=False)
        try:
            for size in sizes:
                own = Path(tempfile.mkdtemp(dir=folder))
                async with Bench.ready(homeserver, own, size) as bench:
                    for name, case in CASES.items():
                        show(size, name, [await case(bench) for _ in range(ROUNDS)])
        finally:
            await homeserver.stop()


def show(size: int, name: str, rounds: list[Measured]) -> None:
    """The median of the rounds, and the longest time for which the event loop stood still."""
    floor = statistics.median(each.floor for each in rounds)
    bot = statistics.median(each.bot for each in rounds)
    ratio = statistics.median(each.bot / each.floor for each in rounds)
    blocked = max(each.blocked for each in rounds)
    print(f"{size:>8}  {name:<22}{floor:>9.3f}{bot:>9.3f}{ratio:>7.2f}{blocked * 1000:>12.0f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(tuple(map(int, sys.argv[1:])) or SIZES))
