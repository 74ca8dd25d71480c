"""Spans and moments as officers type them, in English and French; what could be misread is refused."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from bot.kernel.errors import NotUnderstood
from bot.kernel.language import t
from bot.kernel.words import folded

MAX_WORDS = 6  # of one moment: `tue 3 nov 2026 14 h`
FIRST_YEAR, LAST_YEAR = 1900, 2200

_UNITS = {
    timedelta(seconds=1): ("s", "sec", "secs", "second", "seconds", "seconde", "secondes"),
    timedelta(minutes=1): ("m", "mn", "min", "mins", "minute", "minutes"),
    timedelta(hours=1): ("h", "hr", "hrs", "hour", "hours", "heure", "heures"),
    timedelta(days=1): ("d", "j", "day", "days", "jour", "jours"),
    timedelta(weeks=1): ("w", "wk", "week", "weeks", "semaine", "semaines", "sem"),
}
_UNIT = {name: unit for unit, names in _UNITS.items() for name in names}
_SPAN = re.compile(r"(?:\d{1,5}(?:[.,]\d{1,2})? ?[a-z]+ ?)+(?:\d{1,2})?")
_PIECE = re.compile(r"(\d{1,5}(?:[.,]\d{1,2})?) ?([a-z]+)?")

_MONTHS = (
    ("jan", "january", "janv", "janvier"),
    ("feb", "february", "fev", "fevr", "fevrier"),
    ("mar", "march", "mars"),
    ("apr", "april", "avr", "avril"),
    ("may", "mai"),
    ("jun", "june", "juin"),
    ("jul", "july", "juil", "juillet"),
    ("aug", "august", "aout"),
    ("sep", "sept", "september", "septembre"),
    ("oct", "october", "octobre"),
    ("nov", "november", "novembre"),
    ("dec", "december", "decembre"),
)
_MONTH = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names}
_WEEKDAYS = (
    ("mon", "monday", "lun", "lundi"),
    ("tue", "tues", "tuesday", "mardi"),
    ("wed", "weds", "wednesday", "mer", "mercredi"),
    ("thu", "thur", "thurs", "thursday", "jeu", "jeudi"),
    ("fri", "friday", "ven", "vendredi"),
    ("sat", "saturday", "sam", "samedi"),
    ("sun", "sunday", "dim", "dimanche"),
)
_WEEKDAY = {name: number for number, names in enumerate(_WEEKDAYS) for name in names}
_DAYS = {
    ("today", "aujourd'hui", "aujourdhui", "tonight"): 0,
    ("tomorrow", "tmrw", "tmw", "demain"): 1,
    ("yesterday", "hier"): -1,
}
_DAY = {name: days for names, days in _DAYS.items() for name in names}

# Zones of the border; a fixed name (EST) is its offset, a general one (ET) the law of the place.
_PLACES = {
    ("ET", "HE"): "America/Toronto",
    ("CT", "HC"): "America/Winnipeg",
    ("MT", "HR"): "America/Edmonton",
    ("PT", "HP"): "America/Vancouver",
    ("AT", "HA"): "America/Halifax",
    ("NT", "HT"): "America/St_Johns",
}
_OFFSETS = {
    ("Z", "UTC", "GMT", "TU"): 0.0,
    ("NST", "HNT"): -3.5,
    ("NDT", "HAT"): -2.5,
    ("AST", "HNA"): -4,
    ("ADT", "HAA"): -3,
    ("EST", "HNE"): -5,
    ("EDT", "HAE"): -4,
    ("HNC",): -6,
    ("CDT", "HAC"): -5,
    ("MST", "HNR"): -7,
    ("MDT", "HAR"): -6,
    ("PST", "HNP"): -8,
    ("PDT", "HAP"): -7,
}
_ZONES: dict[str, tzinfo] = {name: ZoneInfo(place) for names, place in _PLACES.items() for name in names} | {
    name: timezone(timedelta(hours=hours)) for names, hours in _OFFSETS.items() for name in names
}
# What several parts of the world call their own: said instead, what to type.
_AMBIGUOUS = {
    "CST": ("CT", "America/Regina", "Asia/Shanghai"),
    "IST": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "BST": ("Europe/London", "Asia/Dhaka"),
}

_SLASHED = re.compile(r"\b(\d{1,2})[/.-](\d{1,2})(?:[/.-](\d{4}|\d{2}))?\b")
_ISO_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:t(?=\d)| |$)")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:er|st|nd|rd|th)? ?([a-z]+)\.?,?(?: (20\d\d)(?= |$))?(?: |$)")
_MONTH_DAY = re.compile(r"([a-z]+)\.? (\d{1,2})(?:er|st|nd|rd|th)?,?(?: (20\d\d)(?= |$))?(?: |$)")
_DAY_NAME = re.compile(r"([a-z'’]+)\.?,?(?: |$)")
_TIME = re.compile(
    r"(?:@ ?|at |a )?(?:(?P<h>\d{1,2}) ?(?::|h) ?(?P<m>\d\d)(?::(?P<s>\d\d))?(?P<pm> ?[ap]m\b)?"
    r"|(?P<h2>\d{1,2})(?P<pm2> ?[ap]m\b)|(?P<h3>\d{1,2}) ?h|(?P<h4>\d\d)(?P<m4>\d\d)|(?P<noon>noon|midi))"
    r"(?= |$|z|[+-]\d|[a-z])"
)
_OFFSET = re.compile(r"(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d\d))?")


def read_span(text: str) -> timedelta | None:
    """`90m`, `1h30`, `2 days`, `1,5 h`; None if it is none. A bare number is none."""
    said = folded(text).strip()
    if not _SPAN.fullmatch(said):
        return None
    total, unit = timedelta(), timedelta.max
    for number, name in _PIECE.findall(said):
        if name and name not in _UNIT:
            return None
        if not name and unit != timedelta(hours=1):  # only `1h30` leaves its last unit out
            return None
        before, unit = unit, _UNIT[name] if name else timedelta(minutes=1)
        if unit >= before:
            return None
        total += float(number.replace(",", ".")) * unit
    return total


def read_moment(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    """The instant in UTC; None if it is not of this form; NotUnderstood if it is, but could be misread.

    A bare time is today in `zone`; a weekday is the next one on which the time is still to come. In the
    autumn fold the first of the two is meant; a time in the spring gap is refused.
    """
    said = re.sub(r"\s+", " ", folded(text).strip())
    if said in ("now", "maintenant"):
        return now.astimezone(UTC)
    if relative := re.fullmatch(r"(?:\+ ?|in |dans )(.+)", said):
        length = read_span(relative[1])
        return None if length is None else (now + length).astimezone(UTC)
    if not _ISO_DAY.match(said) and (slashed := _SLASHED.match(said)):
        raise _either_order(slashed)
    return _Reading(said, text, now, zone).instant()


@dataclass
class _Reading:
    rest: str
    typed: str
    now: datetime
    zone: tzinfo

    def instant(self) -> datetime | None:
        day = self._day()
        clock = self._clock()
        if clock is None:
            self._refuse_timeless(day)
            return None
        where = self._zone()
        if day is None:
            day = self._day()
        if self.rest or where is None:
            return None
        return self._meet(day, clock, where)

    def _meet(self, day: "_Day | None", clock: time, where: tzinfo) -> datetime:
        today = self.now.astimezone(where).date()
        on = day.on(today) if day else today
        if day and day.weekday is not None and _instant(on, clock, where) < self.now:
            on += timedelta(days=7)
        if _in_gap(on, clock, where):
            after = _instant(on, clock, where).astimezone(where)
            raise NotUnderstood(
                t(
                    "{clock} does not exist on {day}: the clocks go forward then",
                    clock=f"{clock:%H:%M}",
                    day=f"{on}",
                ),
                instead=f"{after:%Y-%m-%dT%H:%M}",
            )
        return _instant(on, clock, where)

    def _refuse_timeless(self, day: "_Day | None") -> None:
        if day is None:
            return
        if not self.rest:
            raise NotUnderstood(t("A time of day is missing"), instead=f"{self.typed.strip()} 09:00")
        if re.fullmatch(r"\d{1,2}", self.rest) and int(self.rest) < 24:
            before = self.typed.strip()[: -len(self.rest)]
            raise NotUnderstood(
                t("{word} could be many things; write the minutes too", word=self.rest),
                instead=f"{before}{int(self.rest):02}:00",
            )
        if self.rest in ("midnight", "minuit", "24:00"):
            before = self.typed.strip()[: -len(self.rest)]
            raise NotUnderstood(
                t("midnight belongs to two days; write 00:00 or 23:59"), instead=f"{before}23:59"
            )

    def _day(self) -> "_Day | None":
        rest = self.rest
        if iso := _ISO_DAY.match(rest):
            return self._taken(iso, _Day(exact=_date(int(iso[1]), int(iso[2]), int(iso[3]))))
        if (named := _DAY_NAME.match(rest)) and named[1] in _DAY:
            return self._taken(named, _Day(days=_DAY[named[1]]))
        if named and named[1] in _WEEKDAY:
            day = self._taken(named, _Day(weekday=_WEEKDAY[named[1]]))
            dated = self._dated()
            return dated.checked(_WEEKDAY[named[1]], self.now, self.rest) if dated else day
        return self._dated()

    def _dated(self) -> "_Day | None":
        if (found := _DAY_MONTH.match(self.rest)) and found[2] in _MONTH:
            return self._taken(found, _Day.of(found[3], _MONTH[found[2]], int(found[1])))
        if (found := _MONTH_DAY.match(self.rest)) and found[1] in _MONTH:
            return self._taken(found, _Day.of(found[3], _MONTH[found[1]], int(found[2])))
        return None

    def _taken(self, found: re.Match[str], day: "_Day") -> "_Day":
        self.rest = self.rest[found.end() :].strip()
        return day

    def _clock(self) -> time | None:
        found = _TIME.match(self.rest)
        if found is None:
            return None
        hour = int(found["h"] or found["h2"] or found["h3"] or found["h4"] or 12)
        minute, second = int(found["m"] or found["m4"] or 0), int(found["s"] or 0)
        half = (found["pm"] or found["pm2"] or "").strip()
        if half:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if half == "pm" else 0)
        if hour > 23 or minute > 59 or second > 59:
            return None
        self.rest = self.rest[found.end() :].strip()
        return time(hour, minute, second)

    def _zone(self) -> tzinfo | None:
        """The zone named next, the reader's if there is none; None if what stands there is no zone."""
        word, _, after = self.rest.partition(" ")
        if not word or _DAY_NAME.match(word) and (word in _DAY or word in _WEEKDAY):
            return self.zone
        upper = word.upper()
        if upper in _AMBIGUOUS:
            choices = _AMBIGUOUS[upper]
            before = self.typed.rstrip()[: -len(self.rest)].rstrip()
            raise NotUnderstood(
                t("{zone} means several zones; write one of {choices}", zone=upper, choices=choices),
                instead=f"{before} {choices[0]}",
            )
        # `et` and `at` are words before they are zones: two letters count only as capitals.
        written = len(word) != 2 or upper in self.typed
        found = _ZONES.get(upper) if written else None
        if found is None and (offset := _OFFSET.fullmatch(word)):
            found = _fixed(offset)
        if found is None and "/" in word:
            found = _named(word)
        if found is None:
            return self.zone if self._day_follows() else None
        self.rest = after
        return found

    def _day_follows(self) -> bool:
        return bool(_ISO_DAY.match(self.rest) or _DAY_MONTH.match(self.rest) or _MONTH_DAY.match(self.rest))


