"""Words compared as people mean them: case and accents folded, and the nearest of several."""

import re
import unicodedata
from collections.abc import Iterable

NEAR = 2  # edits at which a word is still taken for a slip of the finger

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")


GROUP = 4
LONGEST_ECHO = 30
_FEMININE = ("ite", "reponse", "remarque", "personne", "langue", "raison", "cle")


def short(word: str) -> str:
    """A word of the officer as an answer repeats it, cut where it is long."""
    return word if len(word) <= LONGEST_ECHO else f"{word[: LONGEST_ECHO - 1]}…"


def with_article(noun: str) -> str:
    """A French name of a parameter with its article."""
    if folded(noun)[0] in "aeiouh":
        return f"l’{noun}"
    return f"{'la' if folded(noun).endswith(_FEMININE) else 'le'} {noun}"


def grouped(key: str) -> str:
    """A key in groups of four, to be read aloud and compared."""
    return " ".join(key[at : at + GROUP] for at in range(0, len(key), GROUP))


def folded(word: str) -> str:
    """The word without case and accents, every dash a hyphen."""
    apart = unicodedata.normalize("NFKD", word.translate(_DASHES))
    return "".join(each for each in apart if not unicodedata.combining(each)).casefold()


def quoted(text: str) -> str:
    """The text in quotes, as it can be typed: what would close them within it is escaped."""
    escaped = re.sub(r'(["“”″])', r"\\\1", text)
    return f'"{escaped} "' if text.endswith("\\") else f'"{escaped}"'


def distance(one: str, other: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours that make one the other (Damerau)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        before, above, row = row, before, [i]
        for j, right in enumerate(other, start=1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]


def nearest(word: str, among: Iterable[str]) -> str | None:
    """The candidate that was most likely meant; None if none is near. Short words must be nearer."""
    meant = folded(word)
    reach = min(NEAR, max(len(meant) - 2, 1) if len(meant) > 1 else 0)
    best, at = None, reach + 1
    for candidate in among:
        other = folded(candidate)
        # The lengths alone tell that most candidates are too far; the table of edits is large.
        apart = distance(meant, other) if abs(len(other) - len(meant)) < at else at
        if apart < at:
            best, at = candidate, apart
    return best
