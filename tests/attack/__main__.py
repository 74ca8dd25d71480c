"""`make attack`: every attack against the running bot, one line each; exit code 1 if one went wrong."""

import argparse
import asyncio
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bot.kernel import clock
from tests.attack.catalogue import Attack, catalogue
from tests.attack.scene import SECRET, Fact, Scene
from tests.attack.stage import PASSWORD, Stage

LONGEST = 300.0  # seconds for one attack
SECRETS = ("!ping", "!ack", "pong", SECRET, PASSWORD)  # nothing of what was said may be logged


@dataclass(frozen=True)
class Outcome:
    """What became of one attack."""

    attack: Attack
    facts: tuple[Fact, ...]

    @property
    def failed(self) -> bool:
        """Whether the bot did all that it must."""
        return all(fact.right for fact in self.facts)

    def line(self) -> str:
        """For the table; where something is wrong, only that."""
        shown = self.facts if self.failed else [fact for fact in self.facts if not fact.right]
        said = "; ".join(fact.text for fact in shown)
        mark = "✓" if self.failed else "✗"
        return f"{mark} {self.attack.id:<3} {self.attack.tried} │ nio: {self.attack.nio} │ Tandem: {said}"


async def carry_out(stage: Stage, attack: Attack) -> Outcome:
    """One attack on its own scene; whatever goes wrong is a fact of it."""
    scene = Scene(attack.id, stage)
    await stage.wings.acquire()
    try:
        async with asyncio.timeout(LONGEST):
            await scene.begin()
            await attack.run(scene)
            await scene.close()
    except Exception as error:  # the rim: the other attacks go on
        scene.saw(" ".join(f"{type(error).__name__}: {error}".split()), False)
    finally:
        await scene.end()
    if not stage.bot.is_running:
        scene.saw("the bot's process has ended", False)
        await stage.bot.start()
    return Outcome(attack, tuple(scene.facts))


async def main(attacks: list[Attack], folder: Path) -> int:
    """Carry them out, print the table; how many lines are wrong."""
    began = clock.monotonic()
    wrong = 0
    async with Stage.open(folder) as stage, asyncio.TaskGroup() as group:
        running = [group.create_task(carry_out(stage, attack)) for attack in attacks]
        for task in running:
            outcome = await task
            wrong += not outcome.failed
            print(outcome.line(), flush=True)
    log = stage.log()
    told = [line for line in log if any(secret in line for secret in SECRETS)]
    print(f"{'✗' if told else '✓'} log {len(log)} lines, {len(told)} with anything that somebody said")
    print(f"{len(attacks)} attacks, {wrong} not as it must be, in {clock.monotonic() - began:.0f} s")
    return wrong + bool(told)


def chosen(only: str | None) -> list[Attack]:
    """The attacks of these ids, separated by commas; all of them if none is named."""
    wanted = only.upper().split(",") if only else None
    return [each for each in catalogue() if wanted is None or each.id in wanted]


def run() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--only", metavar="S8,S9", help="carry out these attacks only")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="leave logs and databases here")
    asked = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())  # Anna's own client has nothing to say here
    if asked.keep:
        return asyncio.run(main(chosen(asked.only), asked.keep))
    with tempfile.TemporaryDirectory(prefix="tandem-attack-") as folder:
        return asyncio.run(main(chosen(asked.only), Path(folder)))


if __name__ == "__main__":
    sys.exit(1 if run() else 0)
