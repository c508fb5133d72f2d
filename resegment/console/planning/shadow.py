"""A shadow beside the version in force, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from resegment.console.counts import count
from resegment.console.dates import spell_dates
from resegment.console.planning.terminal_view import (
    render_differences,
    render_flows,
    render_samples,
    render_sizes,
)
from resegment.segmentation.planning.shadow import ShadowReport


def render(report: ShadowReport) -> Group:
    """Render how many accounts the shadow has elsewhere, the sizes of both, and why."""
    return Group(*_parts(report))


def _parts(report: ShadowReport) -> Iterator[RenderableType]:
    head = Text(f"Shadow: version {report.version}", style="bold")
    yield head.append(
        spell_dates(f"  beside version {report.base}, since {report.since}, compared at {report.at}"),
        style="not bold dim",
    )
    if report.differ:
        share = f" ({report.differ / report.accounts:.1%})"
        yield Text(
            f"It has {report.differ:,} of {count(report.accounts, 'account')} elsewhere{share}.", style="bold"
        )
    else:
        yield Text(f"It has every account where version {report.base} has it ({report.accounts:,}).")
    for warning in report.warnings:
        yield Text("! ", style="bold yellow").append(warning, style="not bold")
    tables = (
        render_differences(report.differences),
        render_sizes(report.sizes, (f"version {report.base}", f"version {report.version}")),
        render_flows(report.flows, "Accounts that are elsewhere"),
        render_samples(report.flows, (f"version {report.base}", f"version {report.version}")),
    )
    for table in tables:
        if table is not None:
            yield Text()
            yield table
    yield Text()
    yield Text("Switch to it with `resegment promote`, or end it with `resegment discard`.", style="dim")
