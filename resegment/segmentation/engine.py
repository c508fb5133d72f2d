"""Folding facts into an account and deciding its segment: `(account, facts, now) -> change or none`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from resegment.schemas.change import Cause, SegmentChange, identify_change
from resegment.schemas.fact import Fact
from resegment.schemas.state import AccountState, Membership, encode_with
from resegment.schemas.times import HORIZON, NEVER, format_instant
from resegment.segmentation.account import Account
from resegment.segmentation.evidence import give_reason
from resegment.segmentation.fold import Fold
from resegment.segmentation.program import Program

MAX_CAUSES: Final = 20
"""How many event ids a change names as its cause."""


class Engine:
    """Judges accounts by one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._fold = Fold(program)

    @property
    def dropped(self) -> int:
        """How many facts were dropped so far because an account had too many of one kind."""
        return self._fold.dropped

    # From state to account and back

    def open(self, name: str, state: AccountState | None = None) -> Account:
        """The account of that state, indexed; a new one without."""
        return self._fold.open(name, state or AccountState())

    def close(self, account: Account) -> AccountState:
        """The state to keep."""
        state = account.state
        state.deadline = None if account.deadline == NEVER else account.deadline
        return state

    def encode(self, account: Account) -> bytes:
        """The bytes to keep: `encode_state` of what `close` gives, without encoding each fact again."""
        return encode_with(self.close(account), account.encoded())

    # Facts and time

    def learn(
        self, account: Account, facts: Sequence[Fact], now: int, decided_at: int | None = None
    ) -> SegmentChange | None:
        """Take in facts that become known at `now`, all at once, and decide.

        The account must have been advanced to every deadline before `now`.
        """
        touched: set[int] = set()
        take = self._fold.take
        events = [fact.id for fact in facts if take(account, fact, now, touched)]
        if account.state.membership.segment is None and facts:
            events = events or [facts[0].id]
        if not self._refresh(account, now, touched) and account.state.membership.segment is not None:
            return None
        cause = Cause(events=tuple(events[:MAX_CAUSES]))
        return self._decide(account, now, cause, now if decided_at is None else decided_at)

    def advance(self, account: Account, until: int, decided_at: int | None = None) -> list[SegmentChange]:
        """Decide every deadline up to `until`, itself included, each at its own instant."""
        changes: list[SegmentChange] = []
        while (at := account.deadline) <= until:
            self._refresh(account, at, ())
            cause = Cause(deadline=format_instant(at))
            change = self._decide(account, at, cause, at if decided_at is None else decided_at)
            if change is not None:
                changes.append(change)
            if account.deadline <= at:
                raise AssertionError(f"{account.name}: the deadline at {at} does not move on")
        return changes

    # Judging

    def judge(self, account: Account, t: int) -> None:
        """Let every test say what it says at t, which no deadline before t may separate from the account."""
        self._refresh(account, t, ())

    def _refresh(self, account: Account, t: int, touched: Sequence[int] | set[int]) -> bool:
        """Judge the tests that the facts or time may have changed; False where all stands as it was."""
        program, values, untils = self.program, account.values, account.untils
        leaves = program.leaves
        moved = False
        if account.next_leaf <= t:
            moved = True
            plain = program.plain
            for index in range(plain):
                if untils[index] <= t or index in touched:
                    values[index], untils[index] = leaves[index].judge(account, t)
        else:
            for index in touched:
                judged = leaves[index].judge(account, t)
                if judged != (values[index], untils[index]):
                    values[index], untils[index] = judged
                    moved = True
        if moved:
            for index, logic in program.derived:
                values[index], untils[index] = logic.judge(values, untils)
            account.next_leaf = min(untils, default=NEVER)
        return moved

    def _decide(self, account: Account, t: int, cause: Cause, decided_at: int) -> SegmentChange | None:
        """Decide the segment at t from what the tests say, and the next deadline."""
        program, state = self.program, account.state
        standing = state.membership
        again = state.at == t and state.before is not None
        base = state.before if again and state.before is not None else standing
        old = -1 if base.segment is None else program.numbers.get(base.segment, -1)
        new = self._assign(account, base, old, t) if program.holds else program.first(account.values)
        segment = program.segments[new]
        if new == old:
            member = base
        else:
            left = base.left
            if old >= 0 and program.segments[old].hold.cooldown:
                left = {**left, program.segments[old].name: t}
            member = Membership(segment.name, t, left)
        state.membership = member
        deadline = self._deadline(account, member, new, t)
        account.deadline = deadline if deadline <= HORIZON else NEVER
        if segment.name == standing.segment:
            return None
        change = SegmentChange(
            id=identify_change(account.name, t, base.segment, segment.name, cause, program.version),
            account=account.name,
            sequence_number=state.sequence + 1,
            from_=base.segment,
            to=segment.name,
            effective_at=t,
            decided_at=decided_at,
            cause=cause,
            reason=give_reason(program, account, t, old, new),
            also_qualified=self._also(account, new),
            definition_version=program.version,
            supersedes=state.change if again else None,
            supersedes_to=standing.segment if again else None,
        )
        state.sequence += 1
        state.at, state.before, state.change = t, base, change.id
        return change

    def _also(self, account: Account, new: int) -> tuple[str, ...]:
        program, values = self.program, account.values
        return tuple(
            program.segments[number].name
            for number, when in enumerate(program.whens)
            if number != new and when.is_true(values)
        )

    def _assign(self, account: Account, base: Membership, old: int, t: int) -> int:
        """The first segment that keeps or takes the account, with hold."""
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
        """When the cooldown of a segment ends."""
        segment = self.program.segments[number]
        left = member.left.get(segment.name)
        return 0 if left is None else left + segment.hold.cooldown

    def _deadline(self, account: Account, member: Membership, taken: int, t: int) -> int:
        """The first instant after t at which the account's segment may be another by time alone."""
        program, values, untils = self.program, account.values, account.untils
        if not program.holds:
            return program.deadline(values, untils, taken)
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


def net_changes(changes: Sequence[SegmentChange]) -> list[SegmentChange]:
    """Without those that a later one of the same instant made void, and without what came to nothing."""
    void = {one.supersedes for one in changes if one.supersedes is not None}
    return [one for one in changes if one.id not in void and one.from_ != one.to]


def describe(change: SegmentChange) -> dict[str, Any]:
    """A change as the command line prints it: JSON with instants as RFC 3339."""
    plain: dict[str, Any] = msgspec.to_builtins(change)
    plain["effective_at"] = format_instant(change.effective_at)
    plain["decided_at"] = format_instant(change.decided_at)
    return plain
