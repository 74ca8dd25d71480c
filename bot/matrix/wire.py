"""Reading what came from outside: nothing here raises anything but `Malformed`, whatever it is given."""

import json
import math
import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

Json = dict[str, Any]

MAX_INT_DIGITS = 18  # Matrix integers end at 2**53; Python refuses to parse beyond 4300 digits at all
MAX_PLAINTEXT = 64 * 1024  # the largest event of the Matrix specification, "Size limits"
MAX_DEPTH = 60  # deeper than any client writes, far above the stack
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Malformed(ValueError):
    """Not what the specification says it must be."""


def parse(raw: bytes) -> Any:
    """The JSON value, with every text storable: lone surrogates and NUL become U+FFFD."""
    try:
        value = _load(raw.decode("utf-8"))
        if b"\\u" in raw:
            value = _clean(value)
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    return value


def parse_plaintext(raw: bytes) -> Json:
    """A decrypted payload: an object in UTF-8 of at most 64 KiB and sane depth."""
    if len(raw) > MAX_PLAINTEXT:
        raise Malformed("too large")
    if too_deep(raw):
        raise Malformed("too deep")
    value = parse(raw)
    if not isinstance(value, dict):
        raise Malformed("not an object")
    return value


def too_deep(raw: bytes) -> bool:
    """Whether brackets may nest deeper than MAX_DEPTH; counts those inside texts too, so errs to yes."""
    depth = deepest = 0
    in_text = escaped = False
    for byte in raw:
        if in_text:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_text = False
        elif byte == 0x22:
            in_text = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest > MAX_DEPTH


def _load(text: str) -> Any:
    return json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=lambda _name: None)


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= MAX_INT_DIGITS else 0


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None  # JSON has no word for it, so no database keeps it


def _clean(root: Any) -> Any:
    # Without recursion: the value may nest as deep as the parser allows.
    box = [root]
    waiting: list[Any] = [box]
    while waiting:
        holder = waiting.pop()
        pairs = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
        if isinstance(holder, dict):
            holder.clear()
        for key, value in pairs:
            if isinstance(value, dict | list):
                waiting.append(value)
            new_key = _UNSTORABLE.sub("\ufffd", key) if isinstance(key, str) else key
            holder[new_key] = _UNSTORABLE.sub("\ufffd", value) if isinstance(value, str) else value
    return box[0]


def obj(value: Any) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Json]:
    """The objects in a list; anything else is left out."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: Any, limit: int = 255) -> str | None:
    """The value if it is a text of 1 to `limit` characters; identifiers end at 255 bytes."""
    return value if isinstance(value, str) and 0 < len(value) <= limit else None


def need(value: Any, limit: int = 255) -> str:
    """Like `text`, but Malformed if it is none."""
    if (found := text(value, limit)) is None:
        raise Malformed("a text is missing")
    return found


def texts(value: Any) -> list[str]:
    """The short texts in a list."""
    return [each for each in value if text(each)] if isinstance(value, list) else []


def number(value: Any) -> int | None:
    """The value if it is a whole number from 0 on."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def skew_by(date: str | None, now: datetime) -> timedelta | None:
    """Our clock less that of whoever wrote this HTTP `Date` header; None if it is not one."""
    try:
        written = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    if written.tzinfo is None:
        return None
    # The header is cut to seconds: its middle is the best guess.
    return now - written - timedelta(seconds=0.5)
