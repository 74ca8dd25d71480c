"""Did you mean: the known words that are at most two typing errors away from one that is not known."""

import unicodedata
from collections.abc import Iterable

FARTHEST = 2  # edits; more than that is another word


def nearest(word: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The known words closest to `word`, best first; case and accents do not count.

    Short words allow fewer errors (one from three letters on, two from five), so that nothing is proposed
    that only shares a letter.
    """
    wanted = folded(word)
    allowed = min(FARTHEST, (len(wanted) - 1) // 2)
    measured = ((distance(wanted, folded(each)), each) for each in dict.fromkeys(known))
    return [each for far, each in sorted(measured) if far <= allowed][:limit]


def folded(word: str) -> str:
    """The word without case and accents, as `revoquer` for `Révoquer`."""
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))


def distance(one: str, other: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two words."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            best = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, above = above, row
    return above[-1]
