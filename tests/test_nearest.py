"""Did you mean."""

import pytest

from bot.kernel.nearest import distance, nearest


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("", "", 0),
        ("alert", "alert", 0),
        ("alrt", "alert", 1),
        ("alerrt", "alert", 1),
        ("olert", "alert", 1),
        ("aelrt", "alert", 1),
        ("", "abc", 3),
        ("meet", "alert", 3),
    ],
)
def test_the_distance_counts_typing_errors(one: str, other: str, edits: int) -> None:
    assert distance(one, other) == edits
    assert distance(other, one) == edits


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("RCPM", ["RCMP", "CBP"], ["RCMP"]),
        ("suspnd", ["resume", "suspend"], ["suspend"]),
        ("revoquer", ["révoquer"], ["révoquer"]),
        ("CB", ["CBP", "CBSA"], []),
        ("zebra", ["alert", "meet"], []),
        ("officier", ["officer", "officers", "official"], ["officer", "officers", "official"]),
    ],
)
def test_near_words_are_proposed_and_far_ones_are_not(word: str, known: list[str], found: list[str]) -> None:
    assert nearest(word, known) == found
