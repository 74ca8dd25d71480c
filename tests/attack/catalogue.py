"""The catalogue: which attacks there are, what each tries, and what bare matrix-nio makes of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module

from tests.attack.scene import Scene

EXPECTED = tuple(f"S{number}" for number in range(1, 35))
THEMES = ("channels", "keys", "messages", "orders", "people", "records", "rooms")

Scenario = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Attack:
    """One attack: `tried` and `nio` (what matrix-nio does by itself) are shown, `run` carries it out."""

    id: str
    tried: str
    nio: str
    run: Scenario


ATTACKS: list[Attack] = []


def attack(id_: str, *, tried: str, nio: str) -> Callable[[Scenario], Scenario]:
    """Add a scenario to the catalogue."""

    def add(run: Scenario) -> Scenario:
        ATTACKS.append(Attack(id_, tried, nio, run))
        return run

    return add


def catalogue() -> list[Attack]:
    """Every attack, in the order of the numbers."""
    for theme in THEMES:
        import_module(f"tests.attack.{theme}")
    return sorted(ATTACKS, key=lambda each: int(each.id.removeprefix("S")))
