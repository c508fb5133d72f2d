"""The results of the tests in a segments file, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from resegment.console.dates import spell_dates
from resegment.schemas.times import format_duration
from resegment.segmentation.inspection.file_tests import CaseResult


def render(results: Sequence[CaseResult]) -> Text:
    """Render one line for each expectation, what came instead below a failed one, and the counts at the end."""
    text = Text()
    for one in results:
        text.append("✓ " if one.passed else "✗ ", style="green" if one.passed else "bold red")
        text.append(one.name)
        if one.after:
            text.append(f", {format_duration(one.after)} later", style="dim")
        text.append(f"  {one.expected}\n", style="dim")
        if not one.passed:
            text.append(f"    expected {one.expected}, got {one.got}: {spell_dates(one.why)}\n", style="red")
    if not results:
        return text.append("The file has no tests.")
    failed = sum(not one.passed for one in results)
    return text.append(
        f"{len(results) - failed} passed, {failed} failed", style="bold red" if failed else "bold green"
    )
