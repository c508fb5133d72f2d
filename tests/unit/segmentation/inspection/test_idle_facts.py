"""Leaving out the facts that no test can count changes nothing: not a change, its cause, its reason or its evidence.

`RESEGMENT_SEEDS` sets how many generated samples of a segments file and a stream are tried. Their windows close exactly when
facts happen, so that a fact that no test reads is often the cause of a change by its instant alone.
"""

import os

from resegment.cli.replaying.packing import Keeping, check_data, pack_account, pack_fact
from resegment.schemas.fact import KINDS, Fact
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import by_account, order_of_delivery, replay_account
from resegment.segmentation.inspection.idle_facts import find_idle, reads_of
from tests.builders import definition_of, facts_of
from tests.events import read_fact
from tests.oracle.generate import generate

SEEDS = min(int(os.environ.get("RESEGMENT_SEEDS", "40")), 2_000)
FILE = {
    "version": 1,
    "segments": [
        {
            "name": "funded",
            "when": {"event": "funding", "where": {"round": "seed"}, "within": "30d"},
            "play": "p",
            "route": {"workflow": "w"},
        }
    ],
    "fallback": {"name": "none", "play": "p", "route": {"workflow": "x"}},
    "plays": {
        "p": {
            "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
            "channels": {"primary": "email"},
        }
    },
}


def repack(program: Program, facts: list[Fact]) -> tuple[list[Fact], frozenset[int]]:
    """The facts of an account as a backtest packs them, and those of them that are idle."""
    engine = Engine(program)
    keeping = Keeping(dict(zip(KINDS, engine.retention.fields, strict=True)), reads_of(program))
    rows = [
        pack_fact(fact, fact.account, fact.recorded, keeping, number, check_data(fact.data))
        for number, fact in enumerate(facts)
    ]
    packed = pack_account("", rows).unpack()
    return list(packed), find_idle(packed, [fact.unread for fact in packed])


def test_a_backtest_gives_the_same_changes_without_idle_facts() -> None:
    idle_facts = changes = 0
    for seed in range(SEEDS):
        sample = generate(seed, extended=True)
        program = Program(definition_of(sample.file, sample.files))
        facts = order_of_delivery(facts_of(sample.events))
        for name, own in by_account(facts).items():
            account, expected = replay_account(Engine(program), name, own)
            packed, idle = repack(program, own)
            lean, found = replay_account(Engine(program), name, packed, unwritten=True, idle=idle)
            assert found == expected, f"seed {seed}, {name}"
            assert lean.state.membership == account.state.membership
            assert lean.deadline == account.deadline
            idle_facts += len(idle)
            changes += len(found)
    assert idle_facts > SEEDS // 4
    assert changes > SEEDS


def fact(number: int, day: int, kind: str = "hiring", **more: str) -> Fact:
    data = {"hiring": {"change": "opened", "function": "sales"}, "funding": {"round": "seed"}}[kind]
    time = f"2026-01-{day:02d}T00:00:00Z"
    event = {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "s",
        "type": f"gtm.{kind}.v1",
        "subject": "a.com",
    }
    return read_fact({**event, "time": time, "data": data, **more})


def idle_ids(*facts: Fact) -> list[str]:
    packed, idle = repack(Program(definition_of(FILE)), list(facts))
    return [one.id for one in packed if id(one) in idle]


def test_a_fact_that_no_test_reads_is_idle() -> None:
    assert idle_ids(fact(1, 1), fact(2, 2, "funding")) == ["e1"]


def test_a_fact_that_another_one_revises_or_repeats_is_not_idle() -> None:
    assert idle_ids(fact(1, 1), fact(2, 2, record="e1")) == []
    assert idle_ids(fact(1, 1, record="r"), fact(2, 2, record="r"), fact(3, 3)) == ["e3"]
    assert idle_ids(fact(1, 1), fact(1, 2)) == []


def test_a_fact_that_is_taken_back_is_not_idle() -> None:
    assert idle_ids(fact(1, 1, op="retract")) == []


def test_a_fact_at_the_instant_at_which_a_window_closes_is_the_cause_of_the_change() -> None:
    program = Program(definition_of(FILE))
    own = [fact(1, 1, "funding"), fact(2, 31)]
    packed, idle = repack(program, own)
    assert len(idle) == 1
    _, found = replay_account(Engine(program), "a.com", packed, unwritten=True, idle=idle)
    assert [one.cause.events for one in found] == [("e1",), ("e2",)]


def test_a_file_with_same_has_no_idle_facts() -> None:
    program = Program(definition_of({**FILE, "same": {"funding": {"within": "30d"}}}))
    assert repack(program, [fact(1, 1)])[1] == frozenset()
