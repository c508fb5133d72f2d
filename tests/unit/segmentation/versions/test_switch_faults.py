"""Faults put into switching, on either side: the generated chains of versions must tell every one of them."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from resegment.schemas.state import Membership
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.evaluation.switch import Switch
from resegment.segmentation.inspection.backtest import order_of_delivery
from resegment.segmentation.versions import era, timeline
from resegment.segmentation.versions.timeline import Timeline
from tests.builders import facts_of
from tests.oracle.cases_switches import SWITCH_CASES
from tests.oracle.naive import switching
from tests.oracle.naive.facts import Past

_place = Path(__file__).with_name("test_switches_differential.py")
_spec = importlib.util.spec_from_file_location("switches_differential", _place)
assert _spec is not None
assert _spec.loader is not None
differential = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(differential)

SEEDS = 250


class Fault(NamedTuple):
    name: str
    owner: Any
    attribute: str
    wrong: Any


def renamed(self: Switch, member: Membership) -> str | None:
    return self.moved.get(member.segment or "", member.segment)


def carry_exits(self: Switch, member: Membership, choose: Callable[[int, int], int]) -> Membership:
    left: dict[str, int] = {}
    for old, at in member.left.items():
        name = self.moved.get(old, old)
        left[name] = choose(at, left.get(name, at))
    return Membership(renamed(self, member), member.entered, left)


def carry_one_by_one(self: Switch, member: Membership) -> Membership:
    segment = member.segment
    for old, new in self.moved.items():
        segment = new if segment == old else segment
    return Membership(segment, member.entered, member.left)


def catch_up_at_once(self: Timeline, account: Any, until: int, decided_at: Any) -> Any:
    """Leaves out the deadlines of the old version."""
    place, decisions = self._places[account.state.version], []
    while place + 1 < len(self.eras) and self.eras[place + 1].at <= until:
        place += 1
        decisions += ENTER(self, account, place, (), decided_at)
    return decisions + self._engine(place).advance(account, until, decided_at)


ENTER = Timeline._enter


def place_first(self: Timeline, account: Any, now: int) -> Engine:
    self._engine(0).reopen(account)
    account.state.version = self.eras[0].number
    return self._engine(0)


def enter_without_facts(self: Timeline, account: Any, place: int, facts: Any, decided_at: Any) -> Any:
    """Judges before the facts of the instant, and these as any others."""
    done = ENTER(self, account, place, (), decided_at)
    at = self.eras[place].at
    return [*done, *([self._engine(place).apply_facts(account, facts, at, decided_at)] if facts else [])]


def forgetful(self: Timeline, place: int) -> Retention:
    return Retention(self.eras[place].engine.program)


def no_moves(before: Any, moved: Mapping[str, str]) -> dict[str, str]:
    return {}


PRODUCT = [
    Fault("names stay", Switch, "carry", lambda self, member: member),
    Fault("entries are lost", Switch, "carry",
          lambda self, member: Membership(renamed(self, member), member.entered + 3_600_000, member.left)),
    Fault("exits keep their names", Switch, "carry",
          lambda self, member: Membership(renamed(self, member), member.entered, member.left)),
    Fault("the earlier exit counts", Switch, "carry", lambda self, member: carry_exits(self, member, min)),
    Fault("names move one by one", Switch, "carry", carry_one_by_one),
    Fault("moves are ignored", era, "effective_moves", no_moves),
    Fault("the old version's deadlines are left out", Timeline, "_catch_up", catch_up_at_once),
    Fault("facts of the instant come after it", Timeline, "_enter", enter_without_facts),
    Fault("new accounts know the first version", Timeline, "_place", place_first),
    Fault("facts are forgotten", Timeline, "_kept_from", forgetful),
    Fault("facts folded in are forgotten", timeline, "join_entries", lambda live, folded: list(live)),
    Fault("nobody is judged again", differential, "compare", lambda old, new: NEVER_JUDGES),
]  # fmt: skip


class _NeverJudges:
    judges = False
    gates_only = False


NEVER_JUDGES = _NeverJudges()
CARRIED, SWITCHED, STEP = switching.carried, switching.switched, switching.step


def stays_by_new_entry(moment: Any, past: Past, before: Any) -> Any:
    mine, told = SWITCHED(moment, past, before)
    return Past(mine.segment, moment.at, mine.left), told


def carried_without_exits(past: Past, names: dict[str, str]) -> Past:
    return Past(names.get(past.segment or "", past.segment), past.entered, past.left)


ORACLE = [
    Fault("names stay", switching, "carried", lambda past, names: past),
    Fault("exits keep their names", switching, "carried", carried_without_exits),
    Fault("all enter anew", switching, "switched", stays_by_new_entry),
    Fault("an ordinary judgment", switching, "switched", lambda moment, past, before: STEP(moment, past)),
    Fault("holds never end", switching, "holds_to_end", lambda file, past: iter(())),
    Fault("nothing is dropped", switching, "received", lambda fact, versions: fact),
]


def differs(seed: int) -> bool:
    """Whether replay or partition differ from the oracle for a seed; one that fails does."""
    switched = differential.chain(seed)
    expected = differential.expected(switched)
    try:
        made = differential.replayed(switched.versions, switched.events)
        live = differential.Live(differential.eras_of(switched.versions), random.Random(seed))
        live.run(order_of_delivery(facts_of(switched.events)))
    except (AssertionError, KeyError, ValueError, IndexError):
        return True
    net = differential.net_changes(live.changes)
    return not made == differential.moves(net) == expected


def breaks_a_case() -> bool:
    return any(
        differential.replayed(case.versions, case.events)
        != differential.moved(switching.switching_history(case.versions, case.events, None))
        for case in SWITCH_CASES
    )


@pytest.mark.full
@pytest.mark.parametrize("fault", PRODUCT, ids=lambda one: one.name)
def test_a_fault_in_switching_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fault.owner, fault.attribute, fault.wrong)
        if breaks_a_case():
            return
    for seed in range(SEEDS):
        differential.chain(seed)  # without the fault, so that it does not choose the chains
        with monkeypatch.context() as patch:
            patch.setattr(fault.owner, fault.attribute, fault.wrong)
            if differs(seed):
                return
    pytest.fail(f"{fault.name}: not found in {SEEDS} chains")


@pytest.mark.full
@pytest.mark.parametrize("fault", ORACLE, ids=lambda one: one.name)
def test_a_fault_in_the_oracle_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fault.owner, fault.attribute, fault.wrong)
        if breaks_a_case():
            return
    for seed in range(SEEDS):
        differential.chain(seed)
        with monkeypatch.context() as patch:
            patch.setattr(fault.owner, fault.attribute, fault.wrong)
            if differs(seed):
                return
    pytest.fail(f"{fault.name}: not found in {SEEDS} chains")
