"""Joining: a name, its sign and its value that were typed apart; pure."""

from dataclasses import replace

from bot.kernel.arguments import Parameter
from bot.runtime.lines import Word


def joined(words: list[Word], grammar_: tuple[Parameter, ...]) -> list[Word]:
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
