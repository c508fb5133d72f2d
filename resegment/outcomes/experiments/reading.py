"""Read an experiment out of touches and outcomes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from resegment.outcomes.dataset import Dataset
from resegment.outcomes.experiments.readout import (
    Comparison,
    Declared,
    Look,
    Readout,
    State,
    VariantRead,
    Verdict,
)
from resegment.outcomes.statistics.differences import always_valid_difference, difference_interval, p_value
from resegment.outcomes.statistics.intervals import always_valid, wilson
from resegment.outcomes.statistics.power import reached_power
from resegment.outcomes.statistics.samples import SampleRatio, check_ratio
from resegment.schemas.outcomes.experiments import METRIC_ACTIONS
from resegment.schemas.times import HORIZON, NEVER, format_duration, format_instant
from resegment.segmentation.plays.experiments import Experiment

_MS: Final = "\0ms"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read an experiment. `now` is in ms; with `early`, figures are shown before the horizon.

    `versions` are the fingerprints of the versions whose draw is the same as the experiment's; None if all count. `stopped` says
    that the file in force has it no more; `notes` are warnings to tell with the result.
    """

    now: int
    early: bool = False
    versions: Collection[str] | None = None
    stopped: bool = False
    looks: Sequence[Look] = ()
    notes: Sequence[str] = ()


def read_experiment(experiment: Experiment, dataset: Dataset, options: ReadOptions) -> Readout:
    """Read an experiment out as of `options.now`.

    The unit is an account, by its first touch in the experiment: of these the first as many count as were planned, each up to
    the horizon after its touch. All outcomes of the account in that time count, whatever they are credited to, so that what
    happened after the draw decides nothing (intention to treat).
    """
    drawn, others = _find_drawn(experiment, dataset.touches, options)
    counted = drawn.head(experiment.touches)
    matured = counted.filter(pl.col(_MS) + experiment.horizon <= options.now)
    state = _find_state(experiment, counted, matured, options)
    tells = options.early or state in ("read", "short")
    ratio = check_ratio(
        [counted.filter(pl.col("variant") == one).height for one in experiment.variants], experiment.shares
    )
    hits = _count_hits(experiment, dataset.outcomes, matured)
    variants = tuple(
        _read_variant(
            experiment, number, counted, matured, hits, tells=tells, final=state in ("read", "short")
        )
        for number in (0, 1)
    )
    comparison = None
    if tells and all(one.touches for one in variants):
        comparison = _compare(experiment, variants, final=state in ("read", "short"), valid=ratio.passes)
    due, is_known = _find_due(experiment, drawn, options.now)
    sizes = [one.touches for one in variants]
    return Readout(
        declared=_declare(experiment),
        at=format_instant(options.now),
        state=state,
        matured=matured.height,
        read_on=None if due is None or due > HORIZON else format_instant(due),
        read_on_is_known=is_known,
        ratio_p=ratio.p,
        ratio_passes=ratio.passes,
        variants=variants,
        comparison=comparison,
        reached_power=reached_power(
            experiment.baseline,
            experiment.baseline + experiment.difference,
            sizes[0],
            sizes[1],
            alpha=1 - experiment.confidence,
        )
        if min(sizes)
        else None,
        looks=tuple(options.looks),
        warnings=tuple(_warn(experiment, state, ratio, others, counted.height, options)),
    )


def _find_drawn(
    experiment: Experiment, touches: pl.DataFrame, options: ReadOptions
) -> tuple[pl.DataFrame, int]:
    """Return the first touch of each account in the experiment, and how many touches are of another draw."""
    mine = touches.filter(
        (pl.col("experiment") == experiment.name) & (pl.col("at").dt.epoch("ms") <= options.now)
    )
    same = pl.col("variant").is_in(list(experiment.variants)) & (pl.col("segment") == experiment.segment)
    if options.versions is not None:
        same &= pl.col("definition_version").is_in(list(options.versions))
    kept = mine.filter(same).with_columns(pl.col("at").dt.epoch("ms").alias(_MS))
    first = kept.sort("at", "touch").unique("account", keep="first", maintain_order=True)
    return first, mine.height - kept.height


def _find_state(
    experiment: Experiment, counted: pl.DataFrame, matured: pl.DataFrame, options: ReadOptions
) -> State:
    if counted.height == experiment.touches and matured.height == counted.height:
        return "read"
    if experiment.ends != NEVER and experiment.ends + experiment.horizon <= options.now:
        return "short"
    return "stopped" if options.stopped else "not-yet"


