"""Arguments: a handler's signature read as a grammar, and words read as values of its types."""

import inspect
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import Enum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from bot.kernel.errors import NotUnderstood
from bot.kernel.language import Language, Named, Text, french_of, t
from bot.kernel.moments import MAX_WORDS, read_moment, read_span
from bot.kernel.vocabulary import Prefix, Quoted, Ref, Rest, Until, UserId, Wait
from bot.kernel.words import folded, nearest, short


class Kind(Enum):
    """What a parameter takes."""

    WORD = "word"
    TEXT = "text"
    REST = "rest"
    CHOICE = "choice"
    SPAN = "span"
    MOMENT = "moment"
    END = "end"
    WAIT = "wait"
    REF = "reference"
    USER = "person"
    NUMBER = "number"
    FLAG = "flag"


_KINDS: dict[Any, Kind] = {
    str: Kind.WORD,
    Quoted: Kind.TEXT,
    Rest: Kind.REST,
    timedelta: Kind.SPAN,
    datetime: Kind.MOMENT,
    Until: Kind.END,
    Wait: Kind.WAIT,
    Ref: Kind.REF,
    UserId: Kind.USER,
    int: Kind.NUMBER,
    bool: Kind.FLAG,
}
MINUTES_A_DAY = 24 * 60  # a bare number above it was hardly meant as minutes
# Values that officers write in several words without quotes.
TIMES = (Kind.MOMENT, Kind.END, Kind.WAIT)
LONGEST = {**dict.fromkeys(TIMES, MAX_WORDS), Kind.SPAN: 4, Kind.USER: 3, Kind.CHOICE: 3}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a command. `key` is its name as typed; `many`: a tuple of values.

    `letter` is that of the references it takes; `french` its name in French, None if it is the same.
    """

    name: str
    key: str
    kind: Kind
    required: bool
    keyword: bool
    many: bool = False
    choices: type[Enum] | None = None
    letter: str | None = None
    french: str | None = None
    default: Any = None

    @property
    def shown(self) -> Named:
        """The name for readers."""
        return Named(self.key, self.french or self.key)

    def is_called(self, word: str) -> bool:
        """Whether this is its name, in either language."""
        return folded(word).replace("-", "_") in {folded(each) for each in (self.key, self.french) if each}


@cache
def _parameters(handler: Callable[..., Any]) -> tuple[Parameter, ...]:
    hints = get_type_hints(handler, include_extras=True)
    declared = list(inspect.signature(handler).parameters.values())[1:]
    return tuple(_parameter(each, hints[each.name]) for each in declared)


def parameters(
    handler: Callable[..., Any], french: Mapping[str, str] = types.MappingProxyType({})
) -> tuple[Parameter, ...]:
    """The grammar of a handler, its first parameter left out; TypeError for a type that no one can type."""
    return tuple(
        Parameter(**vars(each) | {"french": french.get(each.name) or french.get(each.key)})
        for each in _parameters(handler)
    )


def _parameter(declared: inspect.Parameter, hint: Any) -> Parameter:
    hint, many = _single(hint)
    letter = None
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        letter = next((each.letter for each in extras if isinstance(each, Prefix)), None)
    choices = hint if isinstance(hint, type) and issubclass(hint, Enum) else None
    kind = Kind.CHOICE if choices else _KINDS.get(hint)
    if kind is None:
        raise TypeError(f"nobody can type a {hint!r} for {declared.name}")
    variadic = declared.kind is inspect.Parameter.VAR_POSITIONAL
    return Parameter(
        name=declared.name,
        key=declared.name.rstrip("_"),
        kind=kind,
        required=declared.default is inspect.Parameter.empty and not variadic,
        keyword=declared.kind is inspect.Parameter.KEYWORD_ONLY,
        many=many or variadic,
        choices=choices,
        letter=letter,
        default=None if declared.default is inspect.Parameter.empty else declared.default,
    )


def _single(hint: Any) -> tuple[Any, bool]:
    """The type without `| None` and without `tuple[…, ...]`, and whether there was a tuple."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is tuple:
        return get_args(hint)[0], True
    return hint, False


@dataclass(frozen=True)
class Reader:
    """What words are read against: the instant, the speaker's zone and language, who has which name."""

    now: datetime
    zone: tzinfo
    members: Mapping[str, str | None] = field(default_factory=dict)
    reply: Ref | None = None
    language: Language = Language.EN


