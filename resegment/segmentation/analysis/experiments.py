"""Find experiments that will say nothing: read too early, on too few accounts, or about what nobody gets."""

from __future__ import annotations

from typing import Final

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.outcomes.experiments import USUAL_WINDOWS
from resegment.schemas.times import format_duration, parse_duration
from resegment.segmentation.definition import Definition, Segment
from resegment.segmentation.plays.experiments import Experiment

LEAST_POWER: Final = 0.5
"""With less, most differences of the stated size are missed."""
LEAST_CONFIDENCE: Final = 0.8
"""With less, more than one in five comparisons of equal plays would report a difference."""


def check_experiments(definition: Definition, problems: Problems) -> None:
    """Warn of experiments whose result will not say what they ask."""
    for one in definition.experiments.values():
        path: Path = ("experiments", one.name)
        segment = definition.segment(one.segment)
        _check_reading(one, path, problems)
        _check_segment(one, segment, definition, path, problems)
        if one.hypothesis is None:
            problems.warn(
                "no-hypothesis",
                f"{one.name!r} does not say what it expects",
                path,
                "add a hypothesis: one sentence that the result can prove wrong",
            )


def _check_reading(one: Experiment, path: Path, problems: Problems) -> None:
    usual = USUAL_WINDOWS[one.metric]
    if one.horizon < parse_duration(usual):
        problems.warn(
            "short-horizon",
            f"{format_duration(one.horizon)} is short for {one.metric}: most come within {usual}",
            (*path, "horizon"),
            f"use {usual} or more",
        )
    if one.power < LEAST_POWER:
        problems.warn(
            "weak-experiment",
            f"it finds a difference of {one.difference:.1%} in only {one.power:.0%} of cases",
            (*path, "power"),
            "use 80%",
        )
    if one.confidence < LEAST_CONFIDENCE:
        problems.warn(
            "weak-experiment",
            f"it reports a difference where there is none in {1 - one.confidence:.0%} of cases",
            (*path, "confidence"),
            "use 95%",
        )


def _check_segment(
    one: Experiment, segment: Segment, definition: Definition, path: Path, problems: Problems
) -> None:
    where = (*path, "segment")
    if segment.draft:
        problems.warn(
            "idle-experiment", f"{segment.name!r} is a draft: it takes no account", where, "activate it"
        )
    elif segment.route is None:
        problems.warn(
            "idle-experiment",
            f"{segment.name!r} has no route: it enrolls no account",
            where,
            "give it a route",
        )
    team = None if segment.route is None else definition.teams.get(segment.route.team or "")
    if not one.plays and team is not None and team.per_day is not None:
        problems.warn(
            "unequal-wait",
            "accounts wait for the team's daily limit before they are enrolled, and are held out at once",
            (*path, "holdout"),
            "remove per_day from the team while it runs, or compare two plays",
        )
    if one.plays and segment.play not in one.plays:
        problems.warn(
            "other-play",
            f"after the experiment, {segment.name!r} says {segment.play!r}, which is not compared",
            (*path, "plays"),
            "compare the segment's own play with another one",
        )
    if segment.target is not None and segment.target < one.touches:
        problems.warn(
            "few-accounts",
            f"it needs {one.touches:,} touches, and {segment.name!r} should have {segment.target:,.0f} accounts",
            (*path, "difference"),
            "look for a greater difference, or draw the accounts of a larger segment",
        )
