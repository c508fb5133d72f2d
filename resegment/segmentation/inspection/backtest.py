"""Replay facts through the engine, without Kafka and Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Final

from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Fact
from resegment.schemas.logs.unwritten_log import UnwrittenLog
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import UNCHANGED, Decision, Engine, changes_in
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.versions.timeline import Timeline


def order_of_delivery(facts: Iterable[Fact]) -> list[Fact]:
    """Sort facts by when they became known, stably, and keep each (account, source, id) once."""
    unique: list[Fact] = []
    seen: set[tuple[str, str, str]] = set()
    for fact in sorted(facts, key=_recorded):
        key = (fact.account, fact.source, fact.id)
        if key not in seen:
            seen.add(key)
            unique.append(fact)
    return unique


def by_account(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    """Group facts by account, in the order given."""
    grouped: dict[str, list[Fact]] = {}
    for fact in facts:
        grouped.setdefault(fact.account, []).append(fact)
    return grouped


def replay_account(
    judge: Engine | Timeline,
    name: str,
    facts: Iterable[Fact],
    until: int | None = None,
    *,
    unwritten: bool = False,
    idle: frozenset[int] = frozenset(),
) -> tuple[Account, list[SegmentChange]]:
    """Replay one account's facts, which are in the order in which they became known; return it with its changes.

    `until` is the last instant, inclusive. Without it, the replay ends when time alone changes nothing more. With
    `unwritten`, the account cannot be written to a store afterwards. `idle` facts, which `find_idle` finds for an engine,
    are left out where nothing else happens at their instant.
    """
    account = judge.open(name)
    if unwritten:
        account.log = UnwrittenLog()
    decisions: list[Decision] = []
    end = NEVER - 1 if until is None else until
    if isinstance(judge, Engine):
        _replay_facts(judge, account, facts, end, decisions, idle)
    else:
        for known, together in groupby(facts, key=_recorded):
            if known > end:
                break
            decisions += judge.advance(account, known - 1)
            decisions += judge.apply_facts(account, list(together), known)
    if account.state.membership.segment is not None:
        decisions += judge.advance(account, end)
    return account, changes_in(decisions)


def _replay_facts(
    engine: Engine,
    account: Account,
    facts: Iterable[Fact],
    end: int,
    decisions: list[Decision],
    idle: frozenset[int],
) -> None:
    """Apply facts by one version alone, whose deadlines are all that time brings."""
    together: list[Fact] = []
    known, counts = 0, False
    for fact in facts:
        if fact.recorded != known or not together:
            if together and known <= end and (counts or not _is_quiet(account, known)):
                _apply(engine, account, together, known, decisions)
            together, known, counts = [], fact.recorded, False
        together.append(fact)
        counts = counts or id(fact) not in idle
    if together and known <= end and (counts or not _is_quiet(account, known)):
        _apply(engine, account, together, known, decisions)


def _is_quiet(account: Account, t: int) -> bool:
    """Whether nothing is decided up to t, itself included, unless a fact that a test counts becomes known."""
    return account.deadline > t and account.next_leaf > t and account.state.membership.segment is not None


def _apply(
    engine: Engine, account: Account, together: list[Fact], known: int, decisions: list[Decision]
) -> None:
    if account.deadline < known:
        decisions += engine.advance(account, known - 1)
    decided = engine.apply_facts(account, together, known)
    if decided is not UNCHANGED:
        decisions.append(decided)


def backtest(
    program: Program | Timeline,
    facts: Iterable[Fact],
    until: int | None = None,
    progress: Callable[[int], None] | None = None,
    misfits: Counter[str] | None = None,
) -> Iterator[tuple[Account, list[SegmentChange]]]:
    """Yield every account with its changes, in the order of names. A timeline switches definitions on its way.

    `misfits`, if given, collects how many values had another type than the file gives their attribute.
    """
    judge = program if isinstance(program, Timeline) else Engine(program)
    grouped = by_account(order_of_delivery(facts))
    for name in sorted(grouped):
        yield replay_account(judge, name, grouped[name], until)
        if progress is not None:
            progress(len(grouped[name]))
    if misfits is not None:
        misfits.update(judge.misfits)


_recorded: Final = attrgetter("recorded")
