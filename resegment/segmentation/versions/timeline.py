"""Judge accounts by the versions of the definition, each from its instant on."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from resegment.errors import TransientError
from resegment.schemas.change import Cause
from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import open_log
from resegment.schemas.privacy.envelope import is_sealed
from resegment.schemas.privacy.facts import SEALED
from resegment.schemas.state import AccountState
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import UNCHANGED, Decision, Engine
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.evaluation.switch import Switch
from resegment.segmentation.language.privacy import drop_fields
from resegment.segmentation.versions.ending import clear_account, end_account
from resegment.segmentation.versions.era import Era
from resegment.segmentation.versions.folding import conform, join_entries, remembered

_FIRST: Final = 0
"""The version in the state of accounts from before versions had numbers."""


class UnknownVersion(TransientError):
    """An account was judged by a version that this process has not read yet."""

    def __init__(self, account: str, version: int) -> None:
        super().__init__(
            f"{account} was last judged by version {version} of the segments file, which is not known here yet",
            remedy="It is read from the topic `definitions`. If it does not come, rebuild the partition.",
        )
        self.account, self.version = account, version


class Timeline:
    """The versions of a definition in the order in which they judge. Each account is switched when it is next touched.

    Deadlines before the instant of a version are decided by the version before; at the instant, the account is judged
    once, with the facts of that instant. Accounts can be switched in any order, and across several versions at once.
    """

    def __init__(
        self,
        eras: Sequence[Era],
        retention: Retention | None = None,
        *,
        counted: list[Engine] | None = None,
    ) -> None:
        """`retention` is kept by all versions in addition to what they need; `counted` engines have counted drops."""
        _check_order(eras)
        self.eras: tuple[Era, ...] = tuple(eras)
        self.retention = retention
        self._last = len(eras) - 1
        self._starts = [era.at for era in eras]
        self._engines: list[Engine | None] = [None] * len(eras)
        self._switches: list[Switch | None] = [None] * len(eras)
        self._counted: list[Engine] = [] if counted is None else counted
        ends = [*self._starts[1:], NEVER]
        self._places = {era.number: place for place, era in enumerate(self.eras)}
        self._places.setdefault(_FIRST, 0)
        self._spans = {
            number: (self._starts[place], ends[place], place) for number, place in self._places.items()
        }

    def _engine(self, place: int) -> Engine:
        """Return the engine of an era; it keeps also what later eras need, so that no fact has to be found again."""
        engine = self._engines[place]
        if engine is None:
            engine, kept = self.eras[place].engine, self._kept_from(place)
            if set(kept.programs) != set(engine.retention.programs):
                engine = Engine(engine.program, kept)
            self._engines[place] = engine
            if engine not in self._counted:
                self._counted.append(engine)
        return engine

    def _switch(self, place: int) -> Switch | None:
        """Return what an era means to the accounts of the one before; None for the first."""
        if self._switches[place] is None and place:
            before = self.eras[place - 1].definition
            self._switches[place] = self.eras[place].switch_from(before)
        return self._switches[place]

    def _kept_from(self, place: int) -> Retention:
        kept = Retention(*dict.fromkeys(era.engine.program for era in self.eras[place:]))
        for program in self.retention.programs if self.retention is not None else ():
            kept = kept.extend(program)
        return kept

    # Other timelines

    @property
    def newest(self) -> Era:
        return self.eras[-1]

    @property
    def sole(self) -> Engine | None:
        """The engine that judges at every instant, if there is one version only."""
        return self._engine(self._last) if self._last == 0 else None

    def extend(self, era: Era) -> Timeline:
        """Return a timeline with one more version. Accounts that this one has opened can be used with it."""
        return Timeline((*self.eras, era), self.retention, counted=self._counted)

    def retaining(self, retention: Retention | None) -> Timeline:
        """Return a timeline whose accounts keep also what `retention` says; None: only what the versions need."""
        return Timeline(self.eras, retention, counted=self._counted)

    def renewed(self) -> Timeline:
        """Return the same versions with engines of their own: what they count is not counted here."""
        eras = [replace(era, engine=Engine(era.engine.program)) for era in self.eras]
        return Timeline(eras, self.retention)

    def at(self, t: int) -> Era:
        """Return the era that judges at t."""
        if not self._last:
            return self.eras[0]
        return self.eras[self._place_at(t)]

    def receive(self, fact: Fact) -> Fact:
        """Return the fact as the version of the instant at which it became known keeps it; a sealed one stays as it is."""
        dropped = self.at(fact.recorded).definition.dropped
        return drop_fields(fact, dropped) if dropped and not is_sealed(fact.data.get(SEALED)) else fact

    def _place_at(self, t: int) -> int:
        return max(0, bisect_right(self._starts, t) - 1)

    # What happened so far

    @property
    def dropped(self) -> Mapping[str, int]:
        """Return how many facts count no more because an account has too many that match a test, by the test."""
        return _add(engine.dropped for engine in self._counted)

    @property
    def crowded(self) -> Mapping[str, int]:
        """Return how many accounts came to have too many facts that match a test, by the test."""
        return _add(engine.crowded for engine in self._counted)

    @property
    def misfits(self) -> Mapping[str, int]:
        """Return how many values had another type than the file gives their attribute, by attribute."""
        return _add(engine.misfits for engine in self._counted)

    @property
    def repeated(self) -> Mapping[str, int]:
        """Return how many events had the id of an earlier one and said something else, by source."""
        return _add(engine.repeated for engine in self._counted)

    # From state to account and back

    def open(self, name: str, state: AccountState | None = None) -> Account:
        """Index a stored state for the version that judged it last; without one, return a new account."""
        if state is None:
            return self._engine(self._last).open(name, AccountState(version=self.eras[-1].number))
        return self._span(name, state)[2].open(name, state)

    def load(self, name: str, value: bytes | None) -> Account:
        """Decode and index a stored account; without one, return a new account. Raises msgspec.DecodeError."""
        if value is None:
            return self.open(name)
        state, log = open_log(value)
        account = self.open(name, state)
        account.log = log
        return account

    def close(self, account: Account) -> AccountState:
        """Return the state to store."""
        return self._engine(self._last).close(account)

    def encode(self, account: Account) -> bytes:
        """Return the log of the whole state."""
        return self._engine(self._last).encode(account)

    def join_folded(self, account: Account, folded: AccountState) -> None:
        """Give an account the facts that were folded in from the log for the newest version, to be used at its switch."""
        account.folded = folded

    # Facts and time

    def apply_facts(
        self, account: Account, facts: Sequence[Fact], now: int, decided_at: int | None = None
    ) -> list[Decision]:
        """Apply facts that become known at `now`, all at once, and decide; first switch an account that is behind.

        Call `advance` first, up to the millisecond before `now`.
        """
        start, end, engine = self._span(account.name, account.state)
        if start < now < end:
            return [engine.apply_facts(account, facts, now, decided_at)]
        return self._apply_at_border(account, facts, now, decided_at)

    def advance(self, account: Account, until: int, decided_at: int | None = None) -> list[Decision]:
        """Decide every deadline up to `until`, itself included, and switch the account as its instants come.

        Decisions that change nothing are left out.
        """
        _, end, engine = self._span(account.name, account.state)
        if until < end:
            return engine.advance(account, until, decided_at)
        return self._catch_up(account, until, decided_at)

    def end(self, account: Account, now: int, cause: Cause, decided_at: int) -> list[Decision]:
        """Forget all facts of an account and take it out of every segment, after the deadlines before `now`."""
        decisions = self.advance(account, now - 1, decided_at)
        ended = end_account(self._span(account.name, account.state)[2], account, now, cause, decided_at)
        return decisions if ended is UNCHANGED else [*decisions, ended]

    def empty(self, account: Account) -> None:
        """Forget all facts of an account, and decide nothing: no deadline comes until it has facts again."""
        clear_account(self._span(account.name, account.state)[2], account)
        account.deadline = NEVER

    def refill(self, account: Account, facts: Sequence[Fact], now: int, decided_at: int) -> list[Decision]:
        """Decide from these facts alone, in place of all that the account knows, after the deadlines before `now`."""
        decisions = self.advance(account, now - 1, decided_at)
        clear_account(self._span(account.name, account.state)[2], account)
        return [*decisions, *self.apply_facts(account, facts, now, decided_at)]

    def open_switched(
        self, name: str, state: AccountState, decided_at: int | None = None
    ) -> tuple[Account, list[Decision]] | None:
        """Index a stored state for the newest version at once and judge it at that version's instant.

        None where something else comes before: a deadline, another version, or facts to fold in. Then it takes `open`
        and `advance`, which index the account twice.
        """
        era, engine, switch = self.eras[-1], self._engine(self._last), self._switch(self._last)
        _, end, _ = self._span(name, state)
        due = NEVER if state.deadline is None else state.deadline
        if switch is None or not era.judges or end != era.at or due < end or state.membership.segment is None:
            return None
        conform(state.entries, engine.retention)
        account = engine.open(name, state)
        decided = engine.switch(account, (), era.at, switch, decided_at)
        return account, [] if decided is UNCHANGED else [decided]

    def is_behind(self, account: Account, clock: int) -> bool:
        """Whether a version that every account has to be switched to has come since the account's own."""
        return self.is_version_behind(account.state.version, clock)

    def is_version_behind(self, version: int, clock: int) -> bool:
        """Whether accounts of this version have to be switched to a later one at this clock."""
        place = self._places.get(version)
        if place is None:
            return False
        return any(era.works_off and era.at <= clock for era in self.eras[place + 1 :])

    def _span(self, name: str, state: AccountState) -> tuple[int, int, Engine]:
        """Return from when to when the version of an account judges, and its engine."""
        try:
            start, end, place = self._spans[state.version]
        except KeyError:
            raise UnknownVersion(name, state.version) from None
        return start, end, self._engines[place] or self._engine(place)

    def _apply_at_border(
        self, account: Account, facts: Sequence[Fact], now: int, decided_at: int | None
    ) -> list[Decision]:
        """Apply facts to an account that is behind, that is new, or at the instant at which its version took over."""
        if account.state.membership.segment is None:
            return [self._place(account, now).apply_facts(account, facts, now, decided_at)]
        decisions = self.advance(account, now - 1, decided_at)
        place = self._places[account.state.version] + 1
        if place < len(self.eras) and self.eras[place].at == now:
            return [*decisions, *self._enter(account, place, facts, decided_at)]
        place -= 1
        engine, switch = self._engine(place), self._switch(place)
        before = account.state.before
        if (
            switch is None
            or switch.gates_only
            or not self.eras[place].judges
            or self.eras[place].at != now
            or (account.state.at == now and before is not None and before.segment is None)
        ):
            return [*decisions, engine.apply_facts(account, facts, now, decided_at)]
        return [*decisions, engine.switch(account, facts, now, switch, decided_at)]

    def _place(self, account: Account, now: int) -> Engine:
        """Index a new account for the version of now, the only one that it knows."""
        place = self._place_at(now)
        if self._places[account.state.version] != place:
            self._engine(place).reopen(account)
        account.state.version = self.eras[place].number
        return self._engine(place)

    def _catch_up(self, account: Account, until: int, decided_at: int | None) -> list[Decision]:
        decisions: list[Decision] = []
        place = self._places[account.state.version]
        if account.state.membership.segment is None:
            return decisions
        while place + 1 < len(self.eras) and self.eras[place + 1].at <= until:
            place += 1
            decisions += self._engine(place - 1).advance(account, self.eras[place].at - 1, decided_at)
            decisions += self._enter(account, place, (), decided_at)
        return decisions + self._engine(place).advance(account, until, decided_at)

    def _enter(
        self, account: Account, place: int, facts: Sequence[Fact], decided_at: int | None
    ) -> list[Decision]:
        """Switch an account to the next era, at its instant."""
        era, engine, switch = self.eras[place], self._engine(place), self._switch(place)
        assert switch is not None
        state = account.state
        joins = era is self.eras[-1] and account.folded is not None
        if joins and account.folded is not None:
            state.entries = join_entries(state.entries, remembered(account.folded.entries, state.identity))
            account.folded = None
            account.outdate()
        if conform(state.entries, engine.retention):
            account.outdate()
        engine.reopen(account)
        if joins:
            engine.forget(account, era.at)  # of either side it may have as many facts as one account can keep
        if era.judges:
            decided = engine.switch(account, facts, era.at, switch, decided_at)
            return [] if decided is UNCHANGED else [decided]
        state.version = era.number
        return [engine.apply_facts(account, facts, era.at, decided_at)] if facts else []


def fold_into(
    engine: Engine, name: str, folded: AccountState | None, groups: Iterable[tuple[int, Sequence[Fact]]]
) -> AccountState:
    """Return the state with facts from the log, which become known at the given instants; nothing is decided."""
    account = engine.open(name, AccountState() if folded is None else folded)
    for now, facts in groups:
        engine.fold_facts(account, facts, now)
    return account.state


def _check_order(eras: Sequence[Era]) -> None:
    if not eras:
        raise ValueError("a timeline needs an era")
    for before, era in pairwise(eras):
        if era.number <= before.number or era.at <= before.at:
            raise ValueError(
                f"version {era.number} at {era.at} does not come after version {before.number} at {before.at}"
            )


def _add(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total
