"""Describe values, facts and traits for an explanation."""

from __future__ import annotations

from typing import Any, Final

from resegment.schemas.state import Entry
from resegment.schemas.times import format_duration
from resegment.segmentation.evaluation.evidence import cite
from resegment.segmentation.language.conditions import (
    Aggregate,
    Decay,
    Growth,
    OpenThings,
    Ratio,
    Score,
    Trait,
)

MAX_EVIDENCE: Final = 5
"""How many facts are named for one test: the newest."""


def cite_newest(entries: list[Entry]) -> tuple[dict[str, Any], ...]:
    """Cite the newest of the facts, each once."""
    unique = {id(entry): entry for entry in entries}.values()
    newest = sorted(unique, key=lambda one: (one.time, one.id), reverse=True)
    return tuple(cite(entry) for entry in newest[:MAX_EVIDENCE])


def plain(value: Any) -> Any:
    """Return the value as JSON takes it: a set as a sorted list."""
    return sorted(value, key=str) if isinstance(value, set | frozenset) else value


def show_value(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{', '.join(show_value(one) for one in value)}]"
    return str(value)


def describe_trait(trait: Trait) -> str:
    """Return what a trait computes, in words."""
    match trait:
        case Aggregate(function, matcher, window, field):
            return f"{function} of {f'{field} of ' if field else ''}{matcher.show(str(window))}"
        case Decay(matcher, window, half_life, field):
            shown = matcher.show(str(window))
            what = f"{field} of {shown}" if field else shown
            return f"{what}, halved every {format_duration(half_life)}"
        case Ratio(over, under):
            return f"{over} / {under}"
        case Growth(attribute, over):
            return f"growth of {attribute} over {format_duration(over)}"
        case OpenThings():
            return str(trait)
        case Score(terms):
            return f"the points of {len(terms)} conditions"
