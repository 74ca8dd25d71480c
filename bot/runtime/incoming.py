"""A received message as its sender saw it: without the quote of a reply, with people as their ids."""

import re
from html import unescape
from itertools import islice
from typing import Any
from urllib.parse import unquote

# Each part is possessive and ends where the next tag begins: one pass, whatever somebody has sent.
_PILL = re.compile(
    r'<a\s++(?:(?!href)[^<>\s=]++(?:="[^"<>]*+")?+\s++)*+'
    r'href="https://matrix\.to/#/([^"?<>]++)[^"<>]*+"[^<>]*+>([^<]*+(?:<(?!/?a\b)[^<]*+)*+)</a>',
    re.I,
)
MOST_PILLS = 100
_TAG = re.compile(r"<[^>]*>")


def words_of(content: dict[str, Any]) -> str:
    """The text that was typed; a mentioned person is her user id, whatever name her client shows."""
    body = str(content.get("body") or "")
    if content.get("reply_to"):
        body = _without_quote(body)
    for pill in islice(_PILL.finditer(str(content.get("formatted_body") or "")), MOST_PILLS):
        target, shown = pill.groups()
        user_id, name = unescape(unquote(target)), unescape(_TAG.sub("", shown)).strip()
        if user_id.startswith("@") and name and name != user_id:
            body = body.replace(name, user_id, 1)
    return body


def _without_quote(body: str) -> str:
    """Older clients put the message that is replied to before the answer, as `> ` lines."""
    lines = body.split("\n")
    if not lines[0].startswith(">"):
        return body
    while lines and lines[0].startswith(">"):
        lines.pop(0)
    return "\n".join(lines).lstrip("\n")
