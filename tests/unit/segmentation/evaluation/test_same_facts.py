"""Facts of several sources that are one: the engine against the text's own evaluator, and laws of groups.

`RESEGMENT_SAME` sets how many generated streams of reports are tried.
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from resegment.console.definition.explanation import render
from resegment.identity.domains import registrable_domain
from resegment.schemas.fact import Fact
from resegment.schemas.times import HORIZON
from resegment.segmentation.analysis.lint import lint
from resegment.segmentation.evaluation import fold, program
from resegment.segmentation.evaluation.engine import Engine, net_changes
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest, order_of_delivery, replay_account
from resegment.segmentation.inspection.explain import describe_explanation, explain
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline
from tests.builders import Json, Move, Rig, definition_of, facts_of, moves, run, signals, ticking
from tests.oracle.cases import segments
from tests.oracle.generate.own_words import Sample
from tests.oracle.generate.reports import generate_reports
from tests.oracle.naive import Change, history
from tests.oracle.naive.switching import Version, switching_history

SEEDS = int(os.environ.get("RESEGMENT_SAME", "40"))
CHUNK = 20
MONTHS = 100 * 86_400_000
DAY = 86_400_000
chunks = pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))


@cache
def sample(seed: int) -> Sample:
    return generate_reports(seed)


@cache
def by_definition(seed: int) -> list[Move]:
    file, events, files = sample(seed)
    return named(history(file, events, None, files))


def named(changes: list[Change]) -> list[Move]:
    found = [(registrable_domain(one.account), one.from_, one.to, one.effective_at) for one in changes]
    return sorted((move for move in found if move[3] <= HORIZON), key=lambda move: (move[3], move[0]))


def judged(
    file: Json, facts: list[Fact], until: int | None = None, files: Mapping[str, str] | None = None
) -> list[Move]:
    compiled = Program(definition_of(file, files))
    return moves(change for _, changes in backtest(compiled, facts, until) for change in changes)


# The text's own evaluator


@chunks
def test_the_engine_takes_for_one_what_the_text_takes_for_one(first: int) -> None:
    for seed in range(first, first + CHUNK):
        file, events, files = sample(seed)
        assert (seed, judged(file, facts_of(events), files=files)) == (seed, by_definition(seed))


def test_generated_reports_are_often_the_same() -> None:
    differing = 0
    for seed in range(40):
        file, events, files = sample(seed)
        alone = {name: part for name, part in file.items() if name != "same"}
        differing += judged(alone, facts_of(events), files=files) != by_definition(seed)
    assert differing >= 4


@chunks
def test_what_is_forgotten_as_soon_as_possible_makes_no_difference(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "FEW", 0)
    monkeypatch.setattr(fold, "MARGIN", 0)
    monkeypatch.setattr(program, "DAY", 1)
    for seed in range(first, first + CHUNK):
        file, events, files = sample(seed)
        assert (seed, judged(file, facts_of(events), files=files)) == (seed, by_definition(seed))


@chunks
async def test_the_live_path_takes_for_one_what_a_backtest_does(first: int) -> None:
    for seed in range(first, first + CHUNK // 2):
        file, events, files = sample(seed)
        facts, draw = facts_of(events), random.Random(seed)
        until = max(fact.recorded for fact in facts) + MONTHS
        records = signals(order_of_delivery(facts))
        batches = []
        while records:
            taken = draw.randint(1, 8)
            batches.append(records[:taken])
            records = records[taken:]
        batches.append([ticking(batches[-1][-1].offset + 1, until)])
        rig = await run(Rig(file, files=files, cache_bytes=draw.choice([0, 5_000, 10**9])), batches)
        assert (seed, rig.net) == (seed, judged(file, facts, until, files))


@chunks
def test_a_file_that_begins_or_ceases_to_compare_facts_judges_accounts_again(first: int) -> None:
    for seed in range(first, first + CHUNK // 2):
        file, events, files = sample(seed)
        alone = {name: part for name, part in file.items() if name != "same"}
        facts = facts_of(events)
        at = sorted(fact.recorded for fact in facts)[len(facts) // 2] + 1
        both = [Version(alone, files), Version(file, files, at)]
        for versions in (both, [Version(file, files), Version(alone, files, at)]):
            before, after = (definition_of(one.file, one.files) for one in versions)
            found = compare(before, after)
            eras = [
                Era(1, ALWAYS, Engine(Program(before))),
                Era(2, at, Engine(Program(after)), judges=found.judges, gates_only=found.gates_only),
            ]
            made = moves(
                change for _, changes in backtest(Timeline(eras), facts) for change in net_changes(changes)
            )
            assert (seed, made) == (seed, named(switching_history(versions, events, None)))


# Laws


def end_of(file: Json, facts: list[Fact], files: Mapping[str, str], until: int) -> dict[str, Any]:
    """The value of each test of each account in the end."""
    engine = Engine(Program(definition_of(file, files)))
    ends: dict[str, Any] = {}
    for name in {fact.account for fact in facts}:
        mine = order_of_delivery(fact for fact in facts if fact.account == name)
        account, _ = replay_account(engine, name, mine, until)
        engine.evaluate(account, until)
        ends[name] = tuple(account.values)
    return ends


@given(seed=st.integers(0, 2**32), shuffled=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_arrival_makes_no_difference(seed: int, shuffled: random.Random) -> None:
    file, events, files = generate_reports(seed)
    facts = order_of_delivery(facts_of(events))
    until = max(fact.recorded for fact in facts)
    # all arrive at one instant, in any order, and some twice
    compiled = Program(definition_of(file, files))
    for name in {fact.account for fact in facts}:
        mine = [fact for fact in facts if fact.account == name]
        ends = set()
        for _ in range(3):
            engine = Engine(compiled)
            account = engine.open(name)
            for fact in shuffled.sample([*mine, *mine[:3]], k=len(mine) + len(mine[:3])):
                engine.fold_facts(account, [fact], until)
            engine.evaluate(account, until)
            ends.add(tuple(account.values))
        assert len(ends) == 1


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_after_a_retraction_all_is_as_if_the_fact_had_never_been(seed: int) -> None:
    file, events, files = generate_reports(seed)
    once = [event for event in events if "record" not in event and event.get("op") != "retract"]
    unique = {(event["subject"], event["source"], event["id"]): event for event in once}
    source = next(iter(unique.values()))["source"] if unique else "crawler"
    facts = facts_of(unique.values())
    last = max((fact.recorded for fact in facts), default=0) + 1
    withdrawn = [
        Fact(
            account=one.account, kind=one.kind, id=f"{one.id} withdrawn", source=one.source, record=one.record,
            time=one.time, recorded=last, op="retract",
        )
        for one in facts
        if one.source == source
    ]  # fmt: skip
    others = [one for one in facts if one.source != source]
    known = {one.account for one in others}
    ends = end_of(file, [*facts, *withdrawn], files, last)
    assert {name: end for name, end in ends.items() if name in known} == end_of(file, others, files, last)


# What people see


def report(id: str, source: str, day: int, **data: Json) -> Json:  # noqa: A002  # an event's id
    return {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": "gtm.funding.v1",
        "subject": "acme.com",
        "time": f"2026-01-{day:02}T00:00:00Z",
        "data": {"round": "seed", **data},
    }


FILE = {
    **segments(
        funded={"all": [{"event": "funding", "where": {"amount_usd": {"gte": 5}}, "count": 1}]},
        other={"event": "hiring"},
    ),
    "same": {"funding": {"within": "30d"}, "trust": ["crunchbase"]},
}
REPORTS = [report("f-1", "/formd", 3, amount_usd=7), report("c-1", "/crunchbase", 1, investors=["Ada"])]


def explained(file: Json) -> Any:
    engine = Engine(Program(definition_of(file)))
    facts = facts_of(REPORTS)
    until = max(fact.recorded for fact in facts) + DAY
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), until)
    return explain(engine, account, until)


def test_explain_names_the_facts_that_count_as_one_and_who_gave_which_field() -> None:
    plain = describe_explanation(explained(FILE))
    (fact,) = plain["segments"][0]["condition"]["parts"][0]["evidence"]
    assert (fact["id"], fact["source"], fact["time"]) == ("c-1", "/crunchbase", "2026-01-01T00:00:00Z")
    assert fact["same"] == [{"id": "f-1", "source": "/formd", "time": "2026-01-03T00:00:00Z"}]
    assert fact["from"] == {"amount_usd": "/formd"}


def test_the_tree_of_explain_says_it_too() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(render(explained(FILE)))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "the same: Jan 3, 2026 from /formd, id f-1, which gave amount_usd" in written


def test_a_change_names_the_facts_that_count_as_one() -> None:
    account, changes = replay_account(
        Engine(Program(definition_of(FILE))), "acme.com", order_of_delivery(facts_of(REPORTS))
    )
    assert account.state.membership.segment == "funded"
    (held,) = changes[-1].reason["holds"]
    assert held["facts"] == 1
    assert [one["id"] for one in held["evidence"][0]["same"]] == ["f-1"]


def test_a_wider_window_is_another_rule_and_needs_older_facts() -> None:
    wider = {**FILE, "same": {"funding": {"within": "60d"}, "trust": ["crunchbase"]}}
    found = compare(definition_of(FILE), definition_of(wider))
    assert found.judges
    assert [(one.part, one.name, one.what) for one in found.parts] == [("file", "same", "changed")]
    assert any("to tell which are the same" in one for one in found.needs_facts)


def test_how_often_a_source_sends_events_judges_no_account_again() -> None:
    other = {**FILE, "sources": {"formd": {"every": "7d"}, "/crm": {"every": "never"}}}
    assert definition_of(other).sources == {"formd": 7 * DAY, "crm": None}
    found = compare(definition_of(FILE), definition_of(other))
    assert not found.judges
    assert definition_of(FILE).version == definition_of(other).version
    assert [(one.part, one.name) for one in found.parts] == [("file", "sources")]


def test_a_file_without_comparison_keeps_no_field_for_it() -> None:
    alone = {name: part for name, part in FILE.items() if name != "same"}
    fields = Program(definition_of(alone)).kept[0]
    assert "round" not in fields
    assert {"round", "amount", "currency"} <= Program(definition_of(FILE)).kept[0]


def test_lint_names_what_recorded_events_give_no_occasion_to_compare() -> None:
    seen = {"funding": {"/formd"}}
    found = {(one.code, one.path) for one in lint(definition_of(FILE), seen=seen)}
    assert ("unseen-source", ("same", "trust", 0)) in found
    assert ("unused-same", ("same", "funding")) in found
    seen = {"funding": {"/formd", "/crunchbase"}}
    assert not {"unseen-source", "unused-same"} & {one.code for one in lint(definition_of(FILE), seen=seen)}
