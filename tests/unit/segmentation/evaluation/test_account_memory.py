"""What an account says that it takes of memory, beside what it takes."""

from __future__ import annotations

import gc
import random
import tracemalloc
from pathlib import Path

import pytest

from resegment.benchmarks.events import BEGIN, make_events
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact, decode_fact, encode_fact
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.sources.segments import load_definition

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
SEGMENTS, VIEWS = str(BENCHMARKS / "segments.yaml"), str(BENCHMARKS / "views.yaml")
DAY = 86_400_000


@pytest.mark.parametrize(("accounts", "triggers"), [(1_000, 0), (1_000, 2_000), (500, 5_000), (20, 4_000)])
def test_an_account_says_within_a_third_how_much_memory_it_takes(accounts: int, triggers: int) -> None:
    facts = [resolve_event(decode_event(one.value)) for one in make_events(accounts, triggers)]
    said, taken = measure(SEGMENTS, facts)
    assert 0.75 * taken < said < 1.34 * taken


@pytest.mark.parametrize(("accounts", "views"), [(500, 10), (10, 1_000), (5, 2_500)])
def test_facts_that_share_nothing_are_counted_too(accounts: int, views: int) -> None:
    pick = random.Random(views)
    facts = [
        Fact(
            kind="engagement",
            account=f"acct-{number % accounts:06d}.example",
            time=BEGIN + number * DAY // views,
            recorded=BEGIN + number * DAY // views,
            source="/signals/web",
            id=f"ev-{number:021d}",
            record=f"ev-{number:021d}",
            data={
                "action": "page_view",
                "url": f"https://www.example.org/pages/{pick.getrandbits(48):012x}",
                "person": f"person-{pick.randrange(50)}@acct-{number % accounts:06d}.example",
            },
        )
        for number in range(accounts * views)
    ]
    said, taken = measure(VIEWS, facts)
    assert 0.75 * taken < said < 1.34 * taken


def measure(segments: str, facts: list[Fact]) -> tuple[int, int]:
    """Return how much memory accounts say that they take after these facts, and how much they take."""
    engine = Engine(Program(load_definition(segments)))
    values = [encode_fact(fact) for fact in facts]
    kept: dict[str, Account] = {}
    gc.collect()
    tracemalloc.start()
    try:
        for value in values:
            fact = decode_fact(value)
            account = kept.get(fact.account)
            if account is None:
                account = kept[fact.account] = engine.load(fact.account, None)
            engine.advance(account, fact.recorded - 1)
            engine.apply_facts(account, [fact], fact.recorded)
            account.write()
        del fact, account
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return sum(one.measure() for one in kept.values()), taken
