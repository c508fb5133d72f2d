"""Find known accounts whose domain looks like a name that is not resolved, for people to choose from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from rapidfuzz import fuzz, process

from resegment.identity.names import NAME

LIKELY: Final = 80.0
"""From this score (of 100) on, a domain is shown."""
MOST: Final = 3

_LEGAL: Final = frozenset(
    [
        "ab",
        "ag",
        "as",
        "bv",
        "co",
        "company",
        "corp",
        "corporation",
        "gmbh",
        "group",
        "holding",
        "holdings",
        "inc",
        "incorporated",
        "kg",
        "limited",
        "llc",
        "llp",
        "ltd",
        "nv",
    ]
) | {"oy", "plc", "pty", "sa", "sarl", "sas", "se", "spa", "srl", "the", "und", "and", "ug"}
"""Words that say what a company is, not which. A name of these alone keeps them."""
_WORD: Final = re.compile(r"[a-z0-9]+")


class Hint(NamedTuple):
    """A known account that a name may mean, and how alike they are, of 100."""

    account: str
    score: int


def find_hints(name: str, accounts: Iterable[str]) -> list[Hint]:
    """Return up to three accounts that look like the name, the most alike first. Nothing is resolved by that."""
    by_label: dict[str, str] = {}
    for account in accounts:
        by_label.setdefault(account.partition(".")[0].replace("-", ""), account)
    return HintFinder(by_label).find(name)


class HintFinder:
    """Finds hints among the same accounts for many names."""

    def __init__(self, by_label: dict[str, str]) -> None:
        """`by_label` has the accounts by what their domains begin with, without hyphens."""
        self._accounts = by_label
        self._labels: Sequence[str] = list(by_label)

    def find(self, name: str) -> list[Hint]:
        """See `find_hints`."""
        key = _key_of(name)
        if not key:
            return []
        found = process.extract(key, self._labels, scorer=fuzz.ratio, limit=MOST, score_cutoff=LIKELY)
        return [Hint(self._accounts[label], round(score)) for label, score, _ in found]


def _key_of(name: str) -> str:
    """Return what a domain of a company of that name might begin with; an id of digits gives nothing."""
    text = name.removeprefix(NAME).rpartition("/")[2].rpartition(":")[2]
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    words = _WORD.findall(plain)
    key = "".join([one for one in words if one not in _LEGAL] or words)
    return "" if key.isdigit() else key
