"""Refusals: what was understood, what is wrong and where, what to type; nothing changed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from bot.kernel.arguments import Kind, Parameter, Reader, word_for
from bot.kernel.card import Block, Card, Code, Line, Pre, bullet, card, line
from bot.kernel.errors import BotError, NotUnderstood
from bot.kernel.language import Language, Text, t
from bot.kernel.vocabulary import Command
from bot.kernel.words import quoted
from bot.runtime.lines import caret
from bot.runtime.matching import Parsed, grammar
from bot.runtime.parser import AT_REST, Table, UnknownNoun

SHOWN = 60  # characters of what was understood
BLANK = '"…"'  # stands for a text to be written
TRIES = 6  # corrections of one line before its example is shown instead
_KEY = re.compile(r"\s[\w-]+=[\"“«]?$")
_KEY_BEFORE = re.compile(r"(?:\s[\w-]+=)?\s*$")  # without a value, its name goes too


@dataclass(frozen=True)
class Asked:
    """A command as typed: it begins at `start` of `typed`, behind a prefix or the bot's name.

    `prefix` is that of the room in which it is answered. `recent` are the references that were spoken of
    last in the room, by letter. `may` says whether the asker may give a command there.
    """

    typed: str
    start: int
    prefix: str
    reader: Reader
    parsed: Parsed | None = None
    recent: Mapping[str, str] = field(default_factory=dict)
    may: Callable[[Command], bool] = lambda _: True


def refused(error: BotError, asked: Asked, table: Table) -> Card:
    """The answer to a command that was refused."""
    span = span_of(error, asked.parsed)
    blocks: list[Block] = [_sentence(error.said)]
    if span is not None:
        blocks.append(Pre(caret(asked.typed, span)))
    understood = _understood(error, asked, span)
    blocks += [line(understood)] if understood else []
    if error.allowed:
        blocks.append(_sentence(error.allowed))
    blocks += [bullet(each) for each in error.choices]
    blocks += [line(t("Nothing was changed. Try:")), line(Code(correction(error, asked, table)))]
    return card(blocks)


def _sentence(text: Text) -> Line:
    return line(text, "" if text.one.endswith((".", "?", "!")) else ".")


def span_of(error: BotError, parsed: Parsed | None) -> tuple[int, int] | None:
    """Where the words that the error is about stand in what was typed."""
    if isinstance(error, NotUnderstood) and error.span:
        return error.span
    if error.argument and parsed:
        return parsed.spans.get(error.argument)
    return None


def _understood(error: BotError, asked: Asked, span: tuple[int, int] | None) -> Text | None:
    """What was read without trouble: all of it, where the act could not be done; None if nothing was."""
    before = asked.typed[: span[0]] if span and isinstance(error, NotUnderstood) else asked.typed
    shown = before.strip().split("\n")[0].rstrip()
    if span and isinstance(error, NotUnderstood):
        shown = _KEY.sub("", shown)
    if len(before.strip()) <= asked.start:
        return None  # the first sentence has said so
    return t("Understood: {what}", what=shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 1]}…")


def correction(error: BotError, asked: Asked, table: Table) -> str:
    """A whole command to copy that parses and that the asker may give: the line mended, else help."""
    proposed = _one_line(_corrected(error, asked, table), asked, table)
    command = table.command(proposed, len(asked.prefix))
    return proposed if command and asked.may(command) else _own("!help", asked, table)


def _one_line(proposed: str, asked: Asked, table: Table) -> str:
    """In one line, where that says the same: what stands in several is rarely copied whole."""
    joined = " ".join(proposed.split("\n"))
    wrong, _ = _next_error(joined, replace(asked, start=len(asked.prefix)), table)
    return proposed if wrong else joined


def _corrected(error: BotError, asked: Asked, table: Table) -> str:
    """The line mended word by word, else what tells how to type it."""
    typed, parsed = asked.typed, asked.parsed
    meant = table.command(typed, asked.start)
    current: BotError | None = error
    for _ in range(TRIES):
        if current is None:
            return _there(typed, asked) if _is_meant(typed, meant, asked, table) else help_on(asked, table)
        if current.example and current.instead is None:
            return _own(current.example, asked, table)
        if isinstance(error, UnknownNoun) and current.instead is None:
            # Only the noun was mended: the words behind it may be far from what its example says.
            return help_on(replace(asked, typed=typed), table)
        mended = _mended(typed, current, parsed, table, asked)
        if mended is None or mended == typed:
            return _listing(typed, current, asked, table) or help_on(asked, table)
        typed = mended
        current, parsed = _next_error(typed, asked, table)
    return help_on(asked, table)


def _listing(typed: str, error: BotError, asked: Asked, table: Table) -> str | None:
    """For a person or an object that nobody has, the command that lists those there are."""
    parameter = _parameter(error, table.command(typed, asked.start))
    if parameter is None or parameter.kind not in (Kind.USER, Kind.REF):
        return None
    noun = "member" if parameter.kind is Kind.USER else parameter.name
    listed = [each for each in table.about([noun, "list"]) if asked.may(each)]
    return _own(f"!{noun} list", asked, table) if listed else None


def _there(typed: str, asked: Asked) -> str:
    """A line as it begins a command where the answer is read."""
    return asked.prefix + typed[asked.start :].strip()


def _is_meant(typed: str, meant: Command | None, asked: Asked, table: Table) -> bool:
    """Whether it is still the command that was meant; one that lost words may have become another."""
    lost_words = len(typed.split()) < len(asked.typed.split())
    return meant is None or not lost_words or table.command(typed, asked.start) is meant


def _own(command: str, asked: Asked, table: Table) -> str:
    """A command of ours, in the words of the reader and with the prefix of the room."""
    return table.spelled(command, asked.reader.language, asked.prefix)


def _mended(typed: str, error: BotError, parsed: Parsed | None, table: Table, asked: Asked) -> str | None:
    span = (error.mends if isinstance(error, NotUnderstood) else None) or span_of(error, parsed)
    if span is None:
        return None
    instead = error.instead
    if instead is None:
        instead = _from_example(error, table.command(typed, asked.start), asked, table)
    if instead is None:
        return None
    before, after = typed[: span[0]], typed[span[1] :]
    if not instead:
        return _KEY_BEFORE.sub("", before) + after
    if span[0] != span[1]:
        return f"{before}{_quoted(instead, parsed, error)}{after}"
    gap = " " if before and not before[-1].isspace() else ""
    end = " " if after and not after[0].isspace() else ""
    return f"{before}{gap}{_quoted(instead, parsed, error)}{end}{after}"


def _quoted(instead: str, parsed: Parsed | None, error: BotError) -> str:
    """In quotes where the words replaced are text of an argument that the handler refused."""
    plain = '"' not in instead and " " in instead and parsed is not None and error.argument is not None
    return quoted(instead) if plain else instead


def _parameter(error: BotError, command: Command | None) -> Parameter | None:
    """The parameter that is wrong or missing."""
    known = grammar(command) if command else ()
    return next((each for each in known if each.name == error.argument), None)


def _from_example(error: BotError, command: Command | None, asked: Asked, table: Table) -> str | None:
    """The words that the command's own example has for the parameter that is wrong or missing.

    Never a person, an object or a text: nobody but the officer says whom or what she means.
    """
    parameter = _parameter(error, command)
    if command is None or parameter is None or parameter.kind is Kind.USER:
        return None
    if parameter.kind is Kind.REF:
        return asked.recent.get(parameter.letter or "")
    if parameter.kind in (Kind.TEXT, Kind.REST):
        return f"{parameter.key}={BLANK}" if parameter.keyword and _is_missing(error) else BLANK
    if isinstance(error, NotUnderstood) and error.asks:
        return None
    if isinstance(parameter.default, Enum):
        return word_for(parameter.default, asked.reader.language)
    value = _exemplary(parameter, command, asked.reader.language, table)
    return f"{parameter.key}={value}" if value and parameter.keyword and _is_missing(error) else value


def _exemplary(parameter: Parameter, command: Command, language: Language, table: Table) -> str | None:
    """What stands for this parameter in the first good example that has it."""
    for example in command.examples:
        parsed = None if example.refused else parsed_example(example.typed, table)
        if parsed is None or parameter.name not in parsed.spans:
            continue
        start, end = parsed.spans[parameter.name]
        if start == end:
            continue
        if parameter.choices and not parameter.many:
            return word_for(parsed.named[parameter.name], language)
        return example.typed[start:end]
    return None


def _is_missing(error: BotError) -> bool:
    span = error.span if isinstance(error, NotUnderstood) else None
    return span is not None and span[0] == span[1]


def parsed_example(typed: str, table: Table) -> Parsed | None:
    """An example of a declaration, parsed; None if it is one that needs a card to reply to."""
    try:
        return table.parse(typed, 1, AT_REST)
    except BotError:
        return None


def _next_error(typed: str, asked: Asked, table: Table) -> tuple[BotError | None, Parsed | None]:
    try:
        return None, table.parse(typed, asked.start, asked.reader)
    except NotUnderstood as error:
        return error, None


def help_on(asked: Asked, table: Table) -> str:
    """How to get help on the command that was meant."""
    command = table.command(asked.typed, asked.start)
    return _own(f"!help {' '.join(command.path)}" if command else "!help", asked, table)
