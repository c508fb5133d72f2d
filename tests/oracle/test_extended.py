"""The evaluator on the whole language: cases worked out by hand, generated samples, and faults that both must find."""

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings

from .cases import CASES
from .cases_extended import EXTENDED_CASES, ExtendedCase
from .faults import FAULTS, Fault
from .generate import generate, samples
from .generate.own_words import Sample
from .generate.rules import breaches, words
from .generate.vocabulary import Json
from .naive import Change, dates, history, membership, moment_of, read_facts
from .naive.facts import milliseconds
from .test_naive import instants_to_probe, without_hold

SEEDS = int(os.environ.get("RESEGMENT_FAULT_SEEDS", "60"))
CONSTRUCTS = [
    "before",
    "after",
    "within_next",
    "within_last",
    "not_followed_by",
    "account",
    "in_file",
    "not_in_file",
    "open",
    "by",
    "order",
    "$",
    "contains_any",
    "known_within",
    "score",
    "condition",
    "conditions",
    "lists",
    "attributes",
    "status",
    "tags",
    "target",
    "cta",
]


def moves(case: ExtendedCase) -> list[tuple[str, str | None, str, int]]:
    changes = history(case.file, case.events, case.until, case.files)
    return [(one.account, one.from_, one.to, one.effective_at) for one in changes]


@pytest.mark.parametrize("case", EXTENDED_CASES, ids=lambda case: case.name)
def test_the_evaluator_agrees_with_what_was_worked_out_by_hand(case: ExtendedCase) -> None:
    assert moves(case) == case.expected


def test_every_extended_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in [*CASES, *EXTENDED_CASES]]
    assert sorted(name for name in names if names.count(name) > 1) == []


def test_a_seed_always_gives_the_same_sample() -> None:
    assert generate(7, extended=True) == generate(7, extended=True)
    assert generate(7, extended=True) != generate(8, extended=True)


@given(sample=samples())
@settings(max_examples=30, deadline=None)
def test_nothing_changes_between_the_instants_that_the_history_looks_at(sample: Sample) -> None:
    file, events, files = without_hold(sample.file), sample.events, sample.files
    for account in {fact.account for fact in read_facts(events)}:
        facts = [fact for fact in read_facts(events) if fact.account == account]
        changes = [one for one in history(file, events, None, files) if one.account == account]
        for at in instants_to_probe(file, facts, random.Random(0)):
            last = [change.to for change in changes if change.effective_at <= at]
            if last:
                assert last[-1] == membership(moment_of(file, events, account, at, files)), at


@given(sample=samples())
@settings(max_examples=30, deadline=None)
def test_the_order_of_delivery_and_a_second_delivery_make_no_difference(sample: Sample) -> None:
    kept = {(event["subject"], event["source"], event["id"]): event for event in reversed(sample.events)}
    once = list(kept.values())
    shuffled = random.Random(0).sample([*once, *once], k=2 * len(once))
    assert history(sample.file, shuffled, None, sample.files) == history(
        sample.file, once, None, sample.files
    )


LISTED = ("in", "not_in", "has_any", "has_all", "has_none", "contains_any")


def inlined(node: Json, file: dict[str, Json]) -> Json:
    """A part of a file with conditions and lists in the place of their names, and all else as it is."""
    if isinstance(node, list):
        return [inlined(inner, file) for inner in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Json] = {}
    for key, value in node.items():
        if key in LISTED and isinstance(value, str) and value.startswith("$"):
            made[key] = file["lists"][value[1:]]
        elif key == "condition" and isinstance(value, str):
            made["all"] = [inlined(file["conditions"][value], file)]
        else:
            made[key] = inlined(value, file)
    return made


@given(sample=samples())
@settings(max_examples=30, deadline=None)
def test_a_name_means_what_it_stands_for(sample: Sample) -> None:
    file = sample.file
    written = {**file, "traits": inlined(file["traits"], file), "segments": inlined(file["segments"], file)}
    written.pop("conditions", None)
    expected = history(file, sample.events, None, sample.files)
    assert history(written, sample.events, None, sample.files) == expected


@given(sample=samples())
@settings(max_examples=10, deadline=None)
def test_a_date_that_is_written_as_an_event_writes_its_time_is_that_time(sample: Sample) -> None:
    for event in sample.events:
        assert dates.instant(event["time"]) == milliseconds(event["time"])


def right_histories() -> list[tuple[Sample, list[Change]]]:
    made = (generate(seed, extended=True) for seed in range(SEEDS))
    return [(sample, history(*sample[:2], None, sample.files)) for sample in made]


@pytest.fixture(scope="module")
def right() -> list[tuple[Sample, list[Change]]]:
    return right_histories()


def test_generated_samples_move_accounts_often(right: list[tuple[Sample, list[Change]]]) -> None:
    assert sum(len(changes) for _, changes in right) / len(right) > 5


def test_generated_samples_keep_the_rules_of_the_language(right: list[tuple[Sample, list[Change]]]) -> None:
    assert [breach for sample, _ in right for breach in breaches(sample)] == []


def test_generated_samples_use_every_construct_often(right: list[tuple[Sample, list[Change]]]) -> None:
    counted = Counter(word for sample, _ in right for word in words(sample.file))
    assert {word: counted[word] for word in CONSTRUCTS if counted[word] < SEEDS // 12} == {}


def differs(judge: Callable[[], object], expected: object) -> bool:
    """Whether a faulty evaluator gives another answer, or none."""
    try:
        return judge() != expected
    except (AssertionError, KeyError, TypeError, ValueError):
        return True


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_case_tells_the_fault(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault.module, fault.function, fault.wrong)
    assert any(differs(lambda case=case: moves(case), case.expected) for case in EXTENDED_CASES)


def tells(samples: list[tuple[Sample, list[Change]]], fault: Fault) -> bool:
    """Whether the faulty evaluator gives one of these samples another history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fault.module, fault.function, fault.wrong)
        return any(
            differs(lambda sample=sample: history(*sample[:2], None, sample.files), changes)
            for sample, changes in samples
        )


def test_generated_samples_tell_most_faults(right: list[tuple[Sample, list[Change]]]) -> None:
    """Each fault shows in one sample of some 3 to 300; with 600 seeds every one does."""
    missed = [fault.name for fault in FAULTS if not tells(right, fault)]
    assert len(missed) <= (0 if SEEDS >= 600 else len(FAULTS) // 3), missed
