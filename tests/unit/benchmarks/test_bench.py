"""The benchmark's events and its job by hand."""

from __future__ import annotations

import hashlib

import orjson

from resegment.benchmarks.checking import expect
from resegment.benchmarks.events import make_events
from resegment.benchmarks.participant import Report
from resegment.benchmarks.rules import apply
from resegment.benchmarks.run import END, SEGMENTS
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.sources.segments import load_definition


def test_the_same_numbers_give_the_same_events() -> None:
    digest = hashlib.sha256(b"\n".join(event.value for event in make_events(100, 1_000))).hexdigest()
    assert digest == "1d907ff741c415b4014a52719ba00214f3c7a4dc9a8950022ebecde3507182d1"


def test_events_come_in_the_order_of_their_times() -> None:
    times = [event.time for event in make_events(50, 500)]
    assert times == sorted(times)
    assert times[-1] < END


def test_by_hand_and_by_the_engine_accounts_go_the_same_way() -> None:
    engine = Engine(Program(load_definition(SEGMENTS)))
    accounts, states, judged = {}, {}, 0
    for event in make_events(200, 3_000):
        fact = resolve_event(decode_event(event.value))
        account = accounts.setdefault(fact.account, engine.open(fact.account))
        engine.advance(account, fact.recorded - 1)
        engine.apply_facts(account, [fact], fact.recorded)
        state, _ = apply(states.get(fact.account), orjson.loads(event.value))
        states[fact.account] = state
        # by hand each window is looked at when an event comes, as both do at this instant
        assert account.state.membership.segment == state["seg"], event.value
        judged += 1
    assert judged == 3_200


def test_what_is_expected_names_every_account_once() -> None:
    facts = [resolve_event(decode_event(event.value)) for event in make_events(100, 1_000)]
    expected = expect(load_definition(SEGMENTS), facts, END)
    assert len(expected.places) == 100
    assert len({name for name, *_ in expected.changes}) == 100


def test_a_report_is_counted_by_the_million() -> None:
    assert Report(events=500_000, seconds=1, cpu=10, peak_mb=1).cpu_per_million == 20
    assert Report(events=0, seconds=1, cpu=10, peak_mb=1).cpu_per_million == 0
