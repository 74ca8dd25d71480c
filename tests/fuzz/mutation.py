"""From the bytes of a fuzzer to JSON that is nearly right: a valid sample with some parts made odd."""

import json
from collections.abc import Callable
from typing import Any

MOST_CHANGES = 8
MOST_PARTS = 800  # of the tree; a bound on what repetition can make of a sample
MOST_CHARACTERS = 600

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    7,
    99,
    2**31,
    2**53 - 1,
    2**53,
    10**17,
    -(10**17),
    1.5,
    1e308,
    253402300799999,
    "",
    " ",
    "a",
    "\x00",
    "\ud800",
    "\u202e",
    "\ufeff!help",
    "é" * 200,
    "A" * 43,
    "A" * 44,
    "A" * 255,
    "A" * 256,
    "x" * 2000,
    "{0}{x}%s",
    "$honest",
    "!room:agency.example",
    "@bob:cbp.example",
    "@tandem:agency.example",
    "@",
    "m.room.encrypted",
    "m.room.message",
    "m.room.member",
    "m.room.encryption",
    "m.megolm.v1.aes-sha2",
    "join",
    [],
    {},
    [[]],
    [{}],
    {"": {}},
    {"a": [{"b": None}]},
    ["@bob:cbp.example"] * 40,
)


class Choices:
    """Decisions taken from bytes, one after another; when they are used up every further one is 0."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether there are bytes left."""
        return self._at < len(self._raw)

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        size = 1 if limit <= 256 else 2
        taken = self._raw[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken, "big") % limit if limit else 0

    def of(self, options: Any) -> Any:
        """One of these."""
        return options[self.below(len(options))]


Place = tuple[Any, Any]
"""A container and the key or index of one of its parts."""


def read(raw: bytes, *samples: Any) -> Any:
    """The input: JSON as it stands if it is an object, else a sample changed as the bytes decide."""
    if raw[:1] == b"{":
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            pass
    choices = Choices(raw)
    return mutated(choices.of(samples), choices)


def mutated(sample: Any, choices: Choices) -> Any:
    """A copy of the sample with some parts changed."""
    box = [json.loads(json.dumps(sample))]
    for _ in range(MOST_CHANGES):
        if not choices.left:
            break
        places = list(_places(box))
        if len(places) > MOST_PARTS:
            break
        _CHANGES[choices.below(len(_CHANGES))](places, choices)
    return box[0]


def _places(box: list[Any]) -> list[Place]:
    found: list[Place] = []
    waiting: list[Any] = [box]
    while waiting:
        holder = waiting.pop()
        for key in holder if isinstance(holder, dict) else range(len(holder)):
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _odd(places: list[Place], choices: Choices) -> None:
    holder, key = choices.of(places)
    holder[key] = _copy(choices.of(ODD))


def _gone(places: list[Place], choices: Choices) -> None:
    holder, key = choices.of(places[1:] or places)
    if len(places) > 1:
        del holder[key]


def _moved(places: list[Place], choices: Choices) -> None:
    (holder, key), (source, name) = choices.of(places), choices.of(places)
    holder[key] = _copy(source[name])


def _renamed(places: list[Place], choices: Choices) -> None:
    holder, key = choices.of(places)
    if isinstance(holder, dict):
        value = holder.pop(key)
        names = [other for _, other in places if isinstance(other, str)] + [
            each for each in ODD if isinstance(each, str)
        ]
        holder[choices.of(names)] = value


def _repeated(places: list[Place], choices: Choices) -> None:
    holder, key = choices.of(places)
    if isinstance(holder, list) and len(places) > 1:
        holder[key:key] = [_copy(holder[key]) for _ in range(1 + choices.below(8))]


def _wrapped(places: list[Place], choices: Choices) -> None:
    holder, key = choices.of(places)
    for _ in range(choices.of((1, 2, 70, 300))):
        holder[key] = [holder[key]] if choices.below(2) else {"content": holder[key]}


def _added(places: list[Place], choices: Choices) -> None:
    holder, key = choices.of(places)
    if isinstance(holder[key], dict):
        source, name = choices.of(places)
        holder[key][str(name)] = _copy(source[name] if choices.below(2) else choices.of(ODD))


def _edited(places: list[Place], choices: Choices) -> None:
    written = [(holder, key) for holder, key in places if isinstance(holder[key], str)]
    if not written:
        return
    holder, key = choices.of(written)
    text, at = holder[key], choices.below(len(holder[key]) + 1)
    piece = choices.of((chr(choices.below(0x3000)), choices.of(ODD), text, ""))
    holder[key] = (text[:at] + str(piece) + text[at + choices.below(4) :])[:MOST_CHARACTERS]


_CHANGES: tuple[Callable[[list[Place], Choices], None], ...] = (
    _odd,
    _odd,
    _gone,
    _moved,
    _renamed,
    _repeated,
    _wrapped,
    _added,
    _edited,
)
