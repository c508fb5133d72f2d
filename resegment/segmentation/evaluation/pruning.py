"""Find the facts that an account can forget: those that count no more, and those beyond what each test can count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from resegment.schemas.fact import KINDS
from resegment.schemas.state import KIND_NUMBERS, Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.groups.groups import Grouper, Groups, group_facts
from resegment.segmentation.evaluation.matcher_index import Grouping
from resegment.segmentation.evaluation.measures.series import TECHNOLOGIES, Series
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.reading import says_the_same
from resegment.segmentation.evaluation.retention import TECH, Retention

UNREAD: Final = 200
"""How many facts of one kind that no test reads are kept. They only guard against older revisions of themselves."""

MAX_TEXT: Final = 200
"""The most characters of the test that names what is dropped."""
Dropped = Counter[str]
"""How many facts were dropped for a limit, by the test that would have counted them."""


@dataclass(slots=True)
class Claims:
    """What the tests say about the facts of an account, which are named by their `id()`."""

    kept: set[int] = field(default_factory=set)
    """Those that a test can count."""
    spent: set[int] = field(default_factory=set)
    """Those that are too old for a test."""
    crowded: set[int] = field(default_factory=set)
    """Those that are more than a test can count."""
    beyond: list[tuple[str, list[Entry]]] = field(default_factory=list)
    """By the test: the facts that are more than it can count."""
    dropped: Dropped = field(default_factory=Counter)


def count_dropped(program: Program, account: Account) -> Dropped:
    """Return how many facts count no more for a limit, by the test: those that were dropped and those that will be."""
    dropped = Counter(account.state.limited.dropped)
    for number, series in account.series.items():
        watcher = program.watchers[number]
        if watcher.counted and series.floor:
            dropped[str(watcher.matcher)[:MAX_TEXT]] += series.floor
    names = {id(history): name for name, history in account.attributes.items()}
    for history in account.histories:
        if history.floor:
            dropped[names[id(history)]] += history.floor
    return dropped


class Pruner:
    """Finds what an account that is indexed for a program can forget, with regard to all programs of a retention."""

    def __init__(self, program: Program, retention: Retention) -> None:
        self.program, self.retention = program, retention
        self._others = [one for one in retention.programs if one is not program]
        grouped = {leaf for one in program.watchers.values() if one.groupings for leaf in one.leaves}
        self.grouped = frozenset(grouped.union(program.attribute_leaves.get(TECHNOLOGIES, ())))
        """The tests that a fact can change which is dropped: of the others, it counts for none."""

    def keep(self, account: Account, now: int) -> tuple[set[int], Dropped]:
        """Return the facts to keep by their `id()`, and how many of the others a limit drops."""
        entries = account.state.entries
        claims = Claims()
        self._claim_series(self.program, account.series, now, claims)
        grouped = [] if account.groups is None else [account.groups]
        for other in self._others:
            self._claim_series(other, _index(other, entries, grouped), now, claims)
        self._claim_attributes(account, now, claims)
        for groups in grouped:
            groups.spell_out(claims.spent)
            groups.spell_out(claims.crowded)
            groups.spread(claims.kept)
        guards, unread = self._sort_rest(entries, now, claims)
        for kind, facts in guards.items():
            facts.sort(key=_recency)
            _cut(facts, self.retention.limit, f"corrections of {KINDS[kind]} facts", claims)
        for kind, facts in unread.items():
            facts.sort(key=_order)
            _cut(facts, min(UNREAD, self.retention.limit), f"{KINDS[kind]} facts that no test reads", claims)
        for groups in grouped:
            groups.spread(claims.kept)
        for text, facts in claims.beyond:
            if beyond := sum(1 for one in facts if id(one) not in claims.kept):
                claims.dropped[text] += beyond
        return claims.kept, claims.dropped

    def _claim_series(
        self, program: Program, indexed: Mapping[int, Series], now: int, claims: Claims
    ) -> None:
        limit, memory = self.retention.limit, self.retention.memory
        for number, series in indexed.items():
            watcher, entries = program.watchers[number], series.entries
            floor = low = max(0, len(entries) - limit)
            if watcher.closes != NEVER:
                lasting = (
                    max(watcher.closes, memory) + self.retention.slack[KIND_NUMBERS[watcher.matcher.kind]]
                )
                low = max(low, series.reach(now - lasting))
            claims.kept.update(map(id, entries[low:] if low else entries))
            if low:
                claims.spent.update(map(id, entries[floor:low]))
            if floor:
                claims.crowded.update(map(id, entries[:floor]))
                if watcher.counted:
                    claims.beyond.append((str(watcher.matcher), entries[:floor]))
                for grouping in watcher.groupings:
                    _claim_groups(entries, now, grouping, limit, str(watcher.matcher), claims)

    def _claim_attributes(self, account: Account, now: int, claims: Claims) -> None:
        """Claim the snapshots that give attributes their values, and what says which technologies there are."""
        limit, before = self.retention.limit, now - self.retention.looks_back
        names = {id(history): name for name, history in account.attributes.items()}
        for history in account.histories:
            name, entries = names[id(history)], history.entries
            claims.kept.update(map(id, _leave_out_repeats(entries[-limit:], before)))
            if len(entries) > limit:
                claims.crowded.update(map(id, entries[:-limit]))
                if name != TECHNOLOGIES:
                    claims.beyond.append((name, entries[:-limit]))
                if name == TECHNOLOGIES:
                    _claim_groups(entries, now, _TECHNOLOGIES, limit, name, claims)
        if self.retention.uses_technologies and not self.program.uses_technologies:
            of_tech = sorted(
                (one for one in account.state.entries if one.kind == TECH and not one.retracted), key=_order
            )
            claims.kept.update(map(id, of_tech[-limit:]))
            _claim_groups(of_tech, now, _TECHNOLOGIES, limit, TECHNOLOGIES, claims)

    def _sort_rest(
        self, entries: Iterable[Entry], now: int, claims: Claims
    ) -> tuple[dict[int, list[Entry]], dict[int, list[Entry]]]:
        """Return by kind what guards against older revisions, and what no test reads; keep what is spent but young."""
        kept, memory = claims.kept, self.retention.memory
        guards: dict[int, list[Entry]] = {}
        unread: dict[int, list[Entry]] = {}
        for entry in entries:
            name = id(entry)
            if name in kept:
                continue
            young = entry.known + memory > now
            if entry.retracted or entry.older:
                if young or not self.retention.is_spent(entry, now):
                    guards.setdefault(entry.kind, []).append(entry)
            elif name in claims.spent:
                if young:
                    kept.add(name)
            elif name not in claims.crowded and (
                young or entry.time + memory + self.retention.slack[entry.kind] > now
            ):
                unread.setdefault(entry.kind, []).append(entry)
        return guards, unread


def _leave_out_repeats(entries: Sequence[Entry], before: int) -> Iterator[Entry]:
    """Leave out snapshots of before an instant that say the same as the one before and the one after.

    Whichever of them is withdrawn or corrected later, no test that looks back to that instant tells a difference.
    """
    last = len(entries) - 1
    for place, entry in enumerate(entries):
        if (
            0 < place < last
            and entries[place + 1].time <= before
            and entry.known <= before
            and _repeats(entry, entries[place - 1])
            and _repeats(entries[place + 1], entry)
        ):
            continue
        yield entry


def _repeats(entry: Entry, other: Entry) -> bool:
    return says_the_same(entry.data, other.data) and says_the_same(entry.raw, other.raw)


class _Technologies:
    """Groups what is said about technologies: snapshots are one group, and so are the facts about each technology."""

    def group_of(self, entry: Entry) -> str | None:
        data = entry.data or {}
        return "" if TECHNOLOGIES in data else f"{data.get('technology')}"

    def matters(self, entry: Entry) -> bool:
        data = entry.data or {}
        return TECHNOLOGIES in data or data.get("change") == "added"


_TECHNOLOGIES: Final = _Technologies()


def _claim_groups(
    entries: Sequence[Entry], now: int, grouping: Grouping, limit: int, text: str, claims: Claims
) -> None:
    """Claim the newest fact of each group: first of those that matter, then of those that are newest."""
    latest: dict[str, Entry] = {}
    for entry in entries:
        if entry.time > now:
            break
        if (group := grouping.group_of(entry)) is not None:
            latest.pop(group, None)
            latest[group] = entry
    found = list(latest.values())
    if len(found) > limit:
        found.sort(key=grouping.matters)
        lost = found[:-limit]
        if beyond := sum(1 for one in lost if grouping.matters(one) and id(one) not in claims.kept):
            claims.dropped[text] += beyond
        found = found[-limit:]
    claims.kept.update(map(id, found))


def _cut(facts: list[Entry], limit: int, text: str, claims: Claims) -> None:
    """Keep the last of some facts."""
    if len(facts) > limit:
        claims.dropped[text] += len(facts) - limit
        facts = facts[-limit:]
    claims.kept.update(map(id, facts))


def _index(program: Program, entries: Iterable[Entry], grouped: list[Groups]) -> dict[int, Series]:
    """Return the series of a program for which the account is not indexed. Its groups are added to `grouped`."""
    found: dict[int, list[Entry]] = {}
    standing = [one for one in entries if not one.retracted]
    if program.definition.same:
        groups, standing = group_facts(Grouper(program.definition.same), standing)
        grouped.append(groups)
    for entry in standing:
        for watcher in program.matchers[entry.kind].find(entry.data or {}):
            found.setdefault(watcher.number, []).append(entry)
    for facts in found.values():
        facts.sort(key=_order)
    return {number: Series(facts) for number, facts in found.items()}


def _recency(entry: Entry) -> tuple[int, str, str]:
    return entry.recorded, entry.id, entry.source


def _order(entry: Entry) -> tuple[int, str, str]:
    return entry.time, entry.id, entry.source
