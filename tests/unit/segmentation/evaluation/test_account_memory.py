"""What an account says that it takes of memory, beside what it takes."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from resegment.benchmarks.events import make_events
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import decode_fact, encode_fact
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.sources.segments import load_definition

SEGMENTS = Path(__file__).parents[4] / "benchmarks" / "segments.yaml"


@pytest.mark.parametrize(("accounts", "triggers"), [(1_000, 0), (1_000, 2_000), (500, 5_000), (20, 4_000)])
def test_an_account_says_within_a_third_how_much_memory_it_takes(accounts: int, triggers: int) -> None:
    engine = Engine(Program(load_definition(str(SEGMENTS))))
    facts = [encode_fact(resolve_event(decode_event(one.value))) for one in make_events(accounts, triggers)]
    kept: dict[str, Account] = {}
    gc.collect()
    tracemalloc.start()
    try:
        for value in facts:
            fact = decode_fact(value)
            account = kept.get(fact.account)
            if account is None:
                account = kept[fact.account] = engine.load(fact.account, None)
            engine.advance(account, fact.recorded - 1)
            engine.apply_facts(account, [fact], fact.recorded)
            engine.write(account)
        del fact, account
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    said = sum(one.measure() for one in kept.values())
    assert 0.75 * taken < said < 1.34 * taken
