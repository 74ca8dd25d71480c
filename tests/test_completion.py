"""Completion: officers are offered their own words."""

import pytest

from bot.runtime.completion import completions
from commands import CAPABILITIES

WORDS = completions(command for each in CAPABILITIES for command in each.commands)


@pytest.mark.parametrize("begun", ["!alert who", "!alerte qui", "!ack", "!accuser", "!room serve", "!whoami"])
def test_a_command_is_offered_in_each_of_its_spellings(begun: str) -> None:
    assert begun in WORDS


def test_the_word_of_choice_that_comes_first_is_offered_in_the_language_of_the_command() -> None:
    assert {"!alert severe", "!alert extreme", "!alerte grave"} <= set(WORDS)
    assert {"!alert grave", "!alerte severe"}.isdisjoint(WORDS)


def test_nothing_is_offered_twice() -> None:
    assert len(set(WORDS)) == len(WORDS)
