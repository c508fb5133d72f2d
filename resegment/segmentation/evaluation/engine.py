"""Decide the segment of an account: `(account, facts, now) -> Decision`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mypy_extensions import mypyc_attr

from resegment.schemas.change import Cause, GateChange, SegmentChange, identify_change
from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import encode_state, open_log
from resegment.schemas.state import AccountState, Membership
from resegment.schemas.times import HORIZON, NEVER, format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.evidence import encode_value, give_reason
from resegment.segmentation.evaluation.groups.fold import fold_for
from resegment.segmentation.evaluation.leaves.absence import find_absent
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.evaluation.switch import Switch

MAX_CAUSES: Final = 20
"""How many event ids a change names as its cause."""


@mypyc_attr(acyclic=True)
class Decision:
    """What one evaluation decided: a move to another segment, or other gates that hold, or neither.

    A segment change carries the gates that hold, so a gate change comes only without one.
    """

    __slots__ = ("change", "gate_change")

    def __init__(self, change: SegmentChange | None = None, gate_change: GateChange | None = None) -> None:
        self.change, self.gate_change = change, gate_change


UNCHANGED: Final = Decision()
"""The decision that the account stays as it is."""


class Engine:
    """Evaluates accounts by one program. By its `retention`, they may keep facts for other programs too."""

    def __init__(self, program: Program, retention: Retention | None = None) -> None:
        self.program = program
        self._fold = fold_for(program, retention)
        self.retention = self._fold.retention

    @property
    def dropped(self) -> Mapping[str, int]:
        """Return how many facts count no more because an account has too many that match a test, by the test."""
        return self._fold.dropped

    @property
    def crowded(self) -> Mapping[str, int]:
        """Return how many accounts came to have too many facts that match a test, by the test."""
        return self._fold.crowded

    @property
    def misfits(self) -> Mapping[str, int]:
        """Return how many values had another type than the file gives their attribute, by attribute."""
        return self._fold.misfits

    @property
    def repeated(self) -> Mapping[str, int]:
        """Return how many events had the id of an earlier one and said something else, by source."""
        return self._fold.repeated

    # From state to account and back

    def open(self, name: str, state: AccountState | None = None) -> Account:
        """Index a stored state; without one, return a new account."""
        return self._fold.open(name, state or AccountState())

    def reopen(self, account: Account) -> None:
        """Index an account again, in place, that another engine has opened."""
        self._fold.reopen(account)

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
        return account.close()

    def encode(self, account: Account) -> bytes:
        """Return the log of the whole state."""
        return encode_state(account.close())

    # Facts and time

    def apply_facts(
        self, account: Account, facts: Sequence[Fact], now: int, decided_at: int | None = None
    ) -> Decision:
        """Apply facts that become known at `now`, all at once, and decide.

        Call `advance` first, up to the millisecond before `now`.
        """
        touched: set[int] = set()
        fold = self._fold
        events = [fact.id for fact in facts if fold.take(account, fact, now, touched)]
        if account.state.membership.segment is None and facts:
            events = events or [facts[0].id]
        if not self._refresh(account, now, touched) and account.state.membership.segment is not None:
            return UNCHANGED
        cause = Cause(events=tuple(events[:MAX_CAUSES]))
        return self._decide(account, now, cause, now if decided_at is None else decided_at)

    def advance(self, account: Account, until: int, decided_at: int | None = None) -> list[Decision]:
        """Decide every deadline up to `until`, itself included, each at its own instant.

        Decisions that change nothing are left out.
        """
        decisions: list[Decision] = []
        while (at := account.deadline) <= until:
            self._refresh(account, at, ())
            cause = Cause(deadline=format_instant(at))
            decision = self._decide(account, at, cause, at if decided_at is None else decided_at)
            if decision is not UNCHANGED:
                decisions.append(decision)
            if account.deadline <= at:
                raise AssertionError(f"{account.name}: the deadline at {at} does not move on")
        return decisions

    def fold_facts(self, account: Account, facts: Iterable[Fact], now: int) -> None:
        """Apply facts that become known at `now`, and decide nothing."""
        touched: set[int] = set()
        for fact in facts:
            self._fold.take(account, fact, now, touched)
        for index in touched:
            account.untils[index] = account.next_leaf = -1

    def forget(self, account: Account, now: int) -> None:
        """Forget what no test can count, and facts beyond the limits."""
        self._fold.forget(account, now)

    def switch(
        self, account: Account, facts: Sequence[Fact], t: int, switch: Switch, decided_at: int | None = None
    ) -> Decision:
        """Judge an account at t, the instant at which this engine's version takes over, with the facts of t.

        The account is indexed for this engine, and the version before has decided every deadline before t. Facts of t
        that arrive later are applied by another call, which decides as one call with all of them would have.
        """
        touched: set[int] = set()
        fold = self._fold
        events = [fact.id for fact in facts if fold.take(account, fact, t, touched)]
        changed = self._refresh(account, t, touched)
        if account.state.version == switch.number and not (events and changed):
            return UNCHANGED
        cause = Cause(definition=switch.number)
        if switch.gates_only and events:
            cause = Cause(events=tuple(events[:MAX_CAUSES]))
        elif switch.gates_only and account.deadline == t:
            cause = Cause(deadline=format_instant(t))
        decision = self._decide(account, t, cause, t if decided_at is None else decided_at, switch)
        account.state.version = switch.number
        return decision

    # Evaluation

    def evaluate(self, account: Account, t: int) -> None:
        """Evaluate every test at t. The account must have no deadline before t."""
        self._refresh(account, t, ())

    def place(self, account: Account, t: int, old: int) -> int:
        """Return the number of the segment that the values of an account's tests give it at t, if it is in `old`."""
        for index, leaf in self.program.derived:
            account.values[index], _ = leaf.evaluate(account, t)
        member, values = account.state.membership, account.values
        return self._assign(account, member, old, t) if self.program.holds else self.program.first(values)

    def _refresh(self, account: Account, t: int, touched: Sequence[int] | set[int]) -> bool:
        """Evaluate the tests that facts or time may have changed; return False if none has changed."""
        if not touched and account.next_leaf > t:
            return False
        program, values, untils = self.program, account.values, account.untils
        leaves = program.leaves
        moved = program.restrictions_leaf in touched
        if account.next_leaf <= t:
            moved = True
            indexes: Iterable[int] = range(program.plain)
            if account.next_leaf < 0:
                for tests in program.attribute_tests:
                    tests.evaluate(account, t)
                indexes = program.others
            for index in indexes:
                if untils[index] <= t or index in touched:
                    values[index], untils[index] = leaves[index].evaluate(account, t)
        else:
            for index in touched:
                value, until = leaves[index].evaluate(account, t)
                if value is not values[index] or until != untils[index]:
                    values[index], untils[index] = value, until
                    moved = True
        if moved:
            for index, leaf in program.derived:
                values[index], untils[index] = leaf.evaluate(account, t)
            account.next_leaf = NEVER if untils == program.never else min(untils)
        return moved

    def _decide(
        self, account: Account, t: int, cause: Cause, decided_at: int, switch: Switch | None = None
    ) -> Decision:
        """Decide the segment at t and the next deadline from the values of the tests."""
        program, state = self.program, account.state
        present = state.membership
        again = state.at == t and state.before is not None
        base = before = state.before if again and state.before is not None else present
        if switch is not None and (again or state.version != switch.number):
            base = switch.carry(before)
        old = -1 if base.segment is None else program.numbers.get(base.segment, -1)
        new = self._assign(account, base, old, t) if program.holds else program.first(account.values)
        segment = program.segments[new]
        if new == old:
            member = base
        else:
            left = base.left if base.segment is None else {**base.left, base.segment: t}
            member = Membership(segment.name, t, left)
        state.membership = member
        deadline = self._deadline(account, member, new, t)
        moved, until = self._evaluate_gates(account, t)
        stays, deadline = deadline, min(deadline, until)
        account.deadline = deadline if deadline <= HORIZON else NEVER
        if segment.name == present.segment:
            if switch is not None and new != old and not again:
                # It left and entered again: its old segment has another name, and its new one the old name.
                state.at, state.before, state.change = t, before, None
            if not moved:
                return UNCHANGED
            gate_change = GateChange(
                account=account.name,
                effective_at=t,
                decided_at=decided_at,
                active_gates=state.active_gates,
                sequence=state.sequence,
                do_not_contact=state.do_not_contact,
                lost_until=state.lost_until,
                parent=state.parent,
                definition=None if switch is None else switch.number,
                route=None if switch is None else switch.route_to(segment.name),
                rollback_of=None if switch is None else switch.rollback_of,
            )
            return Decision(None, gate_change)
        ruled = None if switch is None or switch.gates_only else switch
        change = SegmentChange(
            id=identify_change(account.name, t, before.segment, segment.name, cause, program.version),
            account=account.name,
            sequence_number=state.sequence + 1,
            from_=before.segment,
            to=segment.name,
            effective_at=t,
            decided_at=decided_at,
            cause=cause,
            reason=give_reason(program, account, t, old, new),
            also_qualified=self._also(account, new),
            definition_version=program.version,
            supersedes=state.change if again else None,
            supersedes_to=present.segment if again and state.change is not None else None,
            active_gates=state.active_gates,
            values=self._carried_values(account, new, t),
            do_not_contact=state.do_not_contact,
            lost_until=state.lost_until,
            parent=state.parent,
            route=None if ruled is None else ruled.route_to(segment.name),
            moved=ruled is not None and new == old and segment.name != before.segment,
            rollback_of=None if ruled is None else ruled.rollback_of,
            absent=find_absent(program, account.values, old, new, timed=cause.deadline is not None),
            stays_until=stays if stays <= HORIZON else None,
        )
        state.sequence += 1
        state.at, state.before, state.change = t, before, change.id
        return Decision(change)

    def _evaluate_gates(self, account: Account, t: int) -> tuple[bool, int]:
        """Record which gates and restrictions hold; return whether that has changed, and until when it lasts."""
        values, untils, state = account.values, account.untils, account.state
        deadline, holding = untils[self.program.restrictions_leaf], []
        for name, logic in self.program.gates:
            if logic.is_true(values):
                holding.append(name)
                deadline = min(deadline, logic.true_until(values, untils))
            else:
                deadline = min(deadline, logic.not_true_until(values, untils))
        gates, known = tuple(holding), self.program.restrictions.read(account, t)
        same = gates == state.active_gates or sorted(gates) == sorted(state.active_gates)
        if same:
            state.active_gates = gates
        if (
            same
            and known.do_not_contact == state.do_not_contact
            and known.lost_until == state.lost_until
            and known.parent == state.parent
        ):
            return False, deadline
        state.active_gates, state.do_not_contact = gates, known.do_not_contact
        state.lost_until, state.parent = known.lost_until, known.parent
        return True, deadline

    def _carried_values(self, account: Account, new: int, t: int) -> dict[str, Any]:
        """Return the values that a change to this segment carries; unknown ones are left out."""
        found = [(name, measure.value(account, t)) for name, measure in self.program.carried[new]]
        return {name: encode_value(value) for name, value in found if value is not None}

    def _also(self, account: Account, new: int) -> tuple[str, ...]:
        segments = self.program.segments
        return tuple([segments[one].name for one in self.program.qualifying(account.values) if one != new])

    def _assign(self, account: Account, base: Membership, old: int, t: int) -> int:
        """Return the first segment that keeps or takes the account, respecting `hold`."""
        program, values = self.program, account.values
        for number, when in enumerate(program.whens):
            hold, leave = program.segments[number].hold, program.exits[number]
            if number == old:
                if t < base.entered + hold.min_dwell:
                    return number
                if leave is None and when.is_true(values):
                    return number
                if leave is not None and not leave.is_true(values):
                    return number
            elif (
                when.is_true(values)
                and not (leave is not None and leave.is_true(values))
                and t >= self._free_again(base, number)
            ):
                return number
        return program.fallback

    def _free_again(self, member: Membership, number: int) -> int:
        """Return when the cooldown of a segment ends."""
        segment = self.program.segments[number]
        left = member.left.get(segment.name)
        return 0 if left is None else left + segment.hold.cooldown

    def _deadline(self, account: Account, member: Membership, taken: int, t: int) -> int:
        """Return the first instant after t at which time alone may change the account's segment."""
        program, values, untils = self.program, account.values, account.untils
        if not program.holds:
            return NEVER if account.next_leaf == NEVER else program.deadline(values, untils, taken)
        deadline = NEVER
        for number in range(min(taken, len(program.whens))):
            when, leave = program.whens[number], program.exits[number]
            blocked = 0
            if not when.is_true(values):
                blocked = when.not_true_until(values, untils)
            if leave is not None and leave.is_true(values):
                blocked = max(blocked, leave.true_until(values, untils))
            free = self._free_again(member, number)
            if free > t:
                blocked = max(blocked, free)
            deadline = min(deadline, blocked)
        if taken < len(program.whens):
            deadline = min(deadline, self._kept_until(account, member, taken, t))
        return deadline

    def _kept_until(self, account: Account, member: Membership, taken: int, t: int) -> int:
        program, values, untils = self.program, account.values, account.untils
        when, leave = program.whens[taken], program.exits[taken]
        kept = 0
        if leave is None and when.is_true(values):
            kept = when.true_until(values, untils)
        elif leave is not None and not leave.is_true(values):
            kept = leave.not_true_until(values, untils)
        dwell = member.entered + program.segments[taken].hold.min_dwell
        return max(kept, dwell) if dwell > t else kept


def changes_in(decisions: Iterable[Decision]) -> list[SegmentChange]:
    """Return the segment changes among decisions."""
    return [one.change for one in decisions if one.change is not None]


def net_changes(changes: Sequence[SegmentChange]) -> list[SegmentChange]:
    """Leave out changes that a later one of the same instant supersedes, and moves that ended where they began."""
    void = {one.supersedes for one in changes if one.supersedes is not None}
    return [one for one in changes if one.id not in void and one.from_ != one.to]
