"""CAP 1.2 as XML: elements in the schema's order; nothing is fetched, no entity is resolved."""

import xml.etree.ElementTree as ElementTree  # noqa: S405  # writes only; defusedxml reads
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from bot.kernel.language import t
from commands.alerts.cap import values
from commands.alerts.cap.document import (
    Area,
    CapAlert,
    Circle,
    Info,
    Pair,
    Polygon,
    Reference,
    Refused,
    Resource,
)
from commands.alerts.cap.rules import check

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
SIGNATURES = "http://www.w3.org/2000/09/xmldsig#"  # allowed at the end; we do not check one
LARGEST = 64 * 1024  # bytes
ROOT = "alert"


def to_xml(alert: CapAlert) -> bytes:
    """The document in UTF-8; Refused if it breaks a rule."""
    check(alert)
    root = ElementTree.Element(ROOT, xmlns=NAMESPACE)
    _fill(root, alert)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def from_xml(raw: bytes) -> CapAlert:
    """The document; Refused if it is none, is too large, or breaks a rule."""
    if len(raw) > LARGEST:
        raise Refused(t("The document has {count} bytes: {most} are the most.", count=len(raw), most=LARGEST))
    root = _parsed(raw)
    if root.tag != f"{{{NAMESPACE}}}{ROOT}":
        raise Refused(
            t("This is not a CAP 1.2 alert."), allowed=t("Its root is alert of {name}.", name=NAMESPACE)
        )
    alert: CapAlert = _read(root, CapAlert, ROOT)
    check(alert)
    return alert


def _parsed(raw: bytes) -> ElementTree.Element:
    try:
        # As text: what the document says of its own encoding no longer counts.
        root: ElementTree.Element = fromstring(raw.decode("utf-8-sig"), forbid_dtd=True)
    except UnicodeDecodeError:
        raise Refused(t("The document is not in UTF-8.")) from None
    except DefusedXmlException:
        raise Refused(t("The document has a DTD or entities: CAP has neither.")) from None
    except ParseError as error:
        row, column = error.position
        raise Refused(
            t("This is not XML: line {row}, column {column}.", row=row, column=column + 1)
        ) from None
    return root


@dataclass(frozen=True)
class _Slot:
    """A field and its element: the type of one value, whether it repeats, whether it must be there."""

    field: str
    kind: Any
    many: bool
    required: bool


def _slots_of(record: type) -> dict[str, _Slot]:
    """The elements of a record by name, in order."""
    hints, slots = get_type_hints(record), {}
    for field in fields(record):
        hint = hints[field.name]
        many = get_origin(hint) is tuple
        kind = get_args(hint)[0] if many or isinstance(hint, UnionType) else hint
        required = field.default is MISSING
        slots[_element(field.name)] = _Slot(field.name, kind, many, required)
    return slots


def _element(name: str) -> str:
    """`msgType` of `msg_type`."""
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


_SLOTS = {record: _slots_of(record) for record in (CapAlert, Info, Area, Resource, Pair)}


def _fill(parent: ElementTree.Element, record: Any) -> None:
    for name, slot in _SLOTS[type(record)].items():
        for value in _each(getattr(record, slot.field), slot):
            element = ElementTree.SubElement(parent, name)
            if is_dataclass(value) and not isinstance(value, Polygon | Circle):
                _fill(element, value)
            else:
                element.text = values.written(value)


def _each(value: Any, slot: _Slot) -> tuple[Any, ...]:
    if slot.kind is Reference:
        return (values.written_references(value),) if value else ()
    if slot.many:
        return tuple(value)
    return () if value is None else (value,)


def _read(parent: ElementTree.Element, record: Any, name: str) -> Any:
    found: dict[str, list[Any]] = {}
    slots = _SLOTS[record]
    for child, element in _children(parent, list(slots), name):
        slot = slots[element]
        if slot.field in found and (not slot.many or slot.kind is Reference):
            raise Refused(t("{element} stands twice in {parent}.", element=element, parent=name))
        found.setdefault(slot.field, []).append(_value(child, slot.kind, element))
    for element, slot in slots.items():
        if slot.required and slot.field not in found:
            raise Refused(t("{element} is missing in {parent}.", element=element, parent=name))
    return record(
        **{slot.field: _held(found[slot.field], slot) for slot in slots.values() if slot.field in found}
    )


def _held(read: list[Any], slot: _Slot) -> Any:
    if slot.kind is Reference:
        return read[0]
    return tuple(read) if slot.many else read[0]


def _children(
    parent: ElementTree.Element, order: list[str], name: str
) -> Iterator[tuple[ElementTree.Element, str]]:
    """The elements within one, by name; Refused where one is unknown or before its place."""
    place = 0
    for child in parent:
        namespace, _, element = child.tag.removeprefix("{").rpartition("}")
        if namespace == SIGNATURES and name == ROOT:
            continue
        if namespace != NAMESPACE or element not in order:
            raise Refused(t("{parent} has no element {element}.", parent=name, element=element))
        if order.index(element) < place:
            before = order[place]
            raise Refused(
                t("{element} stands after {before}: the order is fixed.", element=element, before=before)
            )
        place = order.index(element)
        yield child, element


def _value(child: ElementTree.Element, kind: Any, element: str) -> Any:
    if is_dataclass(kind) and kind not in (Polygon, Circle, Reference):
        return _read(child, kind, element)
    if len(child):
        raise Refused(t("{element} may hold text only.", element=element))
    text = (child.text or "").strip()
    if kind is Reference:
        return values.read_references(text)
    if kind is Polygon:
        return values.read_polygon(text)
    if kind is Circle:
        return values.read_circle(text)
    return _plain(text, kind, element)


def _plain(text: str, kind: Any, element: str) -> Any:
    if kind is datetime:
        return values.read_time(text, element)
    if kind is float:
        return values.read_number(text, element)
    if kind is int:
        return int(values.read_number(text, element))
    if issubclass(kind, Enum):
        return values.read_one_of(text, kind, element)
    return text
