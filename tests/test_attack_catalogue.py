"""The table of `make attack` has a line for every attack of the threat model."""

from tests.attack.catalogue import EXPECTED, catalogue


def test_every_attack_is_in_the_catalogue_exactly_once() -> None:
    assert tuple(each.id for each in catalogue()) == EXPECTED


def test_every_line_says_what_is_tried_and_what_a_bare_library_does() -> None:
    for each in catalogue():
        assert 10 < len(each.tried) <= 100, each.id
        assert 5 < len(each.nio) <= 100, each.id
        assert each.run.__doc__, each.id
