"""The parser: text to a command and typed arguments, each with its place in what was typed; pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from bot.kernel.arguments import Kind, Reader, is_ref, is_ref_of
from bot.kernel.errors import NotUnderstood
from bot.kernel.language import Language, Named, t
from bot.kernel.vocabulary import Command
from bot.kernel.words import folded, nearest, short
from bot.runtime.lines import Typed
from bot.runtime.matching import Match, Parsed, grammar, refused_at
from bot.runtime.usage import in_french

SHOWING = frozenset({"who", "show", "qui", "voir"})  # of the verbs that take a number alone
HELP = frozenset({"help", "aide", "?"})
AT_REST = Reader(datetime(2026, 1, 1, tzinfo=UTC), UTC)  # for commands of ours, which nobody has typed
LONGEST = 4000  # characters of a command with the text below it


class UnknownVerb(NotUnderstood):
    """The noun has no such verb, and needs one here."""


def path_of(command: Command, language: Language) -> tuple[str, ...]:
    """The spelling that is shown: of several in French the first one."""
    return command.french[0] if language is Language.FR and command.french else command.path


class UnknownNoun(NotUnderstood):
    """No command begins with this word: in a busy room that may be chatter."""


def _too_long(command: Command, original: str, start: int) -> NotUnderstood:
    said = t(
        "A command has at most {most} characters, not {count}", most=LONGEST, count=len(original) - start
    )
    error = NotUnderstood(said, example=f"!help {' '.join(command.path)}")
    error.span = (start + LONGEST, len(original))
    return error


class Table:
    """All commands, found by what is typed. ValueError if two have the same spelling."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self.commands = tuple(commands)
        self._paths: dict[tuple[str, ...], Command] = {}
        for command in self.commands:
            grammar(command)
            for path in {tuple(map(folded, path)) for path in command.spellings}:
                if path in self._paths:
                    raise ValueError(f"two commands are called {' '.join(path)}")
                self._paths[path] = command
        self._nouns = {path[0] for path in self._paths}

    def parse(self, original: str, start: int, reader: Reader) -> Parsed:
        """The command that begins at `start`; NotUnderstood, with its span, for the first thing wrong."""
        typed = Typed(original, start)
        command, used = self._find(typed)
        if len(original) - start > LONGEST:
            raise _too_long(command, original, start)
        try:
            return Match(command, typed, typed.words[used:], reader).parsed()
        except NotUnderstood as error:
            raise self._verb_meant(typed, used, error) or self._unmended(command, typed, error) from None

    def command(self, original: str, start: int) -> Command | None:
        """The command that was meant, even if the rest of it is wrong."""
        try:
            return self._find(Typed(original, start))[0]
        except NotUnderstood:
            return None

    def spelled(self, command: str, language: Language, prefix: str) -> str:
        """A command written in English with `!`, in the words of a language and with a room's prefix."""
        words = command.removeprefix("!").split(" ")
        for length in range(min(len(words), 4), 0, -1):
            found = self._paths.get(tuple(map(folded, words[:length])))
            if found:
                rest = " ".join(words[length:])
                if rest and language is Language.FR:
                    rest = self._in_french(found, rest)
                return " ".join([prefix + " ".join(path_of(found, language)), *([rest] if rest else [])])
        return prefix + " ".join(words)

    def _in_french(self, command: Command, rest: str) -> str:
        if command.path[0] in HELP:
            found = self.about(rest.split(" "))
            exact = [each for each in found if " ".join(each.path) == folded(rest)]
            return " ".join(path_of(exact[0], Language.FR)) if exact else self._french_noun(rest)
        try:
            typed = Typed(rest)
            return in_french(Match(command, typed, typed.words, AT_REST).parsed())
        except NotUnderstood:  # as in an example of what is refused
            return rest

    def _french_noun(self, noun: str) -> str:
        found = self.about([noun])
        return path_of(found[0], Language.FR)[0] if found else {"all": "tout"}.get(noun, noun)

    def about(self, words: Sequence[str]) -> tuple[Command, ...]:
        """The commands whose spelling begins with these words; all for none."""
        wanted = tuple(map(folded, words))
        found = [command for path, command in self._paths.items() if path[: len(wanted)] == wanted]
        return tuple(command for command in self.commands if command in found)

    def _find(self, typed: Typed) -> tuple[Command, int]:
        words = [folded(word.text) if not word.quoted and not word.key else "" for word in typed.words]
        for length in range(min(len(words), 4), 0, -1):
            command = self._paths.get(tuple(words[:length]))
            if command:
                if len(words) == length:
                    return self._alone(command), length
                return (self._shown(typed, words) if length == 1 else None) or command, length
        raise self._no_such(typed, words)

    def _shown(self, typed: Typed, words: Sequence[str]) -> Command | None:
        """For `!alert A-1`, where `alert` itself takes no reference, the command that shows the object."""
        command = self._paths[words[0],]
        if len(words) != 2 or any(each.kind is Kind.REF for each in grammar(command)):
            return None
        verb = self._verb_of_ref(typed, words[0])
        return self._paths[words[0], verb] if verb else None

    def _alone(self, command: Command) -> Command:
        """For `!alert` alone, where `alert` needs more words, `alert list`: the commonest is the default."""
        needs = any(each.required and each.kind is not Kind.REF for each in grammar(command))
        listed = self._paths.get((*map(folded, command.path), "list"))
        return listed if needs and listed else command

    def _no_such(self, typed: Typed, words: list[str]) -> NotUnderstood:
        if not words:
            return UnknownNoun(t("There is no command here"), example="!help")
        word = typed.words[0]
        if words[0] not in self._nouns:
            return refused_at(self._unknown(word.text, words[0]), word)
        verbs = self._verbs(words[0])
        if len(words) == 1:
            error = UnknownVerb(t("'{noun}' needs a verb: {verbs}", noun=words[0], verbs=tuple(verbs)))
            error.instead = f"{word.text} {verbs[0].english}"
            return refused_at(error, word)
        said = t(
            "{noun} cannot '{word}'; it can {verbs}",
            noun=words[0],
            word=short(typed.words[1].text),
            verbs=tuple(verbs),
        )
        instead = self._near_verb(words) or verbs[0].english
        return refused_at(UnknownVerb(said, instead=instead), typed.words[1])

    def _unknown(self, typed: str, word: str) -> UnknownNoun:
        """The error of a word that no command begins with; a verb alone, `who A-1`, is not far from one."""
        paths = sorted({" ".join(path[:2]) for path in self._paths if len(path) > 1 and path[1] == word})
        if paths:
            said = t("'{word}' is no command by itself: {choices}", word=short(typed), choices=tuple(paths))
            return UnknownNoun(said, instead=paths[0] if len(paths) == 1 else None, example="!help")
        near = nearest(word, sorted(self._nouns))
        said = t("I know no command '{word}'", word=short(typed))
        return UnknownNoun(said, instead=near, example="!help")

    def _verbs(self, noun: str) -> list[Named]:
        """What this noun can do, in the order of the declarations."""
        meant = [command for path, command in self._paths.items() if path[0] == noun]
        verbs = [(each.path, path_of(each, Language.FR)) for each in self.commands if each in meant]
        return [Named(english[1], french[-1]) for english, french in verbs if len(english) > 1]

    def _near_verb(self, words: Sequence[str]) -> str | None:
        return nearest(words[1], [path[1] for path in self._paths if path[0] == words[0] and len(path) == 2])

    def _verb_meant(self, typed: Typed, used: int, error: NotUnderstood) -> NotUnderstood | None:
        """The same error with the verb that its word may have been meant for, `alert wh A-1`."""
        if used != 1 or len(typed.words) < 2 or error.span is None or error.instead:
            return None
        word = typed.words[1]
        noun = folded(typed.words[0].text)
        if folded(word.text) in HELP:
            error.example = f"!help {noun}"
            return error
        near = self._near_verb([noun, word.text]) or self._verb_of_ref(typed, noun)
        if not near or word.quoted or error.span[0] > word.start:
            return None
        said = t(
            "{noun} cannot '{word}'; it can {verbs}",
            noun=noun,
            word=short(word.text),
            verbs=tuple(self._verbs(noun)),
        )
        instead = f"{near} {word.text}" if is_ref(word.text) else near
        return refused_at(UnknownVerb(said, instead=instead), word)

    def _unmended(self, command: Command, typed: Typed, error: NotUnderstood) -> NotUnderstood:
        """A choice beside a reference: `alert all clear A-7` was not meant to raise another one."""
        wrong = next((each for each in grammar(command) if each.name == error.argument), None)
        if wrong is not None and wrong.kind is Kind.CHOICE and wrong.required and not wrong.keyword:
            noun = folded(typed.words[0].text)
            if self._verb_of_ref(typed, noun, len(typed.words)):
                error.asks, error.instead, error.example = True, None, f"!help {noun}"
        return error

    def _verb_of_ref(self, typed: Typed, noun: str, within: int = 3) -> str | None:
        """The verb that shows an object, where a reference stands and no verb: `alert A-1`."""
        words = [word.text for word in typed.words[1:within] if not word.quoted]
        found = []
        for path, command in self._paths.items():
            only, *more = grammar(command) or (None,)
            if only is None or more or only.kind is not Kind.REF or path[0] != noun or len(path) != 2:
                continue
            if any(is_ref_of(only.letter, word) if only.letter else is_ref(word) for word in words):
                found.append(path[1])
        return min(found, key=lambda verb: verb not in SHOWING, default=None)
