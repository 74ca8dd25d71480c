"""What comes from outside: every seed and every find of the fuzzer again, and its targets at random."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import world
from tests.fuzz.targets import TARGETS, kept

SLOW = ("sync", "rows", "olm")
FILES = [(name, file) for name in TARGETS for file in kept(name)]
BOUNDED = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", autouse=True)
def _world() -> Iterator[None]:
    """The targets share one bot; it is given back at the end."""
    yield
    world.close()


def test_no_file_of_the_corpus_is_without_a_target() -> None:
    """A folder that was named differently would never be replayed."""
    assert {name for name, _ in FILES} <= set(TARGETS)


@pytest.mark.parametrize(("name", "file"), FILES)
def test_what_was_found_stays_mended(name: str, file: str) -> None:
    """Nothing comes out but the errors that are documented."""
    TARGETS[name].run(kept(name)[file])


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_target_begins_with_is_handled(name: str) -> None:
    """The valid samples, unchanged."""
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in SLOW])
def test_parts_that_are_odd_raise_nothing_else(name: str) -> None:
    """Random bytes, or valid JSON with some of its parts made odd."""
    BOUNDED(given(st.binary(max_size=TARGETS[name].longest))(TARGETS[name].run))()


@pytest.mark.parametrize("name", SLOW)
def test_rounds_that_are_odd_harm_nobody_else(name: str) -> None:
    """In each an honest command is handled all the same."""
    settings(BOUNDED, max_examples=15)(given(st.binary(max_size=24))(TARGETS[name].run))()
