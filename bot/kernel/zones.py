"""Time zones as people type them: a full name, a city, or an abbreviation that means several."""

import re
import zoneinfo
from collections.abc import Sequence
from functools import cache
from zoneinfo import ZoneInfo

from bot.kernel.errors import NotUnderstood
from bot.kernel.language import Text, t
from bot.kernel.words import folded, nearest

NEWFOUNDLAND = ("America/St_Johns",)
ATLANTIC = ("America/Halifax", "America/Moncton", "America/Puerto_Rico")
EASTERN = ("America/Toronto", "America/New_York", "America/Detroit")
CENTRAL = ("America/Winnipeg", "America/Chicago", "America/Regina")
MOUNTAIN = ("America/Edmonton", "America/Denver", "America/Phoenix")
PACIFIC = ("America/Vancouver", "America/Los_Angeles")

# An abbreviation is never taken: it names one offset, while a zone also knows when the clocks change.
ABBREVIATIONS = {
    **dict.fromkeys(["NST", "NDT", "NT", "HNT", "HAT", "HT"], NEWFOUNDLAND),
    **dict.fromkeys(["AST", "ADT", "AT", "HNA", "HAA", "HA"], ATLANTIC),
    **dict.fromkeys(["EST", "EDT", "ET", "HNE", "HAE", "HE"], EASTERN),
    **dict.fromkeys(["CST", "CDT", "CT", "HNC", "HAC", "HC"], CENTRAL),
    **dict.fromkeys(["MST", "MDT", "MT", "HNR", "HAR", "HR"], MOUNTAIN),
    **dict.fromkeys(["PST", "PDT", "PT", "HNP", "HAP", "HP"], PACIFIC),
    **dict.fromkeys(["AKST", "AKDT"], ("America/Anchorage",)),
    "HST": ("Pacific/Honolulu",),
    "IST": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "BST": ("Europe/London", "Asia/Dhaka"),
    **dict.fromkeys(["CET", "CEST"], ("Europe/Paris", "Europe/Berlin")),
}

# What people call a whole strip of the continent. Its parts differ in when the clocks change (Regina and
# Phoenix never do), so that one of them is to be chosen.
REGIONS = {
    **dict.fromkeys(["newfoundland", "terreneuve"], NEWFOUNDLAND),
    **dict.fromkeys(["atlantic", "atlantique"], ATLANTIC),
    **dict.fromkeys(["eastern", "est"], EASTERN),
    **dict.fromkeys(["central", "centre"], CENTRAL),
    **dict.fromkeys(["mountain", "mountains", "rocheuses", "montagnes"], MOUNTAIN),
    **dict.fromkeys(["pacific", "pacifique"], PACIFIC),
}
_TIME = re.compile(r"(?:standard|daylight)?time$|^heure(?:normale|avancee)?(?:del|des|du|de)")

# Towns on the border that have no zone of their own name (IANA names one city for each zone).
TOWNS = {
    "America/Toronto": ("Cornwall", "Kingston", "Niagara Falls", "Ottawa", "Québec", "Sarnia", "Windsor"),
    "America/New_York": ("Albany", "Buffalo", "Burlington", "Massena", "Plattsburgh", "Washington"),
    "America/Detroit": ("Port Huron", "Marquette"),
    "America/Winnipeg": ("Emerson",),
    "America/Chicago": ("Duluth", "Grand Forks", "International Falls", "Minneapolis", "Pembina"),
    "America/Regina": ("Estevan", "Saskatoon"),
    "America/Edmonton": ("Calgary", "Coutts", "Lethbridge"),
    "America/Denver": ("Havre", "Sweetgrass"),
    "America/Vancouver": ("Abbotsford", "Surrey", "Victoria"),
    "America/Los_Angeles": ("Bellingham", "Blaine", "Seattle", "Spokane"),
    "America/Moncton": ("Fredericton", "Saint John", "St. Stephen"),
}

_NOT_OF_CITIES = frozenset({"Brazil", "Canada", "Chile", "Etc", "Mexico", "US"})


def zone_named(typed: str, argument: str) -> ZoneInfo:
    """The zone of this name or city, in any case; NotUnderstood, about `argument`, if none or several."""
    if short := ABBREVIATIONS.get(typed.upper()):
        raise NotUnderstood(
            t("{typed} is not a zone: it does not say when the clocks change.", typed=typed),
            argument=argument,
            allowed=_one_of(short),
            instead=short[0],
        )
    found = _index().get(_key(typed)) or REGIONS.get(_TIME.sub("", _key(typed).replace("-", "")), ())
    if len(found) == 1:
        return ZoneInfo(found[0])
    if found:
        raise NotUnderstood(
            t("{typed} is the name of several zones.", typed=typed),
            argument=argument,
            allowed=_one_of(found),
            instead=found[0],
        )
    raise _unknown(typed, argument)


def _unknown(typed: str, argument: str) -> NotUnderstood:
    meant = nearest(_key(typed), _index())
    near = () if meant is None else _index()[meant]
    return NotUnderstood(
        t("I know no zone {typed}.", typed=typed),
        argument=argument,
        allowed=_one_of(near) if near else t("A zone has the name of a city: America/Regina"),
        instead=near[0] if near else "America/Regina",
    )


def _one_of(names: Sequence[str]) -> Text:
    if len(names) == 1:
        return t("Perhaps {name}", name=names[0])
    return t("One of {names}", names=tuple(names))


@cache
def _index() -> dict[str, tuple[str, ...]]:
    """Zones by each way to type them: whole, by city, by town."""
    index: dict[str, list[str]] = {}
    for name in sorted(zoneinfo.available_timezones()):
        area, _, city = name.rpartition("/")
        if name == "UTC" or area:
            index.setdefault(_key(name), []).append(name)
        if area and area not in _NOT_OF_CITIES:
            # A city listed twice (America/Louisville, America/Kentucky/Louisville) is one zone: a link.
            index.setdefault(_key(city), [name])
    for name, towns in TOWNS.items():
        for town in towns:
            index.setdefault(_key(town), []).append(name)
    return {key: tuple(names) for key, names in index.items()}


def _key(typed: str) -> str:
    return "".join(each for each in folded(typed) if each.isalnum() or each in "/+-")