@dataclass(frozen=True)
class _Day:
    days: int | None = None
    weekday: int | None = None
    exact: date | None = None
    month: int | None = None
    day: int = 1

    @classmethod
    def of(cls, year: str | None, month: int, day: int) -> "_Day":
        return cls(exact=_date(int(year), month, day)) if year else cls(month=month, day=day)

    def on(self, today: date) -> date:
        """The date meant, seen from `today`; without a year, the next such day."""
        if self.exact:
            return self.exact
        if self.month:
            this_year = _date(today.year, self.month, self.day)
            return this_year if this_year >= today else _date(today.year + 1, self.month, self.day)
        if self.weekday is not None:
            return today + timedelta(days=(self.weekday - today.weekday()) % 7)
        return today + timedelta(days=self.days or 0)

    def checked(self, weekday: int, now: datetime, clock: str) -> "_Day":
        """Itself; NotUnderstood if the weekday written beside it is another one. `clock` is what follows."""
        on = self.on(now.date())
        if on.weekday() != weekday:
            raise NotUnderstood(
                t("{day} is another day of the week", day=f"{on}"), instead=f"{on} {clock or '09:00'}"
            )
        return _Day(exact=on)


def _instant(on: date, clock: time, where: tzinfo) -> datetime:
    if not FIRST_YEAR <= on.year <= LAST_YEAR:  # the ends of the calendar have no instant in every zone
        raise NotUnderstood(t("There is no such day"))
    return datetime.combine(on, clock, where).astimezone(UTC)


