"""Values of CAP 1.2 as text: times with a numeric offset, numbers, shapes, references."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

from bot.kernel.language import t
from commands.alerts.cap.document import Circle, Polygon, Reference, Refused

E = TypeVar("E", bound=Enum)

# CAP 1.2, 3.4: its `[-,+]` allows a comma that the schema's own dateTime excludes again.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[-+][0-9]{2}:[0-9]{2}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,12}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})")
_DEPRECATED = "Very Likely"  # CAP 1.2, 3.2.2, certainty: of CAP 1.0, to be read as Likely; we refuse it


def written_time(moment: datetime) -> str:
    """To the second, with its own offset; UTC is `-00:00`, never `Z` (CAP 1.2, 3.3.2)."""
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("an instant needs a zone")
    if not offset:
        return f"{moment:%Y-%m-%dT%H:%M:%S}-00:00"
    return moment.replace(microsecond=0).isoformat()


def read_time(text: str, element: str) -> datetime:
    """The instant, in UTC."""
    if _TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Refused(t("{element}: {value} is no date.", element=element, value=text)) from None
    raise Refused(
        t("{element} is not a time like 2026-11-03T14:30:00-05:00: {value}", element=element, value=text),
        allowed=t("UTC is written -00:00, not Z."),
    )


def read_one_of(text: str, kind: type[E], element: str) -> E:
    """The member of the enumeration, spelled exactly so."""
    for each in kind:
        if each.value == text:
            return each
    if text == _DEPRECATED:
        raise Refused(t("'Very Likely' is of CAP 1.0: write Likely."))
    choices = tuple(each.value for each in kind)
    raise Refused(
        t("{element} may not be {value}.", element=element, value=text),
        allowed=t("Choose one of: {choices}.", choices=choices),
    )


def read_number(text: str, element: str) -> float:
    """A decimal number without an exponent."""
    if not _NUMBER.fullmatch(text):
        raise Refused(t("{element}: {value} is no number.", element=element, value=text))
    return float(text)


def written_number(number: float) -> str:
    """Without an exponent, and without zeros that say nothing."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _pair(text: str, element: str) -> tuple[float, float]:
    latitude, comma, longitude = text.partition(",")
    if not comma:
        raise Refused(t("{element}: {value} is no pair of latitude,longitude.", element=element, value=text))
    return read_number(latitude, element), read_number(longitude, element)


def read_polygon(text: str) -> Polygon:
    """`lat,lon lat,lon …`; whether the ring is one is a rule of its own."""
    return Polygon(tuple(_pair(each, "polygon") for each in text.split()))


def read_circle(text: str) -> Circle:
    """`lat,lon radius`, in kilometres."""
    parts = text.split()
    if len(parts) != 2:
        raise Refused(t("circle is not 'lat,lon radius': {value}", value=text))
    latitude, longitude = _pair(parts[0], "circle")
    return Circle(latitude, longitude, read_number(parts[1], "circle"))


def read_references(text: str) -> tuple[Reference, ...]:
    """`sender,identifier,sent`, separated by spaces."""
    found = []
    for each in text.split():
        parts = each.split(",")
        if len(parts) != 3 or not all(parts):
            raise Refused(t("references: {value} is not sender,identifier,sent.", value=each))
        found.append(Reference(parts[0], parts[1], read_time(parts[2], "references")))
    return tuple(found)


def _written_pair(latitude: float, longitude: float) -> str:
    return f"{written_number(latitude)},{written_number(longitude)}"


def written(value: object) -> str:
    """Any value as it stands in the document."""
    match value:
        case Enum():
            return str(value.value)
        case datetime():
            return written_time(value)
        case float():
            return written_number(value)
        case Polygon():
            return " ".join(_written_pair(*point) for point in value.points)
        case Circle():
            return f"{_written_pair(value.latitude, value.longitude)} {written_number(value.radius_km)}"
        case _:
            return str(value)


def written_references(references: Sequence[Reference]) -> str:
    """The same, to be read again by `read_references`."""
    return " ".join(f"{each.sender},{each.identifier},{written_time(each.sent)}" for each in references)