def _find_due(experiment: Experiment, drawn: pl.DataFrame, now: int) -> tuple[int | None, bool]:
    """Return when the result can be read, and whether that is known; else it is at the pace so far."""
    over = None if experiment.ends == NEVER else experiment.ends + experiment.horizon
    if drawn.height >= experiment.touches:
        due = int(drawn[_MS][experiment.touches - 1]) + experiment.horizon
        return (due, True) if over is None else (min(due, over), True)
    if drawn.is_empty():
        return over, over is not None
    first = int(drawn[_MS][0])
    if now <= first or drawn.height < 2:
        return over, over is not None
    pace = (now - first) / drawn.height
    due = round(now + (experiment.touches - drawn.height) * pace) + experiment.horizon
    return (over, True) if over is not None and over <= due else (due, False)


def _count_hits(experiment: Experiment, outcomes: pl.DataFrame, matured: pl.DataFrame) -> pl.DataFrame:
    """Return the touches whose account had the outcome within the horizon."""
    came = outcomes.filter(pl.col("action").is_in(METRIC_ACTIONS[experiment.metric])).select(
        "account", pl.col("at").dt.epoch("ms").alias("came")
    )
    joined = matured.select("touch", "account", "variant", _MS).join(came, on="account")
    inside = (pl.col("came") >= pl.col(_MS)) & (pl.col("came") <= pl.col(_MS) + experiment.horizon)
    return joined.filter(inside).unique("touch")


def _read_variant(
    experiment: Experiment,
    number: int,
    counted: pl.DataFrame,
    matured: pl.DataFrame,
    hits: pl.DataFrame,
    *,
    tells: bool,
    final: bool,
) -> VariantRead:
    name = experiment.variants[number]
    drawn, size, came = (frame.filter(pl.col("variant") == name).height for frame in (counted, matured, hits))
    interval = (wilson if final else always_valid)(came, size, experiment.confidence)
    return VariantRead(
        name=name,
        share=experiment.shares[number],
        drawn=drawn,
        touches=size,
        came=came if tells else None,
        low=float(interval.low) if tells else None,
        high=float(interval.high) if tells else None,
    )


def _compare(
    experiment: Experiment, variants: tuple[VariantRead, ...], *, final: bool, valid: bool
) -> Comparison:
    first, second = variants
    counts = (second.came or 0, second.touches, first.came or 0, first.touches)
    difference = counts[0] / counts[1] - counts[2] / counts[3]
    interval = (difference_interval if final else always_valid_difference)(*counts, experiment.confidence)
    low, high = float(interval.low), float(interval.high)
    p = float(p_value(*counts)) if final else None
    verdict: Verdict = "no-difference"
    if not valid:
        verdict = "not-comparable"
    elif (p is not None and p <= 1 - experiment.confidence) or (p is None and not low <= 0 <= high):
        verdict = "better" if difference > 0 else "worse"
    return Comparison(
        difference=difference, low=low, high=high, p_value=p, always_valid=not final, verdict=verdict
    )


def _declare(experiment: Experiment) -> Declared:
    return Declared(
        name=experiment.name,
        segment=experiment.segment,
        hypothesis=experiment.hypothesis,
        metric=experiment.metric,
        horizon=format_duration(experiment.horizon),
        baseline=experiment.baseline,
        difference=experiment.difference,
        power=experiment.power,
        confidence=experiment.confidence,
        planned=experiment.touches,
    )


def _warn(
    experiment: Experiment,
    state: State,
    ratio: SampleRatio,
    others: int,
    counted: int,
    options: ReadOptions,
) -> list[str]:
    found = list(options.notes)
    if ratio.p is None and (options.early or state in ("read", "short")):
        found.append(
            "fewer than 5 accounts are expected in a variant: whether the sizes are those that were drawn cannot be checked"
        )
    if ratio.p is not None and not ratio.passes:
        found.append(
            "the sizes of the variants are not those that were drawn: something after the draw decides who is touched, "
            "so the variants cannot be compared"
        )
    early = [one for one in options.looks if one.early]
    if early:
        names = ", ".join(dict.fromkeys(one.actor for one in early))
        found.append(
            f"looked at early {len(early)} time{'s' if len(early) > 1 else ''}, by {names}: if anything was decided by "
            "that, the fixed-horizon figures are too sure"
        )
    if options.early and state not in ("read", "short"):
        found.append(
            "this is an early look: only the intervals that hold at every look are shown. Don't decide by it"
        )
    if state == "short":
        found.append(
            f"the experiment ended with {counted:,} of {experiment.touches:,} planned touches: it finds less"
        )
    if state == "stopped":
        found.append("the file in force has this experiment no more: it was stopped before it was over")
    if others:
        found.append(f"{others:,} touches are of an earlier draw of the same name, and are left out")
    return found