def _in_gap(on: date, clock: time, where: tzinfo) -> bool:
    back = _instant(on, clock, where).astimezone(where)
    return (back.date(), back.time()) != (on, clock)


def _date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise NotUnderstood(t("There is no such day")) from None


def _fixed(offset: re.Match[str]) -> tzinfo | None:
    length = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    if length > timedelta(hours=14):
        return None
    return timezone(-length if offset[1] == "-" else length)


@cache
def _places() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def _named(word: str) -> tzinfo | None:
    name = _places().get(word)
    return ZoneInfo(name) if name else None


def _either_order(found: re.Match[str]) -> NotUnderstood:
    first, second = int(found[1]), int(found[2])
    year = found[3] or ""
    error = NotUnderstood(
        t("The order of day and month differs across the border; write 2026-04-03 or 3 Apr")
    )
    months = [names[0].capitalize() for names in _MONTHS]
    day, month = (first, second) if second <= 12 else (second, first)
    if not 1 <= month <= 12:
        return error
    if first <= 12 and second <= 12 and first != second:
        error.asks = True
        return error
    rest = found.string[found.end() :].strip() or "09:00"
    full = f" 20{year[-2:]}" if year else ""
    error.instead = f"{day} {months[month - 1]}{full} {rest}"
    return error
