"""The parser: text to a command and typed arguments, each with its place in what was typed; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.kernel.arguments import LONGEST, Kind, Parameter, Reader, is_ref, letter_of, parameters, read
from bot.kernel.errors import NotUnderstood
from bot.kernel.language import Named, t
from bot.kernel.vocabulary import Command
from bot.kernel.words import folded, nearest
from bot.runtime.lines import Typed, Word

_MISSING = object()
_TEXTS = (Kind.TEXT, Kind.REST)


@dataclass(frozen=True)
class Parsed:
    """A command with its arguments. `spans` says where each parameter's words stand in `typed`."""

    command: Command
    typed: str
    positional: tuple[Any, ...]
    named: dict[str, Any]
    spans: dict[str, tuple[int, int]]


def grammar(command: Command) -> tuple[Parameter, ...]:
    """The command's parameters, in order."""
    return parameters(command.handler, command.names)


class UnknownNoun(NotUnderstood):
    """No command begins with this word: in a busy room that may be chatter."""


class Table:
    """All commands, found by what is typed. ValueError if two have the same spelling."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self.commands = tuple(commands)
        self._paths: dict[tuple[str, ...], Command] = {}
        for command in self.commands:
            grammar(command)
            for path in {tuple(map(folded, path)) for path in (command.path, *command.french)}:
                if path in self._paths:
                    raise ValueError(f"two commands are called {' '.join(path)}")
                self._paths[path] = command
        self._nouns = {path[0] for path in self._paths}

    def parse(self, original: str, start: int, reader: Reader) -> Parsed:
        """The command that begins at `start`; NotUnderstood, with its span, for the first thing wrong."""
        typed = Typed(original, start)
        command, used = self._find(typed)
        try:
            return _Match(command, typed, typed.words[used:], reader).parsed()
        except NotUnderstood as error:
            raise self._verb_meant(typed, used, error) or error from None

    def command(self, original: str, start: int) -> Command | None:
        """The command that was meant, even if the rest of it is wrong."""
        try:
            return self._find(Typed(original, start))[0]
        except NotUnderstood:
            return None

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
                return self._alone(command) if len(words) == length else command, length
        raise self._no_such(typed, words)

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
            near = nearest(words[0], sorted(self._nouns))
            said = t("I know no command '{word}'", word=word.text)
            error: NotUnderstood = UnknownNoun(said, instead=near, example=None if near else "!help")
            return _at(error, word)
        verbs = self._verbs(words[0])
        if len(words) == 1:
            error = NotUnderstood(t("'{noun}' needs a verb: {verbs}", noun=words[0], verbs=tuple(verbs)))
            error.instead = f"{word.text} {verbs[0].english}"
            return _at(error, word)
        said = t(
            "{noun} cannot '{word}'; it can {verbs}",
            noun=words[0],
            word=typed.words[1].text,
            verbs=tuple(verbs),
        )
        return _at(NotUnderstood(said, instead=self._near_verb(words) or verbs[0].english), typed.words[1])

    def _verbs(self, noun: str) -> list[Named]:
        """What this noun can do, in the order of the declarations."""
        meant = [command for path, command in self._paths.items() if path[0] == noun]
        verbs = [(each.path, (each.french or (each.path,))[-1]) for each in self.commands if each in meant]
        return [Named(english[1], french[-1]) for english, french in verbs if len(english) > 1]

    def _near_verb(self, words: Sequence[str]) -> str | None:
        return nearest(words[1], [path[1] for path in self._paths if path[0] == words[0] and len(path) > 1])

    def _verb_meant(self, typed: Typed, used: int, error: NotUnderstood) -> NotUnderstood | None:
        """The same error with the verb that its word may have been meant for, `alert wh A-1`."""
        if used != 1 or len(typed.words) < 2 or error.span is None or error.instead:
            return None
        word = typed.words[1]
        noun = folded(typed.words[0].text)
        near = self._near_verb([noun, word.text])
        if not near or word.quoted or error.span[0] > word.start:
            return None
        said = t(
            "{noun} cannot '{word}'; it can {verbs}",
            noun=noun,
            word=word.text,
            verbs=tuple(self._verbs(noun)),
        )
        return _at(NotUnderstood(said, instead=near), word)


def _at(error: NotUnderstood, word: Word) -> NotUnderstood:
    error.span = (word.opens, word.closes)
    return error


@dataclass
class _Match:
    """One command's words on their way to its parameters."""

    command: Command
    typed: Typed
    words: list[Word]
    reader: Reader
    values: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    wrong: list[NotUnderstood] = field(default_factory=list)

    def parsed(self) -> Parsed:
        """All parameters filled; NotUnderstood for the first that cannot be."""
        grammar_ = grammar(self.command)
        positional = [each for each in grammar_ if not each.keyword]
        left = self._named(grammar_)
        try:
            self._positional([each for each in positional if each.name not in self.values], left)
            self._body(grammar_)
            self._complete(grammar_)
        except NotUnderstood as error:
            self.wrong.append(error)
        if self.wrong:
            raise min(self.wrong, key=lambda error: error.span or (len(self.typed.original), 0))
        return Parsed(self.command, self.typed.original, *self._bound(grammar_), self.spans)

    def _complete(self, grammar_: tuple[Parameter, ...]) -> None:
        refused = {error.argument for error in self.wrong}
        for each in grammar_:
            if each.required and each.name not in self.values and each.name not in refused:
                raise self._missing(each)

    def _bound(self, grammar_: tuple[Parameter, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        named = dict(self.values)
        spread = next((each for each in grammar_ if each.many and not each.keyword), None)
        if spread is None:
            return (), named
        # Before *args everything goes by position; a default in between has been filled in.
        order = [each for each in grammar_ if not each.keyword]
        positional = [named.pop(each.name, each.default) for each in order if each is not spread]
        return (*positional, *named.pop(spread.name, ())), named

    # name=value

    def _named(self, grammar_: tuple[Parameter, ...]) -> list[Word]:
        """Take each name=value out; the words that are left, in order."""
        left: list[Word] = []
        words = _joined(self.words, grammar_)
        while words:
            word = words.pop(0)
            try:
                parameter = next((each for each in grammar_ if word.key and each.is_called(word.key)), None)
                if parameter is None:
                    left.append(self._unnamed(word, grammar_))
                    continue
                run = [word]
                while words and not words[0].key and self._goes_on(parameter, run, words):
                    run.append(words.pop(0))
                if parameter.name in self.values:
                    said = t("{name} is there twice", name=f"{parameter.key}=")
                    raise _at(NotUnderstood(said, instead=""), replace(word, closes=run[-1].closes))
                self._take(parameter, run)
            except NotUnderstood as error:
                self.wrong.append(error)
        return left

    def _goes_on(self, parameter: Parameter, run: list[Word], words: list[Word]) -> bool:
        """Whether an unquoted value goes on with the next word."""
        if run[0].quoted or words[0].quoted and run[0].text:
            return False
        if parameter.kind in _TEXTS:
            return True
        longest = LONGEST.get(parameter.kind, 1) - len(run)
        for length in range(min(longest, len(words)), 0, -1):
            following = words[:length]
            if not any(each.key or each.quoted for each in following) and self._reads(
                parameter, run + following
            ):
                return True
        return False

    def _reads(self, parameter: Parameter, run: Sequence[Word]) -> bool:
        try:
            read(parameter, self._run_text(run), self.reader)
        except NotUnderstood as error:
            return error.instead is not None and parameter.kind is Kind.MOMENT
        return True

    def _unnamed(self, word: Word, grammar_: tuple[Parameter, ...]) -> Word:
        names = [each.key for each in grammar_ if each.keyword]
        free = any(each.kind is Kind.REST for each in grammar_)
        if not word.key or not names or free:
            return word if not word.key else replace(word, text=self._raw(word), start=word.opens, key=None)
        near = nearest(word.key, names)
        said = t(
            "I know no '{word}=' here; there is {names}",
            word=word.key,
            names=tuple(f"{each}=" for each in names),
        )
        error = NotUnderstood(said, instead=f"{near}=" if near else "")
        error.span = (word.opens, word.start - word.quoted if near else word.closes)
        raise error

    def _raw(self, word: Word) -> str:
        return self.typed.text(word.opens, word.closes)

    # by position

    def _positional(self, wanted: list[Parameter], words: list[Word]) -> None:
        for place, parameter in enumerate(wanted):
            later = wanted[place + 1 :]
            if parameter.kind is Kind.REF and self._from_reply(parameter, words):
                continue
            if parameter.many:
                self._spread(parameter, words)
                words = []
            elif words:
                words = words[self._fit(parameter, words, later) :]
        if words and not any(error.span and error.span[1] <= words[0].opens for error in self.wrong):
            said = t("'{word}' is too much here; text of several words goes in quotes", word=words[0].text)
            raise _at(NotUnderstood(said, instead=""), words[0])

    def _fit(self, parameter: Parameter, words: list[Word], later: list[Parameter]) -> int:
        """Give the parameter its words; how many it took."""
        if parameter.kind is Kind.TEXT and words[0].quoted:
            self._take(parameter, words[:1])
            return 1
        if parameter.kind in _TEXTS:
            self._take(parameter, words)
            return len(words)
        for length in range(min(LONGEST.get(parameter.kind, 1), len(words)), 1, -1):
            if not any(word.quoted for word in words[:length]) and self._reads(parameter, words[:length]):
                self._take(parameter, words[:length])
                return length
        try:
            self._take(parameter, words[:1])
        except NotUnderstood as error:
            if parameter.required or not self._may_skip(words[0], error, later):
                raise
            return 0
        return 1

    def _may_skip(self, word: Word, error: NotUnderstood, later: list[Parameter]) -> bool:
        """Whether a word that an optional parameter cannot read may be meant for a later one."""
        if not later:
            return False
        return word.quoted or error.instead is None

    def _spread(self, parameter: Parameter, words: list[Word]) -> None:
        values: list[Any] = []
        single = replace(parameter, many=False)
        for word in words:
            self._take(single, [word])
            values.append(self.values[parameter.name])
        self.values[parameter.name] = tuple(values)
        if words:
            self.spans[parameter.name] = (words[0].opens, words[-1].closes)

    def _from_reply(self, parameter: Parameter, words: list[Word]) -> bool:
        """Whether the card replied to supplies this reference, so that no word is used for it."""
        reply = self.reader.reply
        if reply is None or (words and not words[0].quoted and is_ref(words[0].text)):
            return False
        if parameter.letter and letter_of(reply) != parameter.letter:
            if words and words[0].text.lstrip("#").isdecimal():
                return False
            said = t(
                "You replied to {reply}; this needs a number like {example}",
                reply=reply,
                example=f"{parameter.letter}-1",
            )
            error = NotUnderstood(said, argument=parameter.name)
            error.span = (self.typed.end, self.typed.end)
            raise error
        self.values[parameter.name] = reply
        return True

    # both

    def _take(self, parameter: Parameter, run: list[Word]) -> None:
        span = (run[0].start - run[0].quoted, run[-1].closes)
        if len(run) == 1 and not run[0].quoted:
            span = (run[0].start, run[0].closes)
        self.spans[parameter.name] = span
        try:
            self.values[parameter.name] = read(parameter, self._run_text(run), self.reader)
        except NotUnderstood as error:
            self.spans.pop(parameter.name)
            error.span = span
            raise

    def _run_text(self, run: Sequence[Word]) -> str:
        if len(run) == 1:
            return run[0].text
        parts, last = [], run[0]
        begin = run[0].start - run[0].quoted
        for word in run[1:]:
            between = self.typed.text(last.closes, word.opens)
            if between:  # a name=value stood between
                parts.append(self.typed.text(begin, last.closes))
                begin = word.opens
            last = word
        parts.append(self.typed.text(begin, last.closes))
        return " ".join(parts)

    def _body(self, grammar_: tuple[Parameter, ...]) -> None:
        body = self.typed.body
        if not body:
            return
        texts = [each for each in grammar_ if each.kind in _TEXTS and not each.keyword]
        rest = next((each for each in texts if each.kind is Kind.REST), None)
        filled = [each for each in texts if each.name in self.values]
        target = rest or (filled[-1] if filled else next(iter(texts), None))
        if target is None:
            error = NotUnderstood(t("A command is one line; I read nothing below it"), instead="")
            error.span = (self.typed.body_start, len(self.typed.original))
            raise error
        before = self.values.get(target.name)
        self.values[target.name] = f"{before}\n{body}" if before else body
        start = self.spans.get(target.name, (self.typed.end, 0))[0]
        self.spans[target.name] = (start, len(self.typed.original.rstrip()))

    def _missing(self, parameter: Parameter) -> NotUnderstood:
        name = parameter.shown
        if parameter.keyword:
            name = Named(f"{name.english}=", f"{name.french}=")
        error = NotUnderstood(t("{name} is missing", name=name), argument=parameter.name)
        error.span = (self.typed.end, self.typed.end)
        return error


def _joined(words: list[Word], grammar_: tuple[Parameter, ...]) -> list[Word]:
    """`key = value`, `key= value` and `key =value` as `key=value`, where the key is known."""

    def known(name: str) -> bool:
        return any(each.is_called(name) for each in grammar_ if each.keyword)

    joined: list[Word] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.quoted and not word.key and rest and known(word.text) and rest[0].text.startswith("="):
            sign = rest.pop(0)
            value = sign.text[1:]
            word = replace(
                word, key=word.text, text=value, start=sign.start + 1, end=sign.end, closes=sign.closes
            )
        if word.key and known(word.key) and not word.text and not word.quoted and rest and not rest[0].key:
            value_ = rest.pop(0)
            word = replace(value_, key=word.key, opens=word.opens)
        joined.append(word)
    return joined
