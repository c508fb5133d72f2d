"""Experiments on a terminal: what each asks, whether it may be read, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from resegment.console.dates import spell_day
from resegment.console.outcomes.words import name_metric, spell_p, spell_points, spell_share
from resegment.console.tables import make_table
from resegment.outcomes.experiments.readout import Comparison, Readout
from resegment.schemas.times import parse_instant

_STATES: Final = {"read": "read", "short": "over", "stopped": "stopped", "not-yet": "not yet"}
SHOWN_LOOKS: Final = 10


def tell_state(readout: Readout) -> str:
    """Return where an experiment is, in a sentence."""
    one = readout.declared
    progress = f"{readout.matured:,} of {one.planned:,} touches"
    if readout.state == "read":
        return f"read: all {one.planned:,} touches are {one.horizon} old"
    if readout.state == "short":
        return f"over, with {progress}"
    if readout.state == "stopped":
        return f"stopped with {progress}: it has no result"
    if readout.read_on is None:
        return f"not yet: {progress} are {one.horizon} old"
    about = "" if readout.read_on_is_known else "about "
    return f"not yet: {progress} are {one.horizon} old, read on {about}{_day(readout.read_on)}"


def render_experiments(readouts: Sequence[Readout]) -> RenderableType:
    """Render a table of experiments."""
    if not readouts:
        return Text("The file has no experiments.")
    table = make_table()
    for heading in ("experiment", "segment", "compares", "metric", "state"):
        table.add_column(heading, overflow="fold")
    for one in readouts:
        table.add_row(
            one.declared.name,
            one.declared.segment,
            " with ".join(variant.name for variant in reversed(one.variants)),
            f"{name_metric(one.declared.metric)} in {one.declared.horizon}",
            tell_state(one),
        )
    return table


def render_readout(readout: Readout) -> RenderableType:
    """Render one experiment."""
    return Group(*_parts(readout))


def _parts(readout: Readout) -> Iterator[RenderableType]:
    one = readout.declared
    yield Text(f"{one.name}: {one.segment}", style="bold")
    if one.hypothesis:
        yield Text(one.hypothesis)
    yield Text(
        f"{name_metric(one.metric)} in {one.horizon}; {spell_share(one.baseline, 0)} expected, "
        f"{spell_points(one.difference, 0)} points worth finding, power {spell_share(one.power, 0)}: "
        f"{one.planned:,} touches",
        style="dim",
    )
    yield Text(tell_state(readout), style="" if readout.state == "read" else "yellow")
    for warning in readout.warnings:
        yield Text("! ", style="bold yellow").append(warning, style="not bold")
    yield Text()
    yield _variants(readout)
    if readout.comparison is not None:
        yield Text()
        yield Text(tell_comparison(readout, readout.comparison), style="bold")
    if readout.looks:
        yield Text()
        yield _looks(readout)


def _variants(readout: Readout) -> RenderableType:
    table = make_table()
    table.add_column("variant", overflow="fold")
    for heading in ("share", "drawn", "old enough", "came", "rate", "interval"):
        table.add_column(heading, justify="right")
    for one in readout.variants:
        told = one.came is not None and one.low is not None and one.high is not None
        table.add_row(
            one.name,
            spell_share(one.share, 0),
            f"{one.drawn:,}",
            f"{one.touches:,}",
            f"{one.came:,}" if told else "–",
            spell_share(one.came / one.touches) if one.came is not None and one.touches else "–",
            f"{100 * (one.low or 0):.1f}–{100 * (one.high or 0):.1f}%" if told else "–",
        )
    return table


def tell_comparison(readout: Readout, comparison: Comparison) -> str:
    """Return what the comparison says, in a sentence."""
    first, second = (one.name for one in readout.variants)
    figures = (
        f"{spell_points(comparison.difference)} points, between {spell_points(comparison.low)} and "
        f"{spell_points(comparison.high)}"
    )
    p = "" if comparison.p_value is None else f", {spell_p(comparison.p_value)}"
    if comparison.verdict == "not-comparable":
        why = "there are too few accounts" if readout.ratio_p is None else "the sample ratio fails"
        return f"{second} and {first} cannot be compared: {why}."
    if comparison.verdict == "no-difference":
        rest = ""
        if not comparison.always_valid and comparison.high < readout.declared.difference:
            rest = f" A gain of {spell_points(readout.declared.difference, 0)} points or more is unlikely."
        return f"No difference is shown: {second} has {figures}{p}.{rest}"
    return f"{second} does {comparison.verdict} than {first}: {figures}{p}."


def _looks(readout: Readout) -> RenderableType:
    table = make_table("Who looked")
    for heading in ("when", "who", "what they saw"):
        table.add_column(heading, overflow="fold")
    for one in readout.looks[-SHOWN_LOOKS:]:
        table.add_row(
            one.at.replace("T", " ")[:16],
            one.actor,
            "figures before the horizon" if one.early else "no figures early",
        )
    if len(readout.looks) > SHOWN_LOOKS:
        table.caption = f"and {len(readout.looks) - SHOWN_LOOKS:,} earlier"
    return table


def _day(instant: str) -> str:
    return spell_day(parse_instant(instant))
