"""Usage: a command as it is typed, and one of ours in French with its names and values; pure."""

import re
from enum import Enum
from typing import Any

from bot.kernel.arguments import Kind, Parameter, word_for
from bot.kernel.language import Language, Named
from bot.runtime.lines import Typed
from bot.runtime.matching import Parsed, grammar


def usage(parameter: Parameter, language: Language) -> str:
    """The parameter as a usage line shows it: `SEVERITY`, `"HEADLINE"`, `[in=10m]`."""
    name = parameter.key
    if language is Language.FR and parameter.french:
        name = parameter.french
    name = name.replace("_", "-") if not parameter.keyword else name
    if parameter.keyword:
        shown = f"{name}={_sample(parameter, language)}"
        if parameter.choices:
            shown = f"{name}={'|'.join(word_for(each, language) for each in parameter.choices)}"
    else:
        shown = name.upper()
        if parameter.kind in (Kind.TEXT, Kind.REST):
            shown = f'"{shown}"'
        elif parameter.kind is Kind.REF:
            shown = f"{parameter.letter or 'A'}-1"
        elif parameter.many:
            shown = f"{shown}…"
    return shown if parameter.required else f"[{shown}]"


def _sample(parameter: Parameter, language: Language) -> str:
    meant = _MEANT.get(parameter.key) or _SAMPLE.get(parameter.kind) or parameter.shown
    if isinstance(meant, str):
        return meant
    said = meant.french if language is Language.FR else meant.english
    return said if parameter.kind in _SAMPLE else said.upper()


# A name that says what to do with the value, not what it is.
_MEANT = {
    "to": Named("tag", "étiquette"),
    "for": Named("agency", "agence"),
    "tz": Named("city", "ville"),
}
_SAMPLE: dict[Kind, str | Named] = {
    Kind.SPAN: "10m",
    Kind.WAIT: "10m",
    Kind.MOMENT: "14:30",
    Kind.END: Named("90d", "90j"),
    Kind.USER: "@name",
    Kind.NUMBER: "2",
    Kind.FLAG: Named("yes", "oui"),
    Kind.TEXT: '"…"',
    Kind.REST: '"…"',
}


def in_french(parsed: Parsed) -> str:
    """What stands behind a command's name, with the French names of parameters and of choices."""
    typed = parsed.typed
    changes = []
    for each in grammar(parsed.command):
        start, end = parsed.spans.get(each.name, (0, 0))
        changes.append((start, end, _value(each, parsed.named.get(each.name), typed[start:end])))
    named = [each for each in grammar(parsed.command) if each.keyword and each.french]
    for word in Typed(typed).words:
        name = next((each.french for each in named if word.key and each.is_called(word.key)), None)
        if name and word.key:
            changes.append((word.opens, word.opens + len(word.key), name))
    for start, end, new in sorted(changes, reverse=True):
        typed = typed[:start] + new + typed[end:]
    return typed


def _value(parameter: Parameter, value: Any, typed: str) -> str:
    if parameter.choices and isinstance(value, Enum) and typed:
        return word_for(value, Language.FR)
    if parameter.kind is Kind.FLAG and typed:
        return "oui" if value else "non"
    if parameter.kind in (Kind.SPAN, Kind.END, Kind.WAIT):
        return re.sub(r"(?<=\d)d\b", "j", typed)
    return typed
