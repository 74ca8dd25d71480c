"""Matching: the words of one command on their way to its parameters, by name and by position; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.kernel.arguments import (
    LONGEST,
    TIMES,
    Kind,
    Parameter,
    Reader,
    is_listed,
    is_ref,
    is_ref_of,
    letter_of,
    parameters,
    read,
    words_for,
)
from bot.kernel.errors import NotUnderstood
from bot.kernel.language import Named, t
from bot.kernel.vocabulary import Command
from bot.kernel.words import nearest, quoted, short, with_article
from bot.runtime.joining import joined
from bot.runtime.lines import Typed, Word

_TEXTS = (Kind.TEXT, Kind.REST)
_CLOSING = '"”“″»'


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


def refused_at(error: NotUnderstood, *words: Word) -> NotUnderstood:
    """The error, which is about these words."""
    error.span = (words[0].opens, words[-1].closes)
    return error


@dataclass
class Match:
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
        for each in grammar_:
            if each.keyword:  # a handler may ask for what was left out: it goes to the end of the line
                self.spans.setdefault(each.name, (self.typed.end, self.typed.end))
        refused = {error.argument for error in self.wrong}
        for each in grammar_:
            if each.required and each.name not in self.values and each.name not in refused:
                raise self._missing(each)
            if each.keyword:  # where it would go, for whoever finds that it is needed after all
                self.spans.setdefault(each.name, (self.typed.end, self.typed.end))

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
        words = joined(self.words, grammar_)
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
                    raise refused_at(NotUnderstood(said, instead=""), replace(word, closes=run[-1].closes))
                self._take(parameter, run)
            except NotUnderstood as error:
                self.wrong.append(error)
        return left

    def _goes_on(self, parameter: Parameter, run: list[Word], words: list[Word]) -> bool:
        """Whether an unquoted value goes on with the next word."""
        if run[0].quoted or words[0].quoted and run[0].text:
            return False
        if parameter.many and run[-1].text.endswith(","):  # `to=ops, marine`
            return not words[0].quoted
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
            return (error.instead is not None or error.asks) and parameter.kind in TIMES
        return True

    def _unnamed(self, word: Word, grammar_: tuple[Parameter, ...]) -> Word:
        names = [each.key for each in grammar_ if each.keyword]
        free = any(each.kind is Kind.REST for each in grammar_)
        if not word.key or not names or free:
            return word if not word.key else replace(word, text=self._raw(word), start=word.opens, key=None)
        near = nearest(word.key, names)
        said = t(
            "I know no '{word}=' here; there is {names}",
            word=short(word.key),
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
            words = self._ref_first(parameter, words)
            later = wanted[place + 1 :]
            if not words and not parameter.required:
                self.spans[parameter.name] = (self.typed.end, self.typed.end)
            if parameter.kind is Kind.REF and self._from_reply(parameter, words):
                continue
            if parameter.many:
                self._spread(parameter, words)
                words = []
            elif words:
                words = words[self._fit(parameter, words, later) :]
        if words and not any(error.span and error.span[1] <= words[0].opens for error in self.wrong):
            raise self._too_much(words)

    def _ref_first(self, parameter: Parameter, words: list[Word]) -> list[Word]:
        """The words with the reference that is asked for in front, wherever it stands: `ack unable A-1`."""
        if parameter.kind is not Kind.REF or not parameter.letter:
            return words
        letter = parameter.letter
        refs = (each for each in words if not each.quoted and is_ref_of(letter, each.text))
        found = next(refs, None)
        if found and self.reader.reply and found not in words[:2]:  # a remark may speak of another one
            return words
        return [found, *(each for each in words if each is not found)] if found else words

    def _too_much(self, words: list[Word]) -> NotUnderstood:
        """The error of words that no parameter is left for: a name without its sign, or text too many."""
        first, *after = words
        named = None if first.quoted else next((e for e in self._keywords() if e.is_called(first.text)), None)
        if named:
            value = quoted(after[0].text) if after and after[0].quoted else after[0].text if after else ""
            said = t("{name} needs its value behind an equals sign", name=named.shown)
            return refused_at(
                NotUnderstood(said, instead=f"{first.text}={value}" if value else ""), first, *after[:1]
            )
        said = t("'{word}' is too much here", word=short(first.text))
        if any(each.kind in _TEXTS for each in grammar(self.command)):
            said = t(
                "'{word}' is too much here; text of several words goes in quotes", word=short(first.text)
            )
        error = refused_at(NotUnderstood(said, instead=""), *words)
        self._keep_words(error, words)
        return error

    def _keep_words(self, error: NotUnderstood, words: list[Word]) -> None:
        """Words behind a text in quotes were meant to be in them: a mark within it had ended it."""
        text = next((e for e in reversed(grammar(self.command)) if e.kind in _TEXTS and not e.keyword), None)
        begin, end = self.spans.get(text.name, (0, 0)) if text else (0, 0)
        if text is None or begin == end or self.typed.text(end, words[0].opens):
            return
        more = self.typed.text(words[0].opens, words[-1].closes)
        if not words[-1].quoted and more[-1] in _CLOSING:
            whole = self.typed.text(begin, words[-1].closes)[1:-1]
        else:
            whole = f"{self.values[text.name]} {more}"
        error.mends, error.instead = (begin, words[-1].closes), quoted(whole)

    def _keywords(self) -> list[Parameter]:
        return [each for each in grammar(self.command) if each.keyword]

    def _fit(self, parameter: Parameter, words: list[Word], later: list[Parameter]) -> int:
        """Give the parameter its words; how many it took."""
        if parameter.kind is Kind.TEXT and words[0].quoted:
            self._take(parameter, words[:1])
            return 1
        if parameter.kind in _TEXTS:
            self._refuse_second_ref(parameter, words[0])
            self._take(parameter, words)
            return len(words)
        for length in range(min(LONGEST.get(parameter.kind, 1), len(words)), 1, -1):
            if not any(word.quoted for word in words[:length]) and self._reads(parameter, words[:length]):
                self._take(parameter, words[:length])
                return self._used(parameter, words, length)
        try:
            self._take(parameter, words[:1])
        except NotUnderstood as error:
            if parameter.required and self._is_left_out(parameter, words[0], later):
                raise self._missing(parameter, words[0].opens) from None
            if parameter.required or not self._may_skip(parameter, words[0], error, later):
                raise
            self.spans[parameter.name] = (words[0].opens, words[0].opens)
            return 0
        return self._used(parameter, words, 1)

    def _used(self, parameter: Parameter, words: list[Word], length: int) -> int:
        """How many words a value has used: `no boat` is an answer, and stays whole as the remark to it."""
        more = words[length:]
        if parameter.choices is None or not more or more[0].quoted:
            return length
        if self.values[parameter.name] is parameter.default:
            self._refuse_other_choice(parameter, more)
        return length if is_listed(parameter.choices, self._run_text(words[:length])) else 0

    def _refuse_other_choice(self, parameter: Parameter, words: list[Word]) -> None:
        """`ack A-1 ok but need help`: what says something else than the usual answer is not its remark."""
        runs = (words[at:end] for at in range(len(words)) for end in range(at + 1, at + 4))
        other = next((run for run in runs if not run[0].quoted and self._reads(parameter, run)), None)
        if other and read(parameter, self._run_text(other), self.reader) is not parameter.default:
            error = NotUnderstood(t("{name} is there twice", name=parameter.shown), argument=parameter.name)
            error.asks, error.allowed = True, t("A remark goes in quotes.")
            raise refused_at(error, *other)

    def _is_left_out(self, parameter: Parameter, word: Word, later: list[Parameter]) -> bool:
        """Whether the word where a reference or a choice should stand is text already."""
        if not any(each.kind in _TEXTS for each in later):
            return False
        if parameter.kind is Kind.CHOICE:
            return word.quoted
        return parameter.kind is Kind.REF and not any(each.isdigit() for each in word.text)

    def _refuse_second_ref(self, parameter: Parameter, word: Word) -> None:
        """`ack A-1 A-2`: the second one is not the reason; who meant it as text can quote it."""
        refs = any(each.kind is Kind.REF and each.name in self.values for each in grammar(self.command))
        if refs and not parameter.required and not word.quoted and is_ref(word.text):
            said = t("One number at a time: '{word}' is too much here", word=short(word.text))
            raise refused_at(NotUnderstood(said, instead=""), word)

    def _may_skip(
        self, parameter: Parameter, word: Word, error: NotUnderstood, later: list[Parameter]
    ) -> bool:
        """Whether a word that an optional parameter cannot read may be meant for a later one."""
        if not later:
            return False
        if parameter.kind is Kind.CHOICE and not word.quoted:
            # What was meant as an answer would be kept as a remark beside the usual one.
            error.allowed = t("A remark goes in quotes.")
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
        if run[0].key and not run[0].text and not run[0].quoted and len(run) == 1:
            raise refused_at(NotUnderstood(t("{name}= has no value", name=run[0].key), instead=""), run[0])
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

    def _missing(self, parameter: Parameter, at: int | None = None) -> NotUnderstood:
        name = parameter.shown
        named = Named(name.english, with_article(name.french))
        said = t("The {name} is missing", name=named)
        if parameter.keyword:
            said = t("{name} is missing", name=Named(f"{name.english}=", f"{name.french}="))
        if parameter.choices:
            said = t("{name} is missing: {choices}", name=named, choices=words_for(parameter.choices))
        error = NotUnderstood(said, argument=parameter.name)
        error.asks = parameter.choices is not None
        at = self.typed.end if at is None else at
        error.span = (at, at)
        return error
