"""Fold facts into an account: revisions, retractions, duplicates, and what is forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from sys import intern
from typing import Any, Final

from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import MAX_FACT
from resegment.schemas.state import KIND_NUMBERS, AccountState, Entry, Limited
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.measures.series import TECHNOLOGIES, History, Inventory, Series
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.pruning import MAX_TEXT, Pruner
from resegment.segmentation.evaluation.reading import apply_types, says_the_same, share, trim
from resegment.segmentation.evaluation.retention import FIRMOGRAPHIC, TECH, Retention

MAX_OLDER: Final = 100
"""How many ids of replaced revisions a fact remembers. An older revision would lose anyway."""
FEW: Final = 16
"""An account with this many facts or fewer is never pruned."""
SOME: Final = 4
"""Facts of an account with more than that share what they can: to look for it costs time, too."""
PART: Final = 32
"""An account is pruned for old age where one fact in so many may be too old."""
MARGIN: Final = 64
"""So many facts more, or half as many again if that is more, lead to an account being pruned again."""
MOST_SOURCES: Final = 200
"""Of so many sources, repeated ids are counted apart."""
OTHERS: Final = "other sources"
Typed = dict[tuple[int, int], tuple[Any, Any, Any, Any]]
"""By the `id()` of data and raw values: these, and what they are by the types of the file."""
CHANGES_OF_TECH: Final = ("added", "removed")


class Fold:
    """Applies facts to accounts. `touched` collects the numbers of the leaves that a fact can change.

    A fold indexes accounts for one program. By its `retention`, they may keep facts for other programs too.
    """

    def __init__(self, program: Program, retention: Retention | None = None) -> None:
        self.program = program
        self.retention = retention or Retention(program)
        self._bytes = program.limits.account_bytes
        self._near = self._bytes - MAX_FACT
        """From so many bytes on, one more fact may bring an account beyond the bound."""
        self._few = min(FEW, self.retention.limit)
        self._pruner = Pruner(program, self.retention)
        self.dropped: Counter[str] = Counter()
        """How many facts count no more because an account has too many that match a test, by the test."""
        self.crowded: Counter[str] = Counter()
        """How many accounts came to have too many facts that match a test, by the test."""
        self.misfits: Counter[str] = Counter()
        """How many values had another type than the file gives their attribute, by attribute."""
        self.repeated: Counter[str] = Counter()
        """How many events had the id of an earlier one and said something else, by source."""

    def open(self, name: str, state: AccountState) -> Account:
        """Index a state. The tests that can read any of its facts are evaluated later."""
        program = self.program
        account = Account(name, state, program.blank.copy(), program.never.copy(), -1)
        if state.deadline is not None:
            account.deadline = state.deadline
        touched = set(program.account_leaves)
        if state.entries:
            self._enter_stored(account, touched)
        untils = account.untils
        for leaf in touched:
            untils[leaf] = -1
        return account

    def _enter_stored(self, account: Account, touched: set[int]) -> None:
        """Add the facts of a stored state to the indexes."""
        types, entries = self.program.types, account.state.entries
        typed: Typed = {}
        many = len(entries) > SOME
        for entry in entries:
            account.remember(entry)
            entry.source = intern(entry.source)
            if many:
                if entry.recorded == entry.time:
                    entry.recorded = entry.time
                if entry.known == entry.recorded:
                    entry.known = entry.recorded  # the same object, not another one
                if entry.kind != FIRMOGRAPHIC:
                    entry.data = share(entry.data)
            if entry.kind == FIRMOGRAPHIC and (types or entry.raw):
                self._type(entry, typed)
            if not entry.retracted:
                self._enter(account, entry, touched)

    def reopen(self, account: Account) -> None:
        """Index an account again, in place, that another fold has opened. Its tests are evaluated later."""
        account.reindex(self.open(account.name, account.state))
        if self.program.types or any(entry.raw for entry in account.state.entries):
            account.outdate()  # snapshots may have been read by other types

    def take(self, account: Account, fact: Fact, now: int, touched: set[int]) -> bool:
        """Apply one fact; return False if it adds nothing to what is known."""
        source, name, entries = intern(fact.source), fact.id, account.state.entries
        record = None if fact.record == name else fact.record
        old: Entry | None = None
        if account.may_know(name) or (record is not None and account.may_know(record)):
            if (held := account.holder(source, name)) is not None:
                if held.id == name and _says_otherwise(held, fact):
                    self.repeated[source if len(self.repeated) < MOST_SOURCES else OTHERS] += 1
                return False
            old = (
                account.of_record(source, name) if record is None else self._revised(account, source, record)
            )
            if old is not None and (fact.recorded, name) < (old.recorded, old.id):
                old.older = [*(old.older or ()), name][-MAX_OLDER:]
                account.note(old)
                return False
        entry = self._make_entry(fact, source, record, now, old)
        if entry.kind != FIRMOGRAPHIC:
            if len(entries) > SOME:
                entry.data = share(entry.data)
        elif entry.data and account.attributes:
            self._share(account, entry)
        if account.log.size > self._near and not self._has_room(account, entry, old, now, touched):
            account.refused = {*(account.refused or ()), (source, name)}
            return False
        if old is not None and account.holder(source, old.id) is old:
            self._remove(account, old, touched)
        account.add(entry)
        if not entry.retracted:
            self._enter(account, entry, touched)
        state = account.state
        size = len(entries)
        if size > self._few and (size > state.limited.room or now >= state.pruned):
            self._prune(account, now, touched)
        return True

    def _type(self, entry: Entry, typed: Typed) -> None:
        """Read a stored snapshot by the types of the file. What snapshots share, they share afterwards too."""
        key = id(entry.data), id(entry.raw)
        if key not in typed:
            given = {**(entry.data or {}), **(entry.raw or {})}
            typed[key] = entry.data, entry.raw, *self._read(given, Counter())
        _, _, entry.data, entry.raw = typed[key]

    def _share(self, account: Account, entry: Entry) -> None:
        """Let a snapshot that says the same as one of the newest ones share its data."""
        history = account.attributes.get(next(iter(entry.data or ())))
        for other in history.entries[:-4:-1] if history is not None else ():
            if says_the_same(entry.data, other.data) and says_the_same(entry.raw, other.raw):
                entry.data, entry.raw = other.data, other.raw
                return

    def _make_entry(self, fact: Fact, source: str, record: str | None, now: int, old: Entry | None) -> Entry:
        """Return what is remembered of a fact, which replaces an older revision."""
        kind = KIND_NUMBERS[fact.kind]
        kept, data = self.retention.fields[kind], fact.data
        if not kept.issuperset(data):
            data = {field: value for field, value in data.items() if field in kept}
        data = trim(data)
        raw: dict[str, Any] | None = None
        if kind == FIRMOGRAPHIC and self.program.types:
            read, raw = self._read(data, self.misfits)
            data = read or {}
        retracted = fact.op == "retract"
        entry = Entry(kind, fact.time, fact.recorded, now, source, fact.id, record, data or None, retracted)
        entry.raw = raw
        if old is not None:
            entry.older = [*(old.older or ()), old.id][-MAX_OLDER:]
            entry.latest = max(old.time, old.latest)
        return entry

    def _read(
        self, data: dict[str, Any], misfits: Counter[str]
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return a snapshot's data by the types of the file, and what they changed of it; None for nothing."""
        read, changed = apply_types(self.program.types, data, misfits)
        return read or None, changed or None

    def _revised(self, account: Account, source: str, record: str) -> Entry | None:
        """Return the fact of a record that is not the id. The first revision may have used the record as its id."""
        found = account.of_record(source, record)
        if found is None:
            found = account.holder(source, record)
            if found is not None and (found.record is not None or found.id != record):
                return None
        return found

    def _remove(self, account: Account, entry: Entry, touched: set[int]) -> None:
        if not entry.retracted:
            self._leave(account, entry, touched)
        account.remove(entry)

    # The indexes

    def _enter(self, account: Account, entry: Entry, touched: set[int]) -> None:
        """Add a fact to the series and histories that it belongs to."""
        program, kind, data, limit = self.program, entry.kind, entry.data or {}, self.retention.limit
        for watcher in program.matchers[kind].find(data):
            series = account.series.get(watcher.number)
            if series is None:
                account.series[watcher.number] = Series([entry], limit)
            else:
                series.add(entry)
            touched.update(watcher.leaves)
        if kind == FIRMOGRAPHIC:
            self._enter_snapshot(account, entry, touched)
        elif kind == TECH and (technology := self._technology(data)) is not None:
            inventory = account.attributes.get(TECHNOLOGIES)
            if inventory is None:
                inventory = account.attributes[TECHNOLOGIES] = Inventory([])
            # The first fact can make the set known, which changes tests of any name.
            first = not inventory.entries or inventory.entries[0].time > entry.known
            inventory.add(entry)
            if first:
                touched.update(program.attribute_leaves.get(TECHNOLOGIES, ()))
            else:
                touched.update(program.technology_leaves.get(technology, ()))

    def _enter_snapshot(self, account: Account, entry: Entry, touched: set[int]) -> None:
        """Add a snapshot to the histories of its attributes. Attributes that the same snapshots carry share one."""
        attributes, names = account.attributes, entry.data or {}
        self._touch(account, names, touched)
        if not attributes and names:
            first = History([entry], self.retention.limit, len(names))
            account.attributes = dict.fromkeys(names, first)
            if TECHNOLOGIES in names:
                first.users -= 1
                account.attributes[TECHNOLOGIES] = Inventory([entry])
            return
        fresh: History | None = None
        held: dict[int, list[str]] = {}
        for name in names:
            history = attributes.get(name)
            if name == TECHNOLOGIES:
                if history is None:
                    history = attributes[name] = Inventory([])
                history.add(entry)
            elif history is not None:
                held.setdefault(id(history), []).append(name)
            else:
                if fresh is None:
                    fresh = History([entry], self.retention.limit, 0)
                fresh.users += 1
                attributes[name] = fresh
        for together in held.values():
            history = attributes[together[0]]
            if isinstance(history, History) and len(together) < history.users:
                history = history.part(len(together))
                attributes.update(dict.fromkeys(together, history))
            history.add(entry)

    def _touch(self, account: Account, names: Iterable[str], touched: set[int]) -> None:
        """Collect the leaves that attributes can change; of an opened account, all tests of attributes are evaluated."""
        leaves = (
            self.program.other_attribute_leaves if account.next_leaf < 0 else self.program.attribute_leaves
        )
        if leaves:
            for name in names:
                if name in leaves:
                    touched.update(leaves[name])

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
        for history in {id(one): one for one in map(account.attributes.__getitem__, names)}.values():
            history.remove(entry)
        for name in names:
            touched.update(program.attribute_leaves.get(name, ()))

    def _technology(self, data: dict[str, Any]) -> Any:
        """Return the technology that a tech fact adds or removes; None if it does neither."""
        if self.program.uses_technologies and data.get("change") in CHANGES_OF_TECH:
            return data.get("technology")
        return None

    # Keeping state bounded

    def _has_room(
        self, account: Account, entry: Entry, old: Entry | None, now: int, touched: set[int]
    ) -> bool:
        """Return whether the account may take the fact in place of an older revision; forget first what no test counts."""
        if account.fits(entry, old, self._bytes):
            return True
        state = account.state
        if now < state.pruned and len(state.entries) <= state.limited.room:
            return False
        self._prune(account, now, touched)
        return account.fits(entry, old, self._bytes)

    def forget(self, account: Account, now: int) -> None:
        """Forget what no test can count, and facts beyond the limits."""
        if len(account.state.entries) > self._few:
            self._prune(account, now, set())

    def _prune(self, account: Account, now: int, touched: set[int]) -> None:
        """Forget what no test can count, and say when to look again: not before there is much to forget."""
        state, memory = account.state, self.retention.memory
        entries = state.entries
        kept, dropped = self._pruner.keep(account, now)
        before, size = len(entries), len(kept)
        if size < before:
            account.keep(kept)
        if dropped:
            touched.update(self._pruner.grouped)
            for text, number in dropped.items():
                self._drop(account, text, number)
        margin = min(MARGIN, self.retention.limit)
        room = size + max(margin, size * margin // (2 * MARGIN) if margin else 0)
        state.limited = Limited(room, state.limited.dropped)
        ripe = state.entries[size // PART].known + memory if size else 0
        if ripe > now or (before - size) * PART >= before:
            state.pruned = max(ripe, now + memory // 8)
        else:
            state.pruned = now + memory * PART

    def _drop(self, account: Account, text: str, number: int = 1) -> None:
        """Count facts that are dropped for a limit."""
        text = text[:MAX_TEXT]
        state = account.state
        state.dropped += number
        before = state.limited.dropped
        state.limited = Limited(state.limited.room, {**before, text: before.get(text, 0) + number})
        self.dropped[text] += number
        self.crowded[text] += text not in before


def _says_otherwise(held: Entry, fact: Fact) -> bool:
    """Whether an event contradicts what is kept of an earlier one with its id."""
    if held.retracted != (fact.op == "retract") or KIND_NUMBERS[fact.kind] != held.kind:
        return True
    kept = {**(held.data or {}), **(held.raw or {})}
    data = trim(fact.data)
    return any(name not in data or data[name] != value for name, value in kept.items())
