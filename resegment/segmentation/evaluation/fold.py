"""Fold facts into an account: revisions, retractions, duplicates, and what is forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from sys import intern
from typing import Any, Final

from resegment.schemas.fact import Fact
from resegment.schemas.state import KIND_NUMBERS, AccountState, Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import TECHNOLOGIES, Account, History, Inventory, Series
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.reading import apply_types, trim
from resegment.segmentation.evaluation.retention import FIRMOGRAPHIC, TECH, Retention

MAX_OLDER: Final = 100
"""How many ids of replaced revisions a fact remembers. An older revision would lose anyway."""
FEW: Final = 32
"""An account with this many facts or fewer is never pruned."""
MARGIN: Final = 64
"""An account over its limit loses one extra fact for every MARGIN facts of the limit."""
CHANGES_OF_TECH: Final = ("added", "removed")


class Fold:
    """Applies facts to accounts. `touched` collects the numbers of the leaves that a fact can change.

    A fold indexes accounts for one program. By its `retention`, they may keep facts for other programs too.
    """

    def __init__(self, program: Program, retention: Retention | None = None) -> None:
        self.program = program
        self.retention = retention or Retention(program)
        self._few = min(FEW, self.retention.limit)
        self.dropped = 0
        """How many facts were dropped because an account had too many of one kind."""
        self.misfits: Counter[str] = Counter()
        """How many values had another type than the file gives their attribute, by attribute."""

    def open(self, name: str, state: AccountState) -> Account:
        """Index a state. The tests that can read any of its facts are evaluated later."""
        program, types = self.program, self.program.types
        account = Account(name, state, program.blank.copy(), program.never.copy())
        if state.deadline is not None:
            account.deadline = state.deadline
        touched: set[int] = set()
        for entry in state.entries:
            source = entry.source = intern(entry.source)
            account.ids[source, entry.id] = entry
            if entry.older:
                account.ids.update(((source, one), entry) for one in entry.older)
            if entry.record is not None:
                account.records[source, entry.record] = entry
            if entry.kind == FIRMOGRAPHIC and (types or entry.raw):
                entry.data, entry.raw = self._read({**(entry.data or {}), **(entry.raw or {})}, Counter())
            if not entry.retracted:
                self._enter(account, entry, touched)
        touched.update(program.account_leaves)
        if state.entries or touched:
            account.next_leaf = -1
        for leaf in touched:
            account.untils[leaf] = -1
        return account

    def reopen(self, account: Account) -> None:
        """Index an account again, in place, that another fold has opened. Its tests are evaluated later."""
        fresh = self.open(account.name, account.state)
        account.values, account.untils, account.next_leaf = fresh.values, fresh.untils, fresh.next_leaf
        account.ids, account.records, account.room = fresh.ids, fresh.records, fresh.room
        account.series, account.attributes = fresh.series, fresh.attributes
        account.outdate()

    def take(self, account: Account, fact: Fact, now: int, touched: set[int]) -> bool:
        """Apply one fact; return False if it adds nothing to what is known."""
        source, name = intern(fact.source), fact.id
        key = (source, name)
        ids = account.ids
        if key in ids:
            return False
        record = None if fact.record == name else fact.record
        old = account.records.get(key) if record is None else self._revised(account, source, record)
        older: list[str] | None = None
        latest = 0
        if old is not None:
            if (fact.recorded, name) < (old.recorded, old.id):
                old.older = [*(old.older or ()), name][-MAX_OLDER:]
                ids[key] = old
                account.outdate()
                return False
            older = [*(old.older or ()), old.id][-MAX_OLDER:]
            latest = max(old.time, old.latest)
            self._remove(account, old, touched)
        kind = KIND_NUMBERS[fact.kind]
        kept, data = self.retention.fields[kind], fact.data
        if not kept.issuperset(data):
            data = {field: value for field, value in data.items() if field in kept}
        retracted = fact.op == "retract"
        data = trim(data)
        raw: dict[str, Any] | None = None
        if kind == FIRMOGRAPHIC and self.program.types:
            read, raw = self._read(data, self.misfits)
            data = read or {}
        entry = Entry(kind, fact.time, fact.recorded, now, source, name, record, data or None, retracted)
        entry.raw = raw
        if older is not None:
            entry.older, entry.latest = older, latest
        account.add(entry)
        ids[key] = entry
        if older is not None:
            ids.update(((source, one), entry) for one in older)
        if record is not None:
            account.records[source, record] = entry
        if not retracted:
            self._enter(account, entry, touched)
        if len(account.state.entries) > self._few:
            self._bound(account, now, kind, touched)
        return True

    def _read(
        self, data: dict[str, Any], misfits: Counter[str]
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return a snapshot's data by the types of the file, and what they changed of it; None for nothing."""
        read, changed = apply_types(self.program.types, data, misfits)
        return read or None, changed or None

    def _revised(self, account: Account, source: str, record: str) -> Entry | None:
        """Return the fact of a record that is not the id. The first revision may have used the record as its id."""
        found = account.records.get((source, record))
        if found is None:
            found = account.ids.get((source, record))
            if found is not None and (found.record is not None or found.id != record):
                return None
        return found

    def _remove(self, account: Account, entry: Entry, touched: set[int]) -> None:
        if not entry.retracted:
            self._leave(account, entry, touched)
        account.remove(entry)
        source = entry.source
        for one in (entry.id, *(entry.older or ())):
            account.ids.pop((source, one), None)
        if entry.record is not None:
            account.records.pop((source, entry.record), None)

    # The indexes

    def _enter(self, account: Account, entry: Entry, touched: set[int]) -> None:
        """Add a fact to the series and histories that it belongs to."""
        program, kind, data = self.program, entry.kind, entry.data or {}
        for watcher in program.matchers[kind].find(data):
            series = account.series.get(watcher.number)
            if series is None:
                account.series[watcher.number] = Series([entry.time], [entry])
            else:
                series.add(entry)
            touched.update(watcher.leaves)
        if kind == FIRMOGRAPHIC:
            attributes, leaves = account.attributes, program.attribute_leaves
            times, entries = [entry.time], [entry]
            for name in data:
                history = attributes.get(name)
                if history is not None:
                    history.add(entry)
                elif name == TECHNOLOGIES:
                    attributes[name] = Inventory([entry.time], [entry])
                else:
                    attributes[name] = History(times, entries, field=name, shared=True)
                if name in leaves:
                    touched.update(leaves[name])
        elif kind == TECH and (technology := self._technology(data)) is not None:
            inventory = account.attributes.get(TECHNOLOGIES)
            if inventory is None:
                inventory = account.attributes[TECHNOLOGIES] = Inventory()
            # The first fact can make the set known, which changes tests of any name.
            first = not inventory.times or inventory.times[0] > entry.known
            inventory.add(entry)
            if first:
                touched.update(program.attribute_leaves.get(TECHNOLOGIES, ()))
            else:
                touched.update(program.technology_leaves.get(technology, ()))

    def _leave(self, account: Account, entry: Entry, touched: set[int]) -> None:
        """Remove a fact from its series and histories."""
        program, kind, data = self.program, entry.kind, entry.data or {}
        for watcher in program.matchers[kind].find(data):
            account.series[watcher.number].remove(entry)
            touched.update(watcher.leaves)
        names: Iterable[str] = ()
        if kind == FIRMOGRAPHIC:
            names = data
        elif kind == TECH and self._technology(data) is not None:
            names = (TECHNOLOGIES,)
        for name in names:
            account.attributes[name].remove(entry)
            touched.update(program.attribute_leaves.get(name, ()))

    def _technology(self, data: dict[str, Any]) -> Any:
        """Return the technology that a tech fact adds or removes; None if it does neither."""
        if self.program.uses_technologies and data.get("change") in CHANGES_OF_TECH:
            return data.get("technology")
        return None

    # Keeping state bounded

    def _bound(self, account: Account, now: int, kind: int, touched: set[int]) -> None:
        state, retention = account.state, self.retention
        entries = state.entries
        if now - state.pruned > retention.memory // 8:
            state.pruned = now
            for entry in [one for one in entries if retention.is_spent(one, now)]:
                self._remove(account, entry, set())  # no test can count it
        limit = retention.limit
        if len(entries) <= max(limit, account.room):
            return
        counts = Counter(one.kind for one in entries)
        account.room = len(entries) + limit - max(counts.values())
        if counts[kind] > limit:
            same = [one for one in entries if one.kind == kind]
            rank = self._rank(account, kind)
            same.sort(key=lambda one: (rank(one), one.time, one.id))
            spare = [one for one in same if self._is_overwritten(account, one, now)]
            # Drop a few extra, so that a full account does not pay for this with every fact.
            for entry in (spare or same)[: 1 + limit // MARGIN]:
                self._remove(account, entry, touched)
                state.dropped += 1
                self.dropped += 1

    def _rank(self, account: Account, kind: int) -> Callable[[Entry], int]:
        """Return how much a fact is worth keeping: one that no test counts least, the only one of a series most."""
        find, series = self.program.matchers[kind].find, account.series
        latest_only = {one.series for one in self.program.open_groups(kind)}
        keeps_all = kind == FIRMOGRAPHIC or (kind == TECH and self.retention.uses_technologies)
        latest = self._latest_of_groups(account, kind)

        def rank(entry: Entry) -> int:
            if keeps_all:
                return 0
            if entry.retracted:
                return -self.retention.limit
            numbers = [one.number for one in find(entry.data or {})]
            if latest and id(entry) in latest:
                return 0
            sizes = [len(series[number].times) for number in numbers if number not in latest_only]
            return -min(sizes) if sizes else -NEVER

        return rank

    def _latest_of_groups(self, account: Account, kind: int) -> set[int]:
        """Return the facts that say what is open: of other facts, `open` needs none."""
        return {
            id(entry)
            for measure in self.program.open_groups(kind)
            for entry in measure.latest(account, NEVER - 1).values()
        }

    def _is_overwritten(self, account: Account, entry: Entry, now: int) -> bool:
        """Whether dropping the fact leaves every attribute as it is. True for other kinds of facts."""
        if entry.kind != FIRMOGRAPHIC or entry.retracted:
            return True
        return all(account.attributes[name].newest_at(now) is not entry for name in entry.data or ())
