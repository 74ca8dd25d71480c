"""Time zones as people type them."""

import pytest

from bot.kernel.errors import NotUnderstood
from bot.kernel.zones import ABBREVIATIONS, REGIONS, TOWNS, zone_named


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("America/Regina", "America/Regina"),
        ("america/regina", "America/Regina"),
        ("regina", "America/Regina"),
        ("St. John's", "America/St_Johns"),
        ("new york", "America/New_York"),
        ("Québec", "America/Toronto"),
        ("quebec", "America/Toronto"),
        ("Buffalo", "America/New_York"),
        ("Indianapolis", "America/Indiana/Indianapolis"),
        ("US/Eastern", "US/Eastern"),
        ("utc", "UTC"),
        ("Newfoundland", "America/St_Johns"),
        ("Terre-Neuve", "America/St_Johns"),
        ("heure de Terre-Neuve", "America/St_Johns"),
    ],
)
def test_a_zone_is_found_by_its_name_its_city_or_a_town_in_it(typed: str, zone: str) -> None:
    assert zone_named(typed, "zone").key == zone


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("CST", "America/Winnipeg"),
        ("cst", "America/Winnipeg"),
        ("IST", "Asia/Kolkata"),
        ("EST", "America/Toronto"),
        ("HNE", "America/Toronto"),
        ("hac", "America/Winnipeg"),
        ("HNR", "America/Edmonton"),
        ("HAP", "America/Vancouver"),
        ("HNA", "America/Halifax"),
        ("HNT", "America/St_Johns"),
        ("eastern", "America/Toronto"),
        ("Eastern Standard Time", "America/Toronto"),
        ("heure de l’Est", "America/Toronto"),
        ("central", "America/Winnipeg"),
        ("centre", "America/Winnipeg"),
        ("Mountain time", "America/Edmonton"),
        ("rocheuses", "America/Edmonton"),
        ("heure avancée des Rocheuses", "America/Edmonton"),
        ("pacific", "America/Vancouver"),
        ("Pacifique", "America/Vancouver"),
        ("atlantic", "America/Halifax"),
        ("heure de l'Atlantique", "America/Halifax"),
        ("Victoria", "Australia/Victoria"),
        ("America/Regna", "America/Regina"),
        ("torronto", "America/Toronto"),
        ("nowhere", "America/Regina"),
        ("", "America/Regina"),
        ("localtime", "America/Regina"),
    ],
)
def test_what_is_no_zone_or_several_is_refused_with_one_to_copy(typed: str, instead: str) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        zone_named(typed, "zone")
    assert refusal.value.argument == "zone"
    assert refusal.value.instead == instead
    assert zone_named(instead, "zone").key == instead


def test_all_that_is_proposed_exists() -> None:
    proposed = {name for names in (*ABBREVIATIONS.values(), *REGIONS.values()) for name in names} | set(TOWNS)
    assert {zone_named(name, "zone").key for name in proposed} == proposed
