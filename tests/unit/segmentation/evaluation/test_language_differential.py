"""The engine against the oracle, and the live path against the engine: not one difference is allowed.

`RESEGMENT_SEEDS` sets how many generated samples of a segments file and a stream are tried, of the plain language and
of the whole one each.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from resegment.errors import RefusedEvent
from resegment.identity.domains import registrable_domain
from resegment.schemas.fact import Fact
from resegment.schemas.times import HORIZON
from resegment.segmentation.evaluation import fold, program
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest, order_of_delivery
from tests.builders import Json, Move, Rig, definition_of, facts_of, moves, run, signals, ticking
from tests.oracle import generate as generator
from tests.oracle.cases import CASES, Case
from tests.oracle.cases_extended import EXTENDED_CASES, ExtendedCase
from tests.oracle.cases_extended.about_reports import busy_account
from tests.oracle.generate.own_words import Sample
from tests.oracle.naive import history

SEEDS = int(os.environ.get("RESEGMENT_SEEDS", "150"))
CHUNK = 25
MONTHS = 100 * 86_400_000
chunks = pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
languages = pytest.mark.parametrize("extended", [False, True], ids=["plain", "whole"])


@cache  # it takes most of the time, and gives every test the same
def generate(seed: int, extended: bool) -> Sample:
    if extended:
        return generator.generate(seed, extended=True)
    return Sample(*generator.generate(seed), {})


def judged(
    file: Json, facts: list[Fact], until: int | None = None, files: Mapping[str, str] | None = None
) -> list[Move]:
    compiled = Program(definition_of(file, files))
    return moves(change for _, changes in backtest(compiled, facts, until) for change in changes)


def by_definition(
    file: Json, events: list[dict[str, Any]], until: int | None = None, files: dict[str, str] | None = None
) -> list[Move]:
    changes = history(file, events, until, files or {})
    named = [(registrable_domain(one.account), one.from_, one.to, one.effective_at) for one in changes]
    # The engine ends with the calendar, at the end of the year 9999.
    return sorted((move for move in named if move[3] <= HORIZON), key=lambda move: (move[3], move[0]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_engine_agrees_that(case: Case) -> None:
    assert judged(case.file, facts_of(case.events), case.until) == [tuple(one) for one in case.expected]


@pytest.mark.parametrize("case", [*EXTENDED_CASES, busy_account(2_100)], ids=lambda case: case.name)
def test_the_engine_agrees_too_that(case: ExtendedCase) -> None:
    try:
        facts = facts_of(case.events)
    except RefusedEvent:
        pytest.skip("the contract refuses such an event")
    expected = [(registrable_domain(one.account), *tuple(one)[1:]) for one in case.expected]
    assert judged(case.file, facts, case.until, case.files) == expected


@languages
@chunks
def test_the_engine_finds_the_changes_that_the_definition_of_the_language_gives(
    first: int, extended: bool
) -> None:
    for seed in range(first, first + CHUNK):
        file, events, files = generate(seed, extended)
        assert judged(file, facts_of(events), files=files) == by_definition(file, events, files=files), seed


@languages
@chunks
async def test_the_live_path_finds_the_changes_that_a_backtest_gives(first: int, extended: bool) -> None:
    for seed in range(first, first + CHUNK):
        file, events, files = generate(seed, extended)
        facts, draw = facts_of(events), random.Random(seed)
        until = max(fact.recorded for fact in facts) + MONTHS
        records = signals(order_of_delivery(facts))
        batches = []
        while records:
            taken = draw.randint(1, 8)
            batches.append(records[:taken])
            records = records[taken:]
        offset = batches[-1][-1].offset
        batches.append([ticking(offset + 1, until - draw.randint(0, MONTHS)), ticking(offset + 2, until)])
        rig = await run(Rig(file, files=files, cache_bytes=draw.choice([0, 5_000, 10**9])), batches)
        assert rig.net == judged(file, facts, until, files), seed
        numbers = [(one.account, one.sequence_number) for one in rig.changes]
        assert len(set(numbers)) == len(numbers), seed


@chunks
def test_what_is_forgotten_as_soon_as_possible_makes_no_difference(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "FEW", 0)
    monkeypatch.setattr(fold, "MARGIN", 0)
    monkeypatch.setattr(program, "DAY", 1)
    for seed in range(first, first + CHUNK):
        file, events, files = generate(seed, True)
        assert judged(file, facts_of(events), files=files) == by_definition(file, events, files=files), seed


def without_hold(file: Json) -> Json:
    return {**file, "segments": [{k: v for k, v in one.items() if k != "hold"} for one in file["segments"]]}


def standing(net: list[Move], accounts: set[str]) -> dict[str, tuple[str, int]]:
    """Where each account is in the end."""
    last = {account: to for account, _, to, _ in net}
    assert set(last) == accounts
    return last  # type: ignore[return-value]


@languages
@chunks
async def test_the_order_and_number_of_deliveries_make_no_difference_to_where_accounts_end(
    first: int, extended: bool
) -> None:
    for seed in range(first, first + CHUNK):
        file, events, files = generate(seed, extended)
        file, draw = without_hold(file), random.Random(seed)
        facts = order_of_delivery(facts_of(events))
        until = max(fact.recorded for fact in facts) + draw.choice([0, 1, MONTHS])
        doubled = draw.sample([*facts, *facts], k=2 * len(facts))
        records = signals(doubled)
        cut = draw.randint(0, len(records))
        batches = [part for part in (records[:cut], records[cut:], [ticking(len(records), until)]) if part]
        rig = await run(Rig(file, files=files), batches)
        accounts = {fact.account for fact in facts}
        assert standing(rig.net, accounts) == standing(judged(file, facts, until, files), accounts), seed
