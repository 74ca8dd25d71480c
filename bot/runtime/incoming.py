"""A received message as its sender saw it: without the quote of a reply, with people as their ids."""

import re
from html import unescape
from typing import Any
from urllib.parse import unquote

_PILL = re.compile(r'<a\s[^>]*href="https://matrix\.to/#/([^"?]+)[^"]*"[^>]*>(.*?)</a>', re.S | re.I)
_TAG = re.compile(r"<[^>]*>")


def words_of(content: dict[str, Any]) -> str:
    """The text that was typed; a mentioned person is her user id, whatever name her client shows."""
    body = str(content.get("body") or "")
    if content.get("reply_to"):
        body = _without_quote(body)
    for target, shown in _PILL.findall(str(content.get("formatted_body") or "")):
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
