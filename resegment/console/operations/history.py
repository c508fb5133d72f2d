"""The versions of a prefix, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_dates
from resegment.console.sanitizing import escape_line
from resegment.console.tables import make_table
from resegment.streams.definitions.chronicle import ApplyEntry, VersionEntry


def render_history(versions: Sequence[VersionEntry], prefix: str) -> Table:
    """Render a table of the versions, the newest last, with every apply below its version."""
    table = make_table("Versions", f"prefix {prefix}; times in UTC")
    for name in ("version", "made", "by", "what it changed"):
        table.add_column(name, overflow="fold", justify="right" if name == "version" else "left")
    for one in versions:
        table.add_row(
            Text(f"{'*' if one.in_force else ''}{one.number}", style="bold" if one.in_force else ""),
            spell_dates(one.at),
            escape_line(one.author),
            _describe(one),
        )
    return table


def _describe(one: VersionEntry) -> Text:
    text = Text(escape_line(one.changes))
    if one.message and one.message not in one.changes:
        text.append(f"\n“{escape_line(one.message)}”", style="italic")
    if one.in_force and one.since is not None:
        text.append(f"\nin force since {spell_dates(one.since)}", style="green")
    for apply in one.applies:
        text.append(f"\n{spell_dates(describe_apply(apply))}", style="dim")
    return text


def describe_apply(one: ApplyEntry) -> str:
    """Return an apply in one line: `applied at ..., from version 1, --route none`."""
    route = one.route if isinstance(one.route, str) else " ".join(one.route)
    words = [_tell_state(one), f"from version {one.from_version}"]
    if one.rollback_of is not None:
        words.append(f"rollback of version {one.rollback_of}")
    if one.kind == "switch" and one.state != "void":
        words.append(f"--route {route}")
    if one.reason:
        words.append(escape_line(one.reason))
    return ", ".join(words)


def _tell_state(one: ApplyEntry) -> str:
    """Return how an apply stands: `applied at ...`, or of a shadow `shadow since ..., discarded at ...`."""
    if one.kind != "shadow":
        return one.state if one.at is None else f"{one.state} at {one.at}"
    began = "shadow" if one.at is None else f"shadow since {one.at}"
    if one.state == "running":
        return began
    return f"{began}, {one.state}" if one.ended is None else f"{began}, {one.state} at {one.ended}"
