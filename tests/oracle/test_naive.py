import random
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings

from .cases import CASES, Case
from .generate import generate, pairs
from .naive import Fact, File, candidates, history, known, membership, moment_of, read_facts


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_oracle_agrees_with_what_was_worked_out_by_hand(case: Case) -> None:
    changes = history(case.file, case.events, case.until)
    assert [(c.account, c.from_, c.to, c.effective_at) for c in changes] == case.expected


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_a_seed_always_gives_the_same_pair() -> None:
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


def without_hold(file: File) -> File:
    return {**file, "segments": [{k: v for k, v in s.items() if k != "hold"} for s in file["segments"]]}


def instants_to_probe(file: File, facts: list[Fact], draw: random.Random) -> set[int]:
    """Some instants beside those at which the history looks, and some anywhere."""
    edges = sorted(candidates(file, facts))
    near = {draw.choice(edges) + draw.choice([-1, 1]) for _ in range(20)}
    return near | {draw.randrange(edges[0], edges[-1] + 1) for _ in range(20)}


@given(pair=pairs())
@settings(max_examples=30, deadline=None)
def test_nothing_changes_between_the_instants_that_the_history_looks_at(
    pair: tuple[File, list[dict[str, Any]]],
) -> None:
    file, events = without_hold(pair[0]), pair[1]
    for account in {fact.account for fact in read_facts(events)}:
        facts = [fact for fact in read_facts(events) if fact.account == account]
        changes = [change for change in history(file, events, None) if change.account == account]
        for at in instants_to_probe(file, facts, random.Random(0)):
            latest = [change.to for change in changes if change.effective_at <= at]
            if latest:
                assert latest[-1] == membership(moment_of(file, events, account, at)), at


@given(pair=pairs())
@settings(max_examples=30, deadline=None)
def test_the_order_of_delivery_and_a_second_delivery_make_no_difference(
    pair: tuple[File, list[dict[str, Any]]],
) -> None:
    file, events = pair
    kept = {(event["subject"], event["source"], event["id"]): event for event in reversed(events)}
    once = list(kept.values())
    shuffled = random.Random(0).sample([*once, *once], k=2 * len(once))
    assert history(file, shuffled, None) == history(file, once, None)


@given(pair=pairs())
@settings(max_examples=30, deadline=None)
def test_a_history_until_an_instant_is_the_beginning_of_the_whole_history(
    pair: tuple[File, list[dict[str, Any]]],
) -> None:
    file, events = pair
    whole = history(file, events, None)
    for until in {whole[len(whole) // 2].effective_at, whole[-1].effective_at - 1}:
        assert history(file, events, until) == [change for change in whole if change.effective_at <= until]


def test_generated_pairs_move_accounts_often() -> None:
    moves = [len(history(*generate(seed), None)) for seed in range(40)]
    assert sum(moves) / len(moves) > 6


def test_facts_that_tie_in_all_but_the_source_have_one_order() -> None:
    events = list(chain.from_iterable(generate(seed)[1] for seed in range(5)))
    facts = read_facts(events)
    shuffled = random.Random(1).sample(facts, k=len(facts))
    latest = max(fact.recorded for fact in facts)
    account = facts[0].account
    assert known([f for f in facts if f.account == account], latest) == known(
        [f for f in shuffled if f.account == account], latest
    )
