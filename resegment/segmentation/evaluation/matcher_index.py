"""Find the matchers that take a fact. Matchers are looked up by the words that they ask for, not tried one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Protocol

from resegment.schemas.state import Entry
from resegment.segmentation.language.conditions import Check, Checks, Matcher
from resegment.segmentation.language.operators import compile_checks

Passes = Callable[[dict[str, Any]], bool]
"""Tells whether a fact's data pass every test of a matcher's `where`."""


class Grouping(Protocol):
    """Groups the facts of a series: of each group, the newest fact counts."""

    def group_of(self, entry: Entry) -> str | None:
        """Return the group of a fact; None if it belongs to none."""
        ...

    def matters(self, entry: Entry) -> bool:
        """Whether the newest fact of a group says more than nothing would."""
        ...


@dataclass(frozen=True, slots=True)
class Watcher:
    """One matcher: its series, the leaves that it feeds, and how long after its time a fact of it can count.

    `groupings` group its facts, of each group of which the newest counts. `counted` says whether something reads its
    facts without regard to groups.
    """

    number: int
    matcher: Matcher
    leaves: tuple[int, ...]
    closes: int
    counted: bool = True
    groupings: tuple[Grouping, ...] = ()


@dataclass(slots=True)
class _Candidates:
    """The watchers that ask for a word: some ask for nothing else, the others have more to test."""

    sure: list[Watcher] = dataclass_field(default_factory=list)
    tried: list[tuple[Watcher, Passes]] = dataclass_field(default_factory=list)


class MatcherIndex:
    """Indexes the watchers of one kind of facts."""

    def __init__(self, watchers: Iterable[Watcher]) -> None:
        self.watchers = tuple(watchers)
        self._always: Sequence[Watcher] = [one for one in self.watchers if not one.matcher.where]
        self._tried: list[tuple[Watcher, Passes]] = []
        self._by_word: dict[str, dict[str, _Candidates]] = {}
        variety: dict[str, set[str]] = {}
        for watcher in self.watchers:
            for field, words in _words_of(watcher.matcher):
                variety.setdefault(field, set()).update(words)
        for watcher in self.watchers:
            where = watcher.matcher.where
            # The field with the most distinct words separates the watchers best.
            asked = max(_words_of(watcher.matcher), key=lambda one: len(variety[one[0]]), default=None)
            if asked is None and where:
                self._tried.append((watcher, compile_where(where)))
            elif asked is not None:
                field, words = asked
                rest = tuple(test for test in where if test[0] != field or len(test[1]) > 1)
                by_word = self._by_word.setdefault(field, {})
                for word in words:
                    candidates = by_word.setdefault(word, _Candidates())
                    if rest:
                        candidates.tried.append((watcher, compile_where(rest)))
                    else:
                        candidates.sure.append(watcher)
        self._fields = tuple(self._by_word.items())

    def find(self, data: dict[str, Any]) -> Sequence[Watcher]:
        """Return the watchers that take a fact with these data."""
        found = self._always
        for field, by_word in self._fields:
            word = data.get(field)
            if type(word) is str and (candidates := by_word.get(word)) is not None:
                found = [*found, *candidates.sure] if found else candidates.sure
                if candidates.tried:
                    found = [*found, *[one for one, takes in candidates.tried if takes(data)]]
        if self._tried:
            found = [*found, *[one for one, takes in self._tried if takes(data)]]
        return found


def _words_of(matcher: Matcher) -> list[tuple[str, frozenset[str]]]:
    """Return the fields that must have one of some words."""
    found: list[tuple[str, frozenset[str]]] = []
    for field, checks in matcher.where:
        for check in checks:
            words = _words(check)
            if words:
                found.append((field, words))
                break
    return found


def _words(check: Check) -> frozenset[str]:
    operand = check.operand if isinstance(check.operand, tuple) else (check.operand,)
    words = frozenset(one for one in operand if isinstance(one, str))
    return words if check.operator in ("eq", "in") and len(words) == len(set(operand)) else frozenset()


def compile_where(where: tuple[tuple[str, Checks], ...]) -> Passes:
    """Return a function that tells whether a fact's data pass every test."""
    tests = [(name, compile_checks(checks)) for name, checks in where]
    if len(tests) == 1:
        ((name, test),) = tests
        return lambda data: test(data.get(name)) is True
    return lambda data: all(test(data.get(name)) is True for name, test in tests)
