"""The evaluator of switches: cases worked out by hand, and what every generated chain of versions must keep to."""

import random
from collections import Counter

import pytest

from .cases_switches import SWITCH_CASES, SwitchCase
from .generate import generate
from .generate.switches import switches, words_of
from .naive import history
from .naive.switching import Version, switching_history


@pytest.mark.parametrize("case", SWITCH_CASES, ids=lambda case: case.name)
def test_the_evaluator_agrees_with_what_was_worked_out_by_hand(case: SwitchCase) -> None:
    found = switching_history(case.versions, case.events, case.until)
    assert [(one.account, one.from_, one.to, one.effective_at) for one in found] == case.expected


@pytest.mark.parametrize("seed", range(10))
def test_one_version_alone_is_judged_as_ever(seed: int) -> None:
    file, events, files = generate(seed, extended=True)
    assert switching_history([Version(file, files)], events, None) == history(file, events, None, files)


@pytest.mark.parametrize("seed", range(10))
def test_a_switch_to_the_same_file_changes_nothing(seed: int) -> None:
    file, events, files = generate(seed, extended=True)
    at = [one.effective_at for one in history(file, events, None, files)]
    chain = [Version(file, files), *(Version(file, files, one) for one in sorted({*at[1:4]}))]
    assert switching_history(chain, events, None) == history(file, events, None, files)


def test_chains_of_versions_have_everything_in_them() -> None:
    found: Counter[str] = Counter()
    for seed in range(60):
        found.update(words_of(switches(generate(seed, extended=True), random.Random(seed))))
    wanted = [
        "moved",
        "exchanged",
        "fallback moved",
        "gone",
        "fresh name",
        "draft",
        "hold",
        "gates",
        "privacy",
    ]
    assert {name: found[name] for name in wanted if found[name] < 5} == {}
