"""Refusals: what was understood, what is wrong and where, what to type; nothing changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from bot.kernel.arguments import Reader, word_for
from bot.kernel.card import Block, Card, Code, Line, Pre, card, line
from bot.kernel.errors import BotError, NotUnderstood
from bot.kernel.language import Text, t
from bot.kernel.vocabulary import Command
from bot.runtime.lines import caret
from bot.runtime.matching import Parsed, grammar
from bot.runtime.parser import Table, UnknownNoun

SHOWN = 60  # characters of what was understood
TRIES = 6  # corrections of one line before its example is shown instead
_AT_REST = Reader(datetime(2026, 1, 1, tzinfo=UTC), UTC)


@dataclass(frozen=True)
class Asked:
    """A command as typed: it begins at `start` of `typed`, behind a prefix or the bot's name.

    `prefix` is that of the room in which it is answered. `recent` are the references that were spoken of
    last in the room, by letter.
    """

    typed: str
    start: int
    prefix: str
    reader: Reader
    parsed: Parsed | None = None
    recent: Mapping[str, str] = field(default_factory=dict)


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
    if len(before.strip()) <= asked.start:
        return None  # the first sentence has said so
    return t("Understood: {what}", what=shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 1]}…")


def correction(error: BotError, asked: Asked, table: Table) -> str:
    """A whole command to copy that parses: the line mended word by word, else an example."""
    typed, parsed = asked.typed, asked.parsed
    meant = table.command(typed, asked.start)
    current: BotError | None = error
    for _ in range(TRIES):
        if current is None:
            return _there(typed, asked) if _is_meant(typed, meant, asked, table) else example_of(asked, table)
        if current.example and current.instead is None:
            return _own(current.example, asked, table)
        if isinstance(error, UnknownNoun) and current.instead is None:
            # Only the noun was mended: the words behind it may be far from what its example says.
            return _help_on(typed, asked, table)
        mended = _mended(typed, current, parsed, table, asked)
        if mended is None or mended == typed:
            break
        typed = mended
        current, parsed = _next_error(typed, asked, table)
    return example_of(asked, table)


def _there(typed: str, asked: Asked) -> str:
    """A line as it begins a command where the answer is read."""
    return asked.prefix + typed[asked.start :].strip()


def _is_meant(typed: str, meant: Command | None, asked: Asked, table: Table) -> bool:
    """Whether it is still the command that was meant; one that lost words may have become another."""
    lost_words = len(typed.split()) < len(asked.typed.split())
    return meant is None or not lost_words or table.command(typed, asked.start) is meant


def _help_on(typed: str, asked: Asked, table: Table) -> str:
    command = table.command(typed, asked.start)
    return _own(f"!help {command.path[0]}" if command else "!help", asked, table)


def _own(command: str, asked: Asked, table: Table) -> str:
    """A command of ours, in the words of the reader and with the prefix of the room."""
    return table.spelled(command, asked.reader.language, asked.prefix)


def _mended(typed: str, error: BotError, parsed: Parsed | None, table: Table, asked: Asked) -> str | None:
    span = span_of(error, parsed)
    if span is None:
        return None
    instead = error.instead
    if instead is None:
        instead = _from_example(error, table.command(typed, asked.start), asked, table)
    if instead is None:
        return None
    before, after = typed[: span[0]], typed[span[1] :]
    if not instead:
        return before.rstrip() + after
    if span[0] != span[1]:
        return f"{before}{_quoted(instead, parsed, error)}{after}"
    gap = " " if before and not before[-1].isspace() else ""
    end = " " if after and not after[0].isspace() else ""
    return f"{before}{gap}{_quoted(instead, parsed, error)}{end}{after}"


def _quoted(instead: str, parsed: Parsed | None, error: BotError) -> str:
    """In quotes where the words replaced are text of an argument that the handler refused."""
    plain = '"' not in instead and " " in instead and parsed is not None and error.argument is not None
    return f'"{instead}"' if plain else instead


def _from_example(error: BotError, command: Command | None, asked: Asked, table: Table) -> str | None:
    """The words that the command's own example has for the parameter that is wrong or missing."""
    if command is None or error.argument is None:
        return None
    parameter = next((each for each in grammar(command) if each.name == error.argument), None)
    if parameter and parameter.letter and parameter.letter in asked.recent:
        return asked.recent[parameter.letter]
    if parameter and isinstance(parameter.default, Enum):
        return word_for(parameter.default, asked.reader.language)
    for example in command.examples:
        parsed = None if example.refused else parsed_example(example.typed, table)
        if parameter is None or parsed is None or parameter.name not in parsed.spans:
            continue
        start, end = parsed.spans[parameter.name]
        if start == end:
            continue
        value = example.typed[start:end]
        if parameter.choices and not parameter.many:
            value = word_for(parsed.named[parameter.name], asked.reader.language)
        return f"{parameter.key}={value}" if parameter.keyword and _is_missing(error) else value
    return None


def _is_missing(error: BotError) -> bool:
    span = error.span if isinstance(error, NotUnderstood) else None
    return span is not None and span[0] == span[1]


def parsed_example(typed: str, table: Table) -> Parsed | None:
    """An example of a declaration, parsed; None if it is one that needs a card to reply to."""
    try:
        return table.parse(typed, 1, _AT_REST)
    except BotError:
        return None


def _next_error(typed: str, asked: Asked, table: Table) -> tuple[BotError | None, Parsed | None]:
    try:
        return None, table.parse(typed, asked.start, asked.reader)
    except NotUnderstood as error:
        return error, None


def example_of(asked: Asked, table: Table) -> str:
    """The first good example of the command that was meant, else how to get help."""
    command = table.command(asked.typed, asked.start)
    if command:
        good = next((each.typed for each in command.examples if not each.refused), None)
        return _own(good or f"!help {' '.join(command.path)}", asked, table)
    return _own("!help", asked, table)