def read(parameter: Parameter, word: str, reader: Reader) -> Any:
    """The value of a word; NotUnderstood with what is allowed if it has none."""
    if not parameter.many:
        return _READ[parameter.kind](parameter, word, reader)
    words = [word] if parameter.kind is Kind.TEXT else [each.strip() for each in word.split(",")]
    values = tuple(_READ[parameter.kind](parameter, each, reader) for each in words if each)
    if values or parameter.default is None and not word.strip():  # `tags=""` takes them all away
        return values
    error = NotUnderstood(t("{name}= has no value", name=parameter.shown), argument=parameter.name)
    error.instead = ""
    raise error


def is_ref(word: str) -> bool:
    """Whether the word looks like a reference, of any letter."""
    return bool(_REF.fullmatch(folded(word.rstrip(_POINTS))))


def is_ref_of(letter: str, word: str) -> bool:
    """Whether the word looks like a reference of this letter."""
    return is_ref(word) and folded(word).lstrip("#").startswith(letter.casefold())


def letter_of(ref: str) -> str:
    """`A` of `A-142`."""
    return ref[0]


_REF = re.compile(r"#?([a-z])[-_ ]?(\d{1,9})")
_POINTS = ".,;:!"  # what telephones and habit put behind a word


def _read_ref(parameter: Parameter, word: str, reader: Reader) -> Ref:
    letter = parameter.letter
    plain = folded(word.rstrip(_POINTS))
    if letter and re.fullmatch(r"#?\d{1,9}", plain):
        return Ref(f"{letter}-{int(plain.lstrip('#'))}")
    found = _REF.fullmatch(plain)
    if found is None or (letter and found[1] != letter.casefold()):
        example = f"{letter or 'A'}-1"
        instead = f"{letter}-{int(found[2])}" if found else None
        said = t(
            "{name} is a number like {example}, not '{word}'",
            name=parameter.shown,
            example=example,
            word=short(word),
        )
        raise NotUnderstood(said, argument=parameter.name, instead=instead)
    return Ref(f"{found[1].upper()}-{int(found[2])}")


def _read_choice(parameter: Parameter, word: str, reader: Reader) -> Enum:
    assert parameter.choices is not None  # noqa: S101  # a parameter of this kind has choices
    spelled = spellings(parameter.choices)
    plain = _choice_word(word.rstrip(_POINTS))
    if plain in spelled:
        return spelled[plain]
    near = nearest(plain, spellings(parameter.choices, also=False))
    error = NotUnderstood(
        t(
            "{name} is one of {choices}, not '{word}'",
            name=parameter.shown,
            choices=words_for(parameter.choices),
            word=short(word),
        ),
        argument=parameter.name,
        instead=word_for(spelled[near], reader.language) if near else None,
    )
    error.asks = near is None and (parameter.required or not parameter.keyword)
    raise error


def is_listed(choices: type[Enum], word: str) -> bool:
    """Whether it is a word that readers are shown for a choice, not one that is merely understood."""
    return _choice_word(word.rstrip(_POINTS)) in spellings(choices, also=False)


def _choice_word(word: str) -> str:
    return folded(word).replace("-", "_").replace("’", "'").replace("\ufe0f", "")


def word_for(choice: Enum, language: Language) -> str:
    """The word to be typed for a choice: its label, where that is one word, else its value."""
    label = getattr(choice, "typed", None) or getattr(choice, "label", None)
    if not isinstance(label, Text):
        return str(choice.value)
    word = (french_of(label.one) if language is Language.FR else None) or label.one
    return str(choice.value) if re.search(r"[\s\W]", word) else word


def words_for(choices: type[Enum]) -> tuple[Named, ...]:
    """The words to be typed for choices, as an error or help lists them."""
    return tuple(Named(word_for(each, Language.EN), word_for(each, Language.FR)) for each in choices)


@cache
def spellings(choices: type[Enum], *, also: bool = True) -> dict[str, Enum]:
    """Each choice by its value, its name, its label in both languages and what else it is called, folded."""
    spelled: dict[str, Enum] = {}
    for choice in choices:
        words = [str(choice.value), choice.name]
        for label in (getattr(choice, "label", None), getattr(choice, "typed", None)):
            words += [label.one, french_of(label.one) or ""] if isinstance(label, Text) else []
        if also:
            words += getattr(choice, "also", ())
        for word in words:
            spelled.setdefault(_choice_word(word), choice)
    spelled.pop("", None)
    return spelled


