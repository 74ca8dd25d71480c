"""Help: what the caller may do here, from the declarations alone; and the next page of anything long."""

import inspect
import re
from collections.abc import Callable, Iterator

from bot.kernel.arguments import words_for
from bot.kernel.card import Block, Code, bullet, card, line
from bot.kernel.errors import BotError, NotFound
from bot.kernel.language import Language, Named, Text, ToType, t
from bot.kernel.vocabulary import Answer, Call, Capability, Command, Example
from bot.kernel.words import folded, nearest
from bot.runtime.authority import may, refusal
from bot.runtime.matching import grammar
from bot.runtime.parser import Table, path_of
from bot.runtime.usage import usage

MORE = ToType(Named("!help NOUN", "!aide NOM"))
_ANYWAY = frozenset({"help", "more", "yes"})  # each is named where it is of use
IN_FRENCH = "En français :"  # for whoever reads it among English: not to be translated
MANY = 3  # above this help shows how commands are typed, and leaves their examples out
_EXAMPLES = (
    Example("!help", answers="!help"),
    Example("!help all", answers="• !"),
    Example("!help help", answers="Show what you may do here"),
    Example("!help hepl", answers="I know no command 'hepl'", refused=True),
)


def usage_of(command: Command, language: Language, prefix: str, *, short: bool = False) -> str:
    """`!alert SEVERITY "HEADLINE" [to=TAG]`, in the language's words; `short`: only what is required."""
    path = path_of(command, language)
    shown = [each for each in grammar(command) if each.required or not short]
    return " ".join([prefix + " ".join(path), *(usage(each, language) for each in shown)])


def described(command: Command) -> tuple[Text, ...]:
    """The paragraphs of the command's docstring, each as one line."""
    paragraphs = (inspect.getdoc(command.handler) or "").split("\n\n")
    return tuple(Text(re.sub(r"\s+", " ", each)) for each in paragraphs)


def summary(command: Command) -> Text:
    """The first paragraph of the command's docstring, as one line."""
    return described(command)[0]


def help_for(table: Callable[[], Table]) -> Capability:
    """`!help` over the commands of a table, which it is part of itself."""
    helping = Capability("help")

    @helping.command(
        "help",
        role=None,
        french=["aide"],
        anywhere=True,
        examples=_EXAMPLES,
    )
    async def show_help(call: Call, *words: str) -> Answer:
        """Show what you may do here, or how one command is typed."""
        allowed = [each for each in table().commands if may(each, call.who, call.grants, call.room)]
        if not words:
            title = t("What you may do here; more on each: {command}", command=MORE)
            return card(title, _in_french(call), _nouns(call, allowed))
        if folded(words[0]) in ("all", "tout"):
            return card(_usages(call, allowed))
        found = [each for each in table().about(words) if each in allowed]
        if not found:
            raise _why_none(call, table(), words, allowed)
        bare = [each for each in found if _is_bare(each, found, words)]
        return card([*_in_full(call, table(), bare[0], found)] if bare else _details(call, table(), found))

    return helping


def _in_french(call: Call) -> Iterator[Block]:
    """Who asks in French, and has not said in which language to be answered, is told how to."""
    asked = "aide" in folded(call.typed)
    if asked and call.who.language is None and call.voice.language is Language.EN:
        yield line(IN_FRENCH, " ", Code(f"{call.room.prefix}langue fr"))


def _why_none(call: Call, table: Table, words: tuple[str, ...], allowed: list[Command]) -> BotError:
    """Why there is no help on these words: she may not do it, or nothing is called so."""
    reasons = (refusal(each, call.who, call.grants, call.room) for each in table.about(words))
    if reason := next(filter(None, reasons), None):
        return reason
    near = nearest(
        words[0], dict.fromkeys(path_of(each, spoken)[0] for each in allowed for spoken in Language)
    )
    said = t("I know no command '{word}'", word=" ".join(words))
    return NotFound(said, argument="words", instead=near, example=None if near else "!help")


def _nouns(call: Call, allowed: list[Command]) -> Iterator[Block]:
    language = call.voice.language
    nouns: dict[str, list[Command]] = {}
    for each in allowed:
        if each.path[0] not in _ANYWAY:
            nouns.setdefault(each.path[0], []).append(each)
    for commands in nouns.values():
        noun = path_of(commands[0], language)[0]
        bare = [each for each in commands if len(each.path) == 1]
        verbs = " · ".join(" ".join(path_of(each, language)[1:]) for each in commands if each not in bare)
        for each in bare:
            typed = usage_of(each, language, call.room.prefix, short=True)
            yield bullet(Code(typed), " ", summary(each))
        if verbs:
            yield bullet(Code(call.room.prefix + noun), " ", verbs)


def _usages(call: Call, commands: list[Command]) -> Iterator[Block]:
    for each in commands:
        yield bullet(Code(usage_of(each, call.voice.language, call.room.prefix)))


def _is_bare(command: Command, found: list[Command], words: tuple[str, ...]) -> bool:
    """Whether these words are the command itself, not a noun that it shares with others."""
    said = tuple(map(folded, words))
    paths = (command.path, path_of(command, Language.FR))
    return len(found) == 1 or said in [tuple(map(folded, each)) for each in paths]


def _in_full(call: Call, table: Table, command: Command, found: list[Command]) -> Iterator[Block]:
    """One command with all that is known of it, then the verbs of its noun in a line."""
    language, prefix = call.voice.language, call.room.prefix
    yield line(Code(usage_of(command, language, prefix)))
    yield from map(line, described(command))
    for each in grammar(command):
        if each.choices and not each.keyword:
            yield line(t("{name}: {choices}", name=each.shown, choices=words_for(each.choices)))
    good = dict.fromkeys(example.typed for example in command.examples if not example.refused)
    for typed in list(good)[:MANY]:
        yield bullet(Code(table.spelled(typed, language, prefix)))
    verbs = [" ".join(path_of(each, language)[1:]) for each in found if each is not command]
    if verbs:
        yield bullet(Code(prefix + path_of(command, language)[0]), " ", " · ".join(verbs))


def _details(call: Call, table: Table, commands: list[Command]) -> Iterator[Block]:
    for each in commands:
        yield line(Code(usage_of(each, call.voice.language, call.room.prefix)))
        yield line(summary(each))
        if len(commands) <= MANY:
            good = dict.fromkeys(example.typed for example in each.examples if not example.refused)
            for typed in good:
                yield bullet(Code(table.spelled(typed, call.voice.language, call.room.prefix)))
