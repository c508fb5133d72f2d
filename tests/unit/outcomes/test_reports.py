"""Seeded data sets of 20,000 outcomes: every figure of the report against a script that shares no code with it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from resegment.outcomes.measuring.measure import measure
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.options import MeasureOptions
from resegment.outcomes.measuring.report import Cycle, DealSize, Range, Report
from tests.outcome_frames import at, load_generator, make_dataset

GOLDEN = Path(__file__).parents[2] / "data" / "statistics" / "reports.jsonl.gz"
SEEDS = 50
QUICK = (0,)


def expected() -> dict[int, Any]:
    with gzip.open(GOLDEN) as lines:
        return {row["seed"]: row for row in map(orjson.loads, lines)}


@pytest.mark.parametrize(
    "seed", [seed if seed in QUICK else pytest.param(seed, marks=pytest.mark.faults) for seed in range(SEEDS)]
)
def test_every_figure_equals_that_of_an_independent_script(seed: int) -> None:
    generator = load_generator()
    touches, outcomes, shares = generator.make(seed)
    data, until = make_dataset(touches, outcomes), at(generator.UNTIL)
    made = measure(data, MeasureOptions(until=until, shares=shares))
    wanted = expected()[seed]
    assert len(outcomes) >= 19_900
    assert made.touches == wanted["touches"]
    compare("", figures(made, wanted), {name: wanted[name] for name in figures(made, wanted)})
    by_owner = measure(data, MeasureOptions(until=until, by=By.owner))
    counted = {
        group.name: {one.metric: [one.k, one.n, one.waiting] for one in group.rates}
        for group in by_owner.groups
        if group.touches
    }
    assert counted == wanted["owners"]


def figures(made: Report, wanted: Any) -> dict[str, Any]:
    """Return the report in the shape of the script's figures."""
    assert made.deal_sizes is not None
    return {
        "groups": {
            group.name: {
                "rates": {
                    one.metric: [one.k, one.n, one.waiting, *ends(one.interval)] for one in group.rates
                },
                "contacts": {
                    one.metric: [one.k, one.n, one.accounts, one.rate, *ends(one.interval)]
                    for one in group.contacts
                },
                "size": sizes(group.deal_size),
                "cycle": cycle(group.cycle),
            }
            for group in made.groups
        },
        "comparisons": {
            metric: comparison(made, metric, one) for metric, one in wanted["comparisons"].items()
        },
        "sizes": [made.deal_sizes.statistic, made.deal_sizes.p],
        "lifts": {
            one.group: {
                "sizes": [one.enrolled, one.holdout],
                "p": one.p,
                "lifts": {
                    lift.metric: [
                        *(lift.enrolled.k, lift.enrolled.n, lift.holdout.k, lift.holdout.n),
                        *(lift.p, *ends(lift.interval)),
                    ]
                    for lift in one.lifts
                }
                if one.passes
                else wanted["lifts"][one.group]["lifts"],
            }
            for one in made.holdouts
        },
        "rankings": {metric: ranking(made, metric) for metric in wanted["rankings"]},
    }


def sizes(one: DealSize) -> list[Any]:
    if one.mean_interval is None or one.median_interval is None:
        return [one.n]
    return [one.n, one.total, one.mean, one.median, *ends(one.mean_interval), *ends(one.median_interval)]


def cycle(one: Cycle) -> list[Any]:
    if not one.deals:
        return [0]
    points = [[point.day, point.won, *ends(point.interval), point.lost] for point in one.at]
    return [one.deals, one.won, one.lost, one.open, one.median_days, points]


def comparison(made: Report, metric: str, wanted: Any) -> Any:
    found = next((one for one in made.comparisons if one.metric == metric), None)
    if found is None:
        return None
    return {
        "omnibus": [found.statistic, found.p] if found.method == "chi-square" and found.p < 1 else None,
        "pairs": [
            [one.difference, one.p, one.p_holm, one.p_bh, one.p_equivalent, one.effect]
            + (ends(one.interval) if len(wanted["pairs"][0]) > 6 else [])
            for one in found.pairs
        ],
    }


def ranking(made: Report, metric: str) -> Any:
    found = next((one for one in made.rankings if one.metric == metric), None)
    if found is None:
        return None
    return [one.rate for one in sorted(found.groups, key=lambda one: one.group)]


def ends(interval: Range) -> list[float]:
    return [interval.low, interval.high]


def compare(place: str, found: Any, wanted: Any) -> None:
    """Compare figure by figure, so that a failure names the one that differs."""
    if isinstance(wanted, dict):
        assert set(found) == set(wanted), place
        for name, one in wanted.items():
            compare(f"{place}.{name}", found[name], one)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), place
        for index, one in enumerate(wanted):
            compare(f"{place}[{index}]", found[index], one)
    elif isinstance(wanted, float):
        near = 2e-4 if place.startswith(".rankings") else 1e-6
        assert found == pytest.approx(wanted, rel=near, abs=1e-7), place
    else:
        assert found == wanted, place


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield value


def test_the_script_tells_thousands_of_figures_of_each_data_set() -> None:
    known = expected()
    assert len(known) == SEEDS
    assert all(sum(1 for _ in leaves(row)) > 600 for row in known.values())
