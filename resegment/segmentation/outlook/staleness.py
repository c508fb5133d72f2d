"""Find what is not known of accounts, or was told long ago, and what knowing it could change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import itemgetter
from typing import Any, Final

import msgspec

from resegment.schemas.contracts.structs import struct_schema
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.language.conditions import Compare

SPARE: Final = 1_000


class StaleAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute of an account: when its value was told last, null where it is unknown."""

    name: str
    known_at: str | None


class StaleAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account with tested attributes that are unknown or old, those first that could change its segment.

    `could_win` is the highest segment above its own that it could enter, and `could_fall_to` the one below that it could
    fall to, depending on the values. Both are null where no value changes its segment. `tests` are the tests of these
    attributes.
    """

    account: str
    segment: str
    attributes: tuple[StaleAttribute, ...]
    tests: tuple[str, ...]
    could_win: str | None = None
    could_fall_to: str | None = None

    @property
    def matters(self) -> bool:
        """Whether knowing could change the segment."""
        return self.could_win is not None or self.could_fall_to is not None


class StaleTest(msgspec.Struct, frozen=True, kw_only=True):
    """A test of attributes: for how many accounts it can't tell, and for how many what it reads is old.

    `could_change` counts the accounts whose segment depends on it, of either.
    """

    test: str
    attributes: tuple[str, ...]
    unjudged: int
    old: int
    could_change: int


class StaleReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is stale at `at`: unknown, or told longer ago than `older_seconds`.

    `tests` are in the order of how many accounts depend on them. `requests` are in the order in which asking pays: by the
    priority of the segment that could be won or lost, then by age.
    """

    at: str
    older_seconds: int
    accounts: int
    stale: int
    could_change: int
    tests: tuple[StaleTest, ...]
    requests: tuple[StaleAccount, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """A test of attributes, by its number among the leaves."""

    number: int
    text: str
    attributes: tuple[str, ...]


@dataclass(slots=True)
class _Count:
    unjudged: int = 0
    old: int = 0
    could_change: int = 0


class StaleFinder:
    """Looks at accounts one by one, by one engine, at `t` (ms). `older` is from which age (ms) on a value is old."""

    def __init__(self, engine: Engine, t: int, older: int, *, keep: int | None = None) -> None:
        """`keep` remembers only so many accounts: of those that could change, the ones where asking pays first."""
        self._keep = keep
        self._engine, self._program, self.t, self.older = engine, engine.program, t, older
        self._tests = tuple(_tests_of(engine.program))
        self._counts = [_Count() for _ in self._tests]
        self._found: list[tuple[tuple[int, int, str], StaleAccount]] = []
        self._accounts = 0

    @property
    def names(self) -> list[str]:
        """The names of the segments, by priority."""
        return [one.name for one in self._program.segments]

    def take(self, account: Account) -> StaleAccount | None:
        """Look at an account that has been advanced to t; return what is stale of it. It may be changed."""
        program, t = self._program, self.t
        held = account.state.membership.segment
        if held is None or held not in program.numbers:
            return None
        self._accounts += 1
        self._engine.evaluate(account, t)
        times = {name: _known_at(account, name, t) for one in self._tests for name in one.attributes}
        stale = {name: at for name, at in times.items() if at is None or at + self.older < t}
        for one, count in zip(self._tests, self._counts, strict=True):
            count.unjudged += account.values[one.number] is None
            known = [at for name in one.attributes if (at := times[name]) is not None]
            count.old += any(at + self.older < t for at in known)
        if not stale:
            return None
        concerned = [
            number for number, one in enumerate(self._tests) if not stale.keys().isdisjoint(one.attributes)
        ]
        current = program.numbers[held]
        outcomes = self._try(account, concerned, current)
        for number, reached in outcomes.items():
            self._counts[number].could_change += len(reached) > 1
        reachable = {one for reached in outcomes.values() if len(reached) > 1 for one in reached} - {current}
        higher, lower = min(reachable, default=current), max(reachable, default=current)
        found = StaleAccount(
            account=account.name,
            segment=held,
            attributes=tuple(
                StaleAttribute(name=name, known_at=None if at is None else format_instant(at))
                for name, at in sorted(stale.items(), key=lambda one: (one[1] or 0, one[0]))
            ),
            tests=tuple(self._tests[number].text for number in concerned),
            could_win=program.segments[higher].name if higher < current else None,
            could_fall_to=program.segments[lower].name if lower > current else None,
        )
        rank = min(higher, current) if found.matters else len(program.segments)
        oldest = min(at or 0 for at in stale.values())
        if self._keep is None or found.matters:
            self._found.append(((rank, oldest, account.name), found))
        if self._keep is not None and len(self._found) > 2 * self._keep + SPARE:
            self._found = nsmallest(self._keep, self._found, key=itemgetter(0))
        return found

    def _try(self, account: Account, concerned: Sequence[int], current: int) -> dict[int, set[int]]:
        """Return by test which segments the account could be in, whatever the test says.

        The other tests in doubt say what they say now, or all true, or all false.
        """
        values = account.values
        kept = values.copy()
        reached: dict[int, set[int]] = {number: set() for number in concerned}
        for others in (None, True, False) if len(concerned) > 1 else (None,):
            for number in concerned:
                found = set()
                for says in (True, False):
                    values[:] = kept
                    if others is not None:
                        for other in concerned:
                            values[self._tests[other].number] = others
                    values[self._tests[number].number] = says
                    found.add(self._engine.place(account, self.t, current))
                if len(found) > 1:
                    reached[number] |= found
        values[:] = kept
        return reached

    def ranked(self) -> list[StaleAccount]:
        """Return the stale accounts in the order in which asking pays."""
        return [one for _, one in sorted(self._found, key=itemgetter(0))][: self._keep]

    def report(self, segment: str | None = None) -> StaleReport:
        """Return what was found of all accounts, or the accounts that are in one segment or could come into it."""
        ranked = [
            one for one in self.ranked() if segment in (None, one.segment, one.could_win, one.could_fall_to)
        ]
        tests = [
            StaleTest(
                test=one.text,
                attributes=one.attributes,
                unjudged=count.unjudged,
                old=count.old,
                could_change=count.could_change,
            )
            for one, count in zip(self._tests, self._counts, strict=True)
        ]
        return StaleReport(
            at=format_instant(self.t),
            older_seconds=self.older // 1000,
            accounts=self._accounts,
            stale=len(ranked),
            could_change=sum(one.matters for one in ranked),
            tests=tuple(sorted(tests, key=lambda one: (-one.could_change, -one.unjudged, one.test))),
            requests=tuple(ranked),
        )


def _tests_of(program: Program) -> Iterator[_Test]:
    """Yield the tests that read attributes, those of suppressions and territories too."""
    by_leaf: dict[int, list[str]] = {}
    for name, leaves in program.attribute_leaves.items():
        for leaf in leaves:
            by_leaf.setdefault(leaf, []).append(name)
    for part, number in program.conditions.items():
        if number < program.plain and isinstance(part, Compare) and number in by_leaf:
            yield _Test(number, str(part), tuple(sorted(by_leaf[number])))


def _known_at(account: Account, name: str, t: int) -> int | None:
    """Return when a snapshot spoke of an attribute last, at t; None if none did. One that says null is an answer too."""
    history = account.attributes.get(name)
    if history is None:
        return None
    place = history.reach(t)
    return history.entries[place - 1].time if place else None


def describe_report(report: StaleReport) -> Mapping[str, Any]:
    """Return a report as plain JSON data."""
    plain: Mapping[str, Any] = msgspec.to_builtins(report)
    return plain


def stale_schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    return struct_schema(StaleReport, "What is stale, as `resegment stale --json` prints it")
