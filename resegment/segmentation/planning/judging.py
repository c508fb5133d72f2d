"""Judge one account by the version in force and by the new one, at the instant of a switch that is only planned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple, Self

from resegment.schemas.change import GateChange, SegmentChange
from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.engine import changes_in
from resegment.segmentation.versions.timeline import Timeline

WEEK = 7 * 86_400_000


class Judgment(NamedTuple):
    """What the switch does to one account.

    `change` is the move that the new version decides, None without one, and `gate_change` what it decides about gates
    where the account stays. `values` are those of the tests of the new
    version, `news` is when the account's newest fact became known (ms), and `latest` how many facts became known then. It entered `before` at `entered` (ms), and came
    from `came_from`. `due` are the changes of the coming week that time alone brings under the version in force.
    """

    account: str
    before: str
    after: str
    renamed: bool
    change: SegmentChange | None
    gate_change: GateChange | None
    gates: tuple[tuple[str, ...], tuple[str, ...]]
    values: list[bool | None]
    news: int
    latest: int
    entered: int
    came_from: str | None
    due: tuple[SegmentChange, ...]


class _Placement(NamedTuple):
    """Where an account is, since when (ms) and from where, and the gates that hold."""

    segment: str | None
    entered: int
    came_from: str | None
    gates: tuple[str, ...]

    @classmethod
    def of(cls, state: AccountState) -> Self:
        came_from = None if state.before is None else state.before.segment
        return cls(state.membership.segment, state.membership.entered, came_from, state.active_gates)


class Judge:
    """Judges accounts at `at`: `present` are the versions in force, and `planned` the same with the switch at `at`."""

    def __init__(self, present: Timeline, planned: Timeline, at: int, ahead: int = WEEK) -> None:
        self._present, self._planned = present, planned
        self.at, self._ahead = at, ahead

    def judge(
        self, name: str, value: bytes, folded: AccountState | None = None, facts: Sequence[Fact] = ()
    ) -> Judgment | None:
        """Return what the switch does to the account; None if nothing was ever decided about it.

        `folded` are facts from the log that the new version reads and the state doesn't have, `facts` those that become
        known at the instant of the switch. Raises msgspec.DecodeError.
        """
        planned, state = self._planned, decode_state(value)
        due_at = NEVER if state.deadline is None else state.deadline
        entries = state.entries
        news = entries[-1].known if entries else 0
        latest = sum(1 for _ in takewhile(lambda one: one.known == news, reversed(entries)))
        before = _Placement.of(state)
        direct = None if folded is not None or facts else planned.open_switched(name, state)
        if direct is not None:
            account, decisions = direct
        else:
            account = planned.open(name, state)
            if folded is not None:
                planned.join_folded(account, folded)
            planned.advance(account, self.at - 1)
            before = _Placement.of(state)
            decisions = (
                planned.apply_facts(account, facts, self.at) if facts else planned.advance(account, self.at)
            )
        if before.segment is None:
            return None
        changes = changes_in(decisions)
        after = state.membership.segment or before.segment
        change = changes[-1] if changes and before.segment != after else None
        return Judgment(
            account=name,
            before=before.segment,
            after=after,
            renamed=change is not None and change.moved,
            change=change,
            gate_change=next((one.gate_change for one in decisions if one.gate_change is not None), None),
            gates=(before.gates, state.active_gates),
            values=account.values,
            news=news,
            latest=latest,
            entered=before.entered,
            came_from=before.came_from,
            due=self._look_ahead(name, value) if due_at <= self.at + self._ahead else (),
        )

    def _look_ahead(self, name: str, value: bytes) -> tuple[SegmentChange, ...]:
        account = self._present.load(name, value)
        self._present.advance(account, self.at)
        return tuple(changes_in(self._present.advance(account, self.at + self._ahead)))