def _read_span(parameter: Parameter, word: str, reader: Reader) -> timedelta:
    length = read_span(word)
    if length is not None:
        return length
    said = t(
        "{name} is a length of time like {example}, not '{word}'",
        name=parameter.shown,
        example=Named("90m, 2h, 1d", "90m, 2h, 1j"),
        word=short(word),
    )
    raise NotUnderstood(said, argument=parameter.name, instead=in_minutes(word))


def in_minutes(word: str) -> str | None:
    """`90m` for a bare 90; None if it was hardly meant as minutes."""
    minutes = int(word) if re.fullmatch(r"\s*\d{1,4}\s*", word) else 0
    return f"{minutes}m" if 0 < minutes <= MINUTES_A_DAY else None


def _read_moment(parameter: Parameter, word: str, reader: Reader) -> datetime:
    try:
        instant = read_moment(word, reader.now, reader.zone)
    except NotUnderstood as error:
        error.argument = parameter.name
        raise
    if instant is None:
        said = t(
            "{name} is a time like {example}, not '{word}'",
            name=parameter.shown,
            example=Named("14:30, tomorrow 09:00, 1430Z, +90m", "14:30, demain 09:00, 1430Z, +90m"),
            word=short(word),
        )
        raise NotUnderstood(said, argument=parameter.name)
    return instant


def _read_end(parameter: Parameter, word: str, reader: Reader) -> str:
    """As typed, since a day alone may be an end; what stands in several words must be a time together."""
    if " " in word.strip() and read_span(word) is None:
        _read_moment(parameter, word, reader)
    return word


# Matrix specification, appendices: user identifiers and server names.
_FULL_ID = re.compile(r"@[^\s:]+:(?:[A-Za-z0-9.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
LONGEST_ID = 255  # bytes


def _read_user(parameter: Parameter, word: str, reader: Reader) -> UserId:
    word = word.rstrip(_POINTS)
    if _FULL_ID.fullmatch(word) and len(word.encode()) <= LONGEST_ID:
        return UserId(word)
    meant = folded(word.removeprefix("@"))
    named: dict[str, list[str]] = {}
    for user_id, name in reader.members.items():
        for each in {folded(user_id[1:].partition(":")[0]), folded(name or "")} - {""}:
            named.setdefault(each, []).append(user_id)
    found = named.get(meant, [])
    if len(found) == 1:
        return UserId(found[0])
    if found:
        said = t("'{word}' could be {choices}", word=short(word), choices=tuple(found))
        raise NotUnderstood(said, argument=parameter.name, instead=found[0])
    near = nearest(meant, named)
    said = t(
        "I know nobody called '{word}'; a person is written {example}",
        word=short(word),
        example="@name:server.example",
    )
    raise NotUnderstood(said, argument=parameter.name, instead=named[near][0] if near else None)


def _read_number(parameter: Parameter, word: str, reader: Reader) -> int:
    if re.fullmatch(r"[+-]?\d{1,9}", folded(word)):
        return int(folded(word))
    said = t("{name} is a whole number, not '{word}'", name=parameter.shown, word=short(word))
    raise NotUnderstood(said, argument=parameter.name)


_FLAGS = {
    **dict.fromkeys(("yes", "y", "on", "true", "oui", "o", "1"), True),
    **dict.fromkeys(("no", "n", "off", "false", "non", "0"), False),
}


def _read_flag(parameter: Parameter, word: str, reader: Reader) -> bool:
    if folded(word) in _FLAGS:
        return _FLAGS[folded(word)]
    values = {"name": parameter.shown, "yes": t("yes"), "no": t("no"), "word": short(word)}
    said = t("{name} is {yes} or {no}, not '{word}'", **values)
    raise NotUnderstood(said, argument=parameter.name, instead="yes")


def _read_text(parameter: Parameter, word: str, reader: Reader) -> str:
    if word.strip() or not parameter.required:
        return word.strip()
    raise NotUnderstood(t("{name} is empty", name=parameter.shown), argument=parameter.name)


_READ: dict[Kind, Callable[[Parameter, str, Reader], Any]] = {
    Kind.WORD: _read_text,
    Kind.TEXT: _read_text,
    Kind.REST: _read_text,
    Kind.CHOICE: _read_choice,
    Kind.SPAN: _read_span,
    Kind.MOMENT: _read_moment,
    Kind.END: _read_end,
    Kind.WAIT: _read_end,
    Kind.REF: _read_ref,
    Kind.USER: _read_user,
    Kind.NUMBER: _read_number,
    Kind.FLAG: _read_flag,
}
