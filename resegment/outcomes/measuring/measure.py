"""Measure what came of touches, group by group."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl
from msgspec.structs import replace

from resegment.outcomes.dataset import Dataset
from resegment.outcomes.diagnosis.diagnose import diagnose
from resegment.outcomes.diagnosis.exploring import explore
from resegment.outcomes.measuring.comparing import compare_rates, compare_sizes
from resegment.outcomes.measuring.contacts import count_contacts, describe_contacts, sum_by_account
from resegment.outcomes.measuring.deals import WON, describe_cycle, describe_size, find_deals
from resegment.outcomes.measuring.lifting import ENROLLED, check_holdouts
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.options import RATES, MeasureOptions
from resegment.outcomes.measuring.preparing import credited_outcomes, find_flows, select_touches, tabulate
from resegment.outcomes.measuring.ranking import rank_groups
from resegment.outcomes.measuring.rates import Count, Counts, count_rates, describe_rates, total_of
from resegment.outcomes.measuring.report import Group, Report, Uncredited

TOTAL = "all"


def measure(dataset: Dataset, options: MeasureOptions, features: pl.DataFrame | None = None) -> Report:
    """Return the report. The same data and options give the same report: what is drawn at random has a seed.

    `features` has `touch` and what was true of accounts as they were touched; with it, groups are searched for attributes
    that separate outcomes.
    """
    touches = select_touches(dataset, options)
    enrolled = touches.filter(pl.col("arm") == ENROLLED)
    outcomes = credited_outcomes(dataset, enrolled, options)
    table = tabulate(enrolled, outcomes)
    counts = count_rates(table, options)
    totals = {metric: total_of(counts[metric]) for metric in RATES}
    overall = {metric: one.rate for metric, one in totals.items()}
    accounts = sum_by_account(count_contacts(outcomes, enrolled), options)
    deals = find_deals(outcomes, options)
    sizes = _sizes(touches)
    contacts, deals_by = _partition(accounts), _partition(deals)
    groups = [
        Group(
            name=name,
            **sizes[name],
            rates=describe_rates(
                {metric: counts[metric].get(name, Count(0, 0, 0)) for metric in RATES}, overall, options
            ),
            contacts=describe_contacts(contacts.get(name, accounts.clear()), options),
            deal_size=describe_size(deals_by.get(name, deals.clear()), options),
            cycle=describe_cycle(deals_by.get(name, deals.clear()), options),
        )
        for name in sorted(sizes)
    ]
    everyone = accounts.group_by("account").agg(pl.exclude("group", "account").sum()).sort("account")
    total = Group(
        name=TOTAL,
        touches=len(enrolled),
        accounts=enrolled["account"].n_unique(),
        held_out=len(touches) - len(enrolled),
        rates=describe_rates(totals, overall, options),
        contacts=describe_contacts(everyone, options),
        deal_size=describe_size(deals, options),
        cycle=describe_cycle(deals, options),
    )
    comparisons = [
        one for metric in RATES if (one := compare_rates(metric, counts[metric], options)) is not None
    ]
    rankings = [
        rank for metric in RATES if (rank := rank_groups(metric, counts[metric], options)) is not None
    ]
    report = Report(
        by=options.by.value,
        since=None if options.since is None else _spell(options.since),
        until=_spell(options.until),
        mature=options.mature,
        confidence=options.confidence,
        detect=options.detect,
        power=options.power,
        touches=len(enrolled),
        accounts=touches["account"].n_unique(),
        held_out=len(touches) - len(enrolled),
        outcomes=len(dataset.outcomes),
        uncredited=[
            Uncredited(reason=reason, outcomes=count) for reason, count in dataset.uncredited.items()
        ],
        dropped=dataset.dropped,
        total=total,
        groups=groups,
        comparisons=comparisons,
        deal_sizes=compare_sizes(
            {
                name: frame.filter(pl.col("cause") == WON)["amount"].drop_nulls().sort().to_numpy()
                for name, frame in deals_by.items()
            },
            options,
        ),
        rankings=rankings,
        holdouts=[] if options.by is By.owner else check_holdouts(dataset, touches, options),
        flows=find_flows(table),
        findings=[],
        notes=_notes(dataset, touches, counts, options),
    )
    found = diagnose(report, options.margins)
    if features is not None:
        found += explore(table, features, options)
    return replace(report, findings=found)


def _sizes(touches: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return how many touches, accounts and held-out accounts each group has."""
    is_enrolled = pl.col("arm") == ENROLLED
    rows = touches.group_by("group").agg(
        touches=is_enrolled.sum(),
        accounts=pl.col("account").filter(is_enrolled).n_unique(),
        held_out=(~is_enrolled).sum(),
    )
    return {row.pop("group"): row for row in rows.sort("group").to_dicts()}


def _partition(frame: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    return {str(key[0]): part for key, part in frame.partition_by("group", as_dict=True).items()}


def _spell(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _notes(dataset: Dataset, touches: pl.DataFrame, counts: Counts, options: MeasureOptions) -> list[str]:
    """Return what a reader has to know."""
    notes = []
    if dataset.dropped:
        notes.append(f"{dataset.dropped} touches and outcomes are missing: an account had too many.")
    if len(touches) and touches["account"].n_unique() < 0.9 * len(touches):
        repeated = 1 - touches["account"].n_unique() / len(touches)
        notes.append(
            f"{repeated:.0%} of the touches are of accounts that were touched before: touches of one account are not "
            "independent, and the intervals of touches are a little too narrow."
        )
    waiting = [
        metric for metric in RATES if counts[metric] and not any(one.n for one in counts[metric].values())
    ]
    young = [metric for metric in waiting if any(one.waiting for one in counts[metric].values())]
    if young:
        windows = ", ".join(f"{metric} ({options.windows[metric]} days)" for metric in young)
        notes.append(f"No touch is old enough yet for: {windows}.")
    if options.by is By.owner and (touches["arm"] != ENROLLED).any():
        notes.append("Held-out accounts have no owner: see their lift by segment or play.")
    return notes
