"""What CAP 1.2 asks of a document beyond its schema; each rule is a refusal of its own."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from bot.kernel.language import t
from commands.alerts.cap.document import CapAlert, Info, MsgType, Refused, Scope
from commands.alerts.cap.places import check_areas

_NO_NAME = re.compile(r"[\s,<&]")  # CAP 1.2, 3.2.1, identifier and sender
_LANGUAGE = re.compile(r"[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*")  # RFC 3066, xs:language
# CAP 1.2, 3.2.2, notes: markup does not belong into text. A lone `<` or `&` does.
HTML = re.compile(r"<\s*[/!?]?\s*[a-zA-Z]|&(?:#[0-9]+|#x[0-9a-fA-F]+|[a-zA-Z]+[0-9]*);")
# What XML 1.0, section 2.2, has no place for.
UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ADDRESSES = frozenset({"web", "uri", "deref_uri", "digest", "addresses"})  # no text to be read
_REPLIES = frozenset({MsgType.UPDATE, MsgType.CANCEL, MsgType.ACK, MsgType.ERROR})


def plain(text: str) -> str:
    """What people wrote, without what a document may not hold: markup is shown, not meant."""
    shown = HTML.sub(lambda found: found[0].replace("<", "‹").replace("&", "＆"), text)
    return UNWRITABLE.sub("", shown)


def check(alert: CapAlert) -> None:
    """Refused with the first rule that the document breaks."""
    _check_name(alert.identifier, "identifier")
    _check_name(alert.sender, "sender")
    _check_scope(alert)
    _check_references(alert)
    for name, text in _texts(alert):
        _check_text(name, text)
    for info in alert.info:
        _check_info(info)
    check_areas([area for info in alert.info for area in info.area])


def _check_name(name: str, element: str) -> None:
    if not name:
        raise Refused(t("{element} is empty.", element=element))
    if _NO_NAME.search(name):
        raise Refused(t("{element} may not contain a space, a comma, < or &.", element=element))


def _check_scope(alert: CapAlert) -> None:
    restricted = alert.scope is Scope.RESTRICTED
    if restricted and not alert.restriction:
        raise Refused(t("scope Restricted needs a restriction."))
    if alert.restriction is not None and not restricted:
        raise Refused(t("restriction goes with scope Restricted only."))
    if alert.scope is Scope.PRIVATE and not alert.addresses:
        raise Refused(t("scope Private needs addresses."))


def _check_references(alert: CapAlert) -> None:
    if alert.msg_type in _REPLIES and not alert.references:
        raise Refused(t("{type} must name in references what it is about.", type=alert.msg_type.value))
    for each in alert.references:
        _check_name(each.sender, "references")
        _check_name(each.identifier, "references")
        if (each.sender, each.identifier) == (alert.sender, alert.identifier):
            raise Refused(t("references may not name the message itself."))
        if each.sent > alert.sent:
            raise Refused(t("references name {identifier}, which is later.", identifier=each.identifier))


def _check_text(name: str, text: str) -> None:
    if UNWRITABLE.search(text):
        raise Refused(t("{element} has a character that XML cannot carry.", element=name))
    if name not in _ADDRESSES and HTML.search(text):
        raise Refused(t("{element} has HTML in it: write plain text.", element=name))


def _check_info(info: Info) -> None:
    if not _LANGUAGE.fullmatch(info.language):
        raise Refused(t("{code} is no code of a language, such as en-CA.", code=info.language))
    if not info.category:
        raise Refused(t("{element} is missing in {parent}.", element="category", parent="info"))
    for name, text in (("event", info.event), *(("areaDesc", each.area_desc) for each in info.area)):
        if not text.strip():
            raise Refused(t("{element} is empty.", element=name))


def _texts(record: Any) -> Iterator[tuple[str, str]]:
    """Every text in the tree, with the name of its field."""
    for field in fields(record):
        value = getattr(record, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, str):
                yield field.name, each
            elif is_dataclass(each):
                yield from _texts(each)
