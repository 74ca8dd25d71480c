"""Completion: what a prompt can offer to finish a command that somebody has begun to type."""

from collections.abc import Iterable, Iterator

from bot.kernel.arguments import Kind, word_for
from bot.kernel.language import Language
from bot.kernel.vocabulary import Command
from bot.runtime.matching import grammar
from bot.runtime.parser import path_of


def completions(commands: Iterable[Command]) -> tuple[str, ...]:
    """Each command in all its spellings, and with each word of choice where one comes first."""
    return tuple(sorted({f"!{each}" for command in commands for each in _spelled(command)}))


def _spelled(command: Command) -> Iterator[str]:
    first = next(iter(grammar(command)), None)
    choices = list(first.choices or ()) if first and first.kind is Kind.CHOICE and not first.keyword else []
    french = path_of(command, Language.FR)
    for path in command.spellings:
        spelled = " ".join(path)
        yield spelled
        language = Language.FR if command.french and path == french else Language.EN
        yield from (f"{spelled} {word_for(each, language)}" for each in choices)
