"""Since when a segment holds by the facts, against the naive evaluator with facts that were known at their times."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.identity.domains import registrable_domain
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.segmentation.inspection.backtest import backtest
from resegment.segmentation.inspection.entry_time import EntryTime, find_entry_time
from resegment.segmentation.inspection.explain import explain
from tests.builders import definition_of, facts_of
from tests.oracle.generate import generate
from tests.oracle.naive import history

DAY = 86_400_000
Json = Any


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_entry_is_the_one_of_a_history_whose_facts_were_known_at_their_times(seed: int) -> None:
    file, events, files = generate(seed, extended=True)
    file.pop("same", None)
    told = [one for one in events if one.get("op") != "retract" and one.get("record") is None]
    punctual = [{**one, "recordedtime": one["time"]} for one in told]
    until = max(fact.recorded for fact in facts_of(told))
    engine = Engine(Program(definition_of(file, files)))
    expected: dict[str, tuple[str, int]] = {}
    for one in history(file, punctual, until, files):
        expected[registrable_domain(one.account)] = one.to, one.effective_at

    for account, _ in backtest(engine.program, facts_of(told), until):
        segment, entered = expected.get(account.name, (None, 0))
        found = find_entry_time(engine, account.name, account.state, until)
        member = account.state.membership
        at = entered if segment == member.segment else member.entered
        if not found.limited:
            assert (seed, account.name, found.at) == (seed, account.name, at)


def event(number: int, day: int, known: int, kind: str = "funding", **data: Json) -> Json:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/test",
        "type": f"gtm.{kind}.v1",
        "subject": "a.com",
        "time": format_instant(day * DAY),
        "recordedtime": format_instant(known * DAY),
        "data": data,
    }


FILE: Json = {
    "version": 1,
    "segments": [
        {
            "name": "raised",
            "when": {"event": "funding", "within": "90d"},
            "play": "talk",
            "route": {"workflow": "x"},
        }
    ],
    "fallback": {"name": "out", "play": "talk", "route": {"workflow": "y"}},
    "plays": {
        "talk": {
            "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
            "channels": {"primary": "email"},
        }
    },
}


def test_a_history_that_was_loaded_at_once_shows_when_each_account_entered() -> None:
    engine = Engine(Program(definition_of(FILE)))
    events = [event(1, 100, 200), event(2, 150, 200), event(3, 180, 200)]
    [(account, _)] = backtest(engine.program, facts_of(events), 210 * DAY)
    assert account.state.membership.entered == 200 * DAY
    assert find_entry_time(engine, "a.com", account.state, 210 * DAY) == EntryTime(100 * DAY, limited=False)


def test_an_interruption_that_became_known_late_ends_the_stay() -> None:
    engine = Engine(Program(definition_of(FILE)))
    events = [event(1, 10, 200), event(2, 180, 200)]
    [(account, _)] = backtest(engine.program, facts_of(events), 210 * DAY)
    assert find_entry_time(engine, "a.com", account.state, 210 * DAY) == EntryTime(180 * DAY, limited=False)


def test_an_account_that_has_forgotten_facts_says_that_it_may_have_entered_earlier() -> None:
    engine = Engine(Program(definition_of(FILE), Limits(facts=20)))
    events = [event(number, 10 * number, 10 * number) for number in range(1, 60)]
    [(account, _)] = backtest(Program(definition_of(FILE), Limits(facts=20)), facts_of(events), 600 * DAY)
    assert account.state.membership.entered == 10 * DAY
    assert find_entry_time(engine, "a.com", account.state, 600 * DAY) == EntryTime(10 * DAY, limited=True)


def test_an_explanation_says_both_and_changes_nothing() -> None:
    engine = Engine(Program(definition_of(FILE)))
    [(account, _)] = backtest(engine.program, facts_of([event(1, 150, 200)]), 210 * DAY)
    before = engine.encode(account)
    found = explain(engine, account, 210 * DAY)
    assert (found.since, found.entered_at) == (format_instant(200 * DAY), format_instant(150 * DAY))
    assert f"(by its facts since {format_instant(150 * DAY)})" in found.summary
    assert parse_instant(found.entered_at or "") == 150 * DAY
    assert engine.encode(account) == before
