"""Rates of contacts: of those who were written to, how many answered. The unit is the account."""

from __future__ import annotations

import math

import polars as pl

from resegment.outcomes.measuring.options import ACTIONS, OF_CONTACTS, MeasureOptions
from resegment.outcomes.measuring.rates import range_of
from resegment.outcomes.measuring.report import ContactRate
from resegment.outcomes.statistics.ratios import ratio_interval, ratio_of_sums, ratio_sequence


def count_contacts(outcomes: pl.DataFrame, touches: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each touch and contact who was written to: the days until each metric was first reached."""
    named = outcomes.filter(pl.col("person").is_not_null())
    contacts = named.group_by("touch", "person").agg(
        *(
            pl.col("days").filter(pl.col("action").is_in(ACTIONS[metric])).min().alias(metric)
            for metric in ("sent", *OF_CONTACTS)
        )
    )
    written = contacts.filter(pl.col("sent").is_not_null())
    return written.join(touches.select("touch", "group", "account", "age"), on="touch", how="inner")


def sum_by_account(contacts: pl.DataFrame, options: MeasureOptions) -> pl.DataFrame:
    """Return for each group and account how many contacts there are whose touch is old enough, and how many hit."""
    expressions = []
    for metric in OF_CONTACTS:
        window = options.windows[metric]
        mature = pl.col("age") >= window
        hit = mature & (pl.col(metric) <= window).fill_null(value=False)
        expressions += [mature.sum().alias(f"n {metric}"), hit.sum().alias(f"k {metric}")]
    return contacts.group_by("group", "account").agg(expressions).sort("group", "account")


def describe_contacts(accounts: pl.DataFrame, options: MeasureOptions) -> list[ContactRate]:
    """Return the rates over accounts, each with its contacts counted."""
    rates = []
    for metric in OF_CONTACTS:
        held = accounts.filter(pl.col(f"n {metric}") > 0)
        found = ratio_of_sums(held[f"k {metric}"].to_numpy(), held[f"n {metric}"].to_numpy())
        if found is None:
            continue
        effect = found.design_effect
        rates.append(
            ContactRate(
                metric=metric,
                k=int(held[f"k {metric}"].sum()),
                n=int(held[f"n {metric}"].sum()),
                accounts=found.accounts,
                window_days=options.windows[metric],
                rate=found.estimate,
                interval=range_of(ratio_interval(found, options.confidence)),
                always_valid=range_of(ratio_sequence(found, options.confidence)),
                design_effect=None if math.isnan(effect) else effect,
            )
        )
    return rates
