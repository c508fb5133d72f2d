"""What an apply came to, on a terminal."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from resegment.console.counts import count
from resegment.console.dates import spell_instant
from resegment.console.operations.changes import tell_unread
from resegment.segmentation.planning.outcome import Departed, Outcome
from resegment.segmentation.planning.plan import Plan

SHOWN: Final = 10


def render_outcome(
    plan: Plan, version: int, at: int | None, outcome: Outcome | None, *, pending: bool, shadow: bool
) -> RenderableType:
    """Render that a version is in force, how many accounts moved, and which did not move as planned."""
    when = "" if at is None else f" since {spell_instant(at)}"
    if shadow:
        return Text(
            f"Version {version} is judged beside the one in force{when}: `resegment shadow` compares them."
        )
    if pending and at is not None:
        return Text(f"Version {version} takes over on {spell_instant(at)}: all partitions have it noted.")
    head = Text("✓ ", style="green").append(f"Version {version} is in force{when}.", style="bold default")
    if outcome is None or (plan.changes != "segments" and not outcome.moved):
        return head
    told = f"{count(outcome.moved, 'account')} moved, {outcome.as_planned:,} as planned"
    parts = [head] if not outcome.unread else [head, Text(f"{tell_unread(outcome.unread)}.")]
    if not outcome.departed:
        return Group(*parts, Text(f"{told}."))
    lines = [Text(f"{told}. Facts or time came in between for {count(len(outcome.departed), 'account')}:")]
    lines += [Text(f"  {_tell(one)}") for one in outcome.departed[:SHOWN]]
    more = len(outcome.departed) - SHOWN
    if more > 0:
        lines.append(Text(f"  and {more:,} more; --json lists all"))
    return Group(*parts, *lines)


def _tell(one: Departed) -> str:
    planned = "no move" if one.planned is None else " to ".join(one.planned)
    done = "did not move" if one.done is None else f"moved from {' to '.join(one.done)}"
    return f"{one.account} {done}; planned: {planned}"
