"""The words of the language, and how large its parts may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final = frozenset(
    {
        "all",
        "any",
        "not",
        "event",
        "sequence",
        "segment",
        "where",
        "within",
        "ago",
        "count",
        "gap",
        "account",
        "open",
        "by",
        "order",
        "condition",
        "not_followed_by",
        "known_within",
    }
)
"""Words of the language: no attribute or trait is tested by such a name. `account` is always known."""

TESTS_OF_FACTS: Final[Mapping[str, tuple[str, ...]]] = {
    "event": ("event", "where", "not_followed_by", "within", "ago", "count"),
    "sequence": ("sequence", "within", "gap", "order"),
    "open": ("open", "by", "where", "count"),
}
"""The tests that read facts, each by the key that makes it one, with all keys that belong to it."""

ACCOUNT: Final = "account"

MAX_DEPTH: Final = 24
MAX_CONDITIONS: Final = 5_000
MAX_LIST: Final = 5_000
MAX_PATTERN: Final = 1_000
MAX_STEPS: Final = 20
MAX_LINES: Final = 1_000_000
FACTS_OF_A_TEST: Final = 2_000
"""How many facts of one account a test counts, unless a setting says otherwise: the newest."""
ACCOUNT_BYTES: Final = 8_000_000
"""How many bytes the facts of one account take in Redis at most. The same everywhere, so that a replay decides the same."""
MAX_DURATION: Final = 365_000 * 86_400_000
"""In ms: a thousand years, so that every deadline is an instant of the calendar."""
