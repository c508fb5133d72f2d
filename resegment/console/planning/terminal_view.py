"""A plan on a terminal: what differs, who moves, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_dates
from resegment.console.planning.words import (
    count_by_name,
    describe_difference,
    headline,
    name_route,
    name_size,
    notes,
    subtitle,
    tell_commands,
    tell_route,
    tell_span,
)
from resegment.console.tables import make_table
from resegment.segmentation.planning.plan import Difference, Plan, PlannedFlow, SegmentSize

MAX_FLOWS: Final = 20
MAX_SAMPLED: Final = 5
"""How many flows have their samples shown."""
MAX_ROWS: Final = 12
_MAX_NAME: Final = 32


def render(plan: Plan) -> Group:
    """Render the plan, the most important first."""
    return Group(*_parts(plan))


def _parts(plan: Plan) -> Iterator[RenderableType]:
    yield (
        Text("Plan ", style="bold")
        .append(plan.hash, style="bold cyan")
        .append(f"  {subtitle(plan)}", style="not bold dim")
    )
    yield Text(headline(plan), style="bold" if plan.moved else "")
    for warning in plan.warnings:
        yield Text("! ", style="bold yellow").append(warning, style="not bold")
    tables = (
        render_differences(plan.differences),
        render_sizes(plan.sizes) if plan.changes == "segments" else None,
        render_flows(plan.flows),
        render_samples(plan.flows),
        _gates(plan),
        _enrollments(plan),
        _overlaps(plan),
        _shadowed(plan),
        _unjudged(plan),
        _expected(plan),
    )
    for table in tables:
        if table is not None:
            yield Text()
            yield table
    found = list(notes(plan))
    if found:
        yield Text()
    for note in found:
        yield Text(note)


def render_differences(differences: tuple[Difference, ...]) -> RenderableType | None:
    """Render how two versions differ by meaning; parts that are unchanged are only counted."""
    changed = [one for one in differences if one.what != ("unchanged",)]
    if not changed:
        return None
    same = len(differences) - len(changed)
    title, table = _titled("What differs", f"{same} unchanged" if same else "")
    table.add_column("part", overflow="fold", max_width=_MAX_NAME)
    table.add_column("how", overflow="fold")
    for one in changed:
        name = Text(f"{one.part} ", style="dim").append(one.name, style="not dim bold")
        how = Text(describe_difference(one))
        style = {"added": "green", "removed": "red"}.get(one.what[0], "")
        for words in one.words:
            how.append(f"\n{words}", style=style)
        table.add_row(name, how)
    return Group(title, table)


def _titled(title: str, note: str = "") -> tuple[Text, Table]:
    """Return a title that a narrow table does not break, and the table."""
    text = Text(title, style="bold")
    if note:
        text.append(f"  {note}", style="not bold dim")
    return text, make_table()


def render_sizes(
    sizes: Sequence[SegmentSize], names: tuple[str, str] = ("before", "after")
) -> RenderableType | None:
    """Render how many accounts each segment has, by two versions of that name."""
    if not sizes:
        return None
    title, table = _titled("Accounts by segment")
    table.add_column("segment", no_wrap=True, overflow="ellipsis", max_width=_MAX_NAME)
    for name in (*names, "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in sizes:
        difference = one.after - one.before
        style = "green" if difference > 0 else "red" if difference < 0 else "dim"
        table.add_row(
            name_size(one),
            f"{one.before:,}",
            f"{one.after:,}",
            Text(f"{difference:+,}" if difference else "0", style=style),
        )
    return Group(title, table)


def render_flows(flows: Sequence[PlannedFlow], name: str = "Moves") -> RenderableType | None:
    """Render how many accounts go from which segment to which."""
    if not flows:
        return None
    shown, hidden = flows[:MAX_FLOWS], len(flows) - MAX_FLOWS
    title, table = _titled(name, f"the largest {MAX_FLOWS} of {len(flows)}" if hidden > 0 else "")
    for column in ("from", "to"):
        table.add_column(column, overflow="fold", max_width=_MAX_NAME)
    table.add_column("accounts", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    top = max(one.accounts for one in shown)
    for one in shown:
        bar = Text("only the name" if one.renamed else "█" * max(1, round(16 * one.accounts / top)))
        bar.stylize("dim" if one.renamed else "cyan")
        table.add_row(one.from_, one.to, f"{one.accounts:,}", bar)
    return Group(title, table)


def render_samples(
    flows: Sequence[PlannedFlow], names: tuple[str, str] = ("before", "after")
) -> RenderableType | None:
    """Render why some accounts are where they are, by two versions of that name."""
    explained = [one for one in flows if one.samples][:MAX_SAMPLED]
    if not explained:
        return None
    width = max(map(len, names)) + 2
    parts: list[RenderableType] = [Text("Why, for some of them", style="bold")]
    for flow in explained:
        parts.append(Text(f"{flow.from_} to {flow.to}", style="cyan"))
        for one in flow.samples:
            parts.append(Padding(Text(one.account, style="bold"), (0, 0, 0, 2)))
            for label, text in zip(names, (one.before, one.after), strict=True):
                line = Text(label.ljust(width), style="dim").append(spell_dates(text), style="not dim")
                parts.append(Padding(line, (0, 0, 0, 4)))
    return Group(*parts)


def _gates(plan: Plan) -> RenderableType | None:
    changed = [one for one in plan.gates if one.before != one.after]
    if not changed:
        return None
    title, table = _titled("Suppressions and territories", "accounts for which they hold")
    table.add_column("name", overflow="fold")
    for name in ("before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in changed:
        table.add_row(one.name, f"{one.before:,}", f"{one.after:,}")
    return Group(title, table)


def _enrollments(plan: Plan) -> RenderableType | None:
    if not plan.enrollments:
        return None
    title, table = _titled("Enrollments", "what each --route would start and stop")
    table.add_column("--route", no_wrap=True)
    names = [
        name
        for name in ("start", "stop", "finish", "pause")
        if any(name in tell_commands(one) for one in plan.enrollments)
    ]
    for name in names or ["start"]:
        table.add_column(name, justify="right", overflow="fold")
    for one in plan.enrollments:
        told = tell_commands(one)
        chosen = one.route == name_route(plan.route)
        table.add_row(
            Text(one.route, style="bold" if chosen else ""),
            *(told.get(name, "0") for name in names or ["start"]),
        )
    return Group(title, table, Text(f"This plan: {tell_route(plan.route)}.", style="dim"))


def _overlaps(plan: Plan) -> RenderableType | None:
    if not plan.overlaps:
        return None
    shown, hidden = plan.overlaps[:MAX_ROWS], len(plan.overlaps) - MAX_ROWS
    note = f"the largest {MAX_ROWS} of {len(plan.overlaps)}" if hidden > 0 else "the first one takes them"
    title, table = _titled("Accounts that qualify for two segments", note)
    for name in ("first", "also"):
        table.add_column(name, overflow="fold", max_width=_MAX_NAME)
    table.add_column("accounts", justify="right", no_wrap=True)
    for one in shown:
        table.add_row(one.segment, one.also, f"{one.accounts:,}")
    return Group(title, table)


def _shadowed(plan: Plan) -> RenderableType | None:
    if not plan.shadowed:
        return None
    title, table = _titled("Segments that are never reached")
    table.add_column("segment", overflow="fold", max_width=_MAX_NAME)
    table.add_column("qualify", justify="right", no_wrap=True)
    table.add_column("are in", overflow="fold")
    for one in plan.shadowed:
        table.add_row(
            one.segment,
            f"{one.qualify:,}",
            count_by_name(one.taken_by),
        )
    return Group(title, table)


def _unjudged(plan: Plan) -> RenderableType | None:
    if not plan.unjudged:
        return None
    ordered = sorted(plan.unjudged, key=lambda one: -one.accounts)
    hidden = len(ordered) - MAX_ROWS
    note = f"the largest {MAX_ROWS} of {len(ordered)}" if hidden > 0 else "because a value is unknown"
    title, table = _titled("Accounts that a test can't judge", note)
    table.add_column("segment", overflow="fold", max_width=_MAX_NAME)
    table.add_column("test", overflow="fold")
    table.add_column("accounts", justify="right", no_wrap=True)
    for one in ordered[:MAX_ROWS]:
        table.add_row(one.segment, one.test, f"{one.accounts:,}")
    return Group(title, table)


def _expected(plan: Plan) -> RenderableType | None:
    if not plan.expected:
        return None
    title, table = _titled(
        "Outcomes to expect of the accounts that move", "if each is touched once, at past rates"
    )
    for name in ("from", "to"):
        table.add_column(name, overflow="fold", max_width=_MAX_NAME)
    table.add_column("accounts", justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for name in ("at the old rate", "at the new rate"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in plan.expected[: 3 * MAX_ROWS]:
        spans = (tell_span(one.before), tell_span(one.after))
        table.add_row(one.from_, one.to, f"{one.accounts:,}", one.metric, *spans)
    return Group(title, table)
