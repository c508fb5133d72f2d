"""Render the sinks of a file, their state, and what a person should look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from resegment.console.tables import make_table
from resegment.schemas.times import format_instant
from resegment.sinks.loading import LoadedSink
from resegment.sinks.registry import UNTRIED
from resegment.state.sinks.states import SinkState

_STYLES: Final = {"sending": "green", "signed out": "red", "paused": "yellow", "probing": "yellow"}
_WORST_FIRST: Final = ("signed out", "paused", "probing", "starting", "sending")
NOTES_SHOWN: Final = 10


def describe(loaded: LoadedSink, kept: SinkState | None, dead_letters: int = 0) -> dict[str, Any]:
    """Return a sink and its state as plain JSON data; of several processes, the worst state."""
    reports = [] if kept is None else sorted(kept.reports.values(), key=_rank)
    worst: Mapping[str, Any] = reports[0] if reports else {}
    since = worst.get("failing_since")
    vendor = loaded.vendor
    return {
        "sink": loaded.name,
        "vendor": vendor.name,
        "tried": UNTRIED,
        "can": sorted(vendor.capabilities),
        "instead": dict(vendor.instead),
        "workflows": sorted(loaded.targets),
        "fields": {} if loaded.entry.fields is None else loaded.entry.fields.names,
        "dry_run": loaded.entry.dry_run,
        "state": worst.get("state", "no process sends"),
        "lag": sum(one.get("lag", 0) for one in reports) if reports else None,
        "failing_since": None if since is None else format_instant(int(since) * 1000),
        "undelivered": max((one.get("undelivered", 0) for one in reports), default=0),
        "dead_letters": dead_letters,
        "problem": worst.get("problem"),
        "notes": [] if kept is None else list(kept.notes),
    }


def _rank(report: Mapping[str, Any]) -> tuple[int, int]:
    state = report.get("state")
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else 0, -report.get("undelivered", 0)


def render_list(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Render a table of the sinks."""
    table = make_table()
    table.add_column("sink", no_wrap=True)
    table.add_column("vendor", no_wrap=True)
    table.add_column("can", overflow="fold")
    table.add_column("workflows", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("lag", justify="right")
    table.add_column("dead letters", justify="right")
    table.add_column("problem", overflow="fold")
    for row in rows:
        state = str(row["state"]) + (" (dry run)" if row["dry_run"] else "")
        lag = row["lag"]
        table.add_row(
            row["sink"],
            row["vendor"],
            ", ".join(row["can"]),
            ", ".join(row["workflows"]) or "fields only",
            Text(state, style=_STYLES.get(str(row["state"]), "dim")),
            "" if lag is None else f"{lag:,}",
            f"{row['dead_letters']:,}",
            row["problem"] or "",
        )
    return table


def render_notes(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    """Render what a person should look at, the latest first; None if there is nothing."""
    notes = [(row["sink"], note) for row in rows for note in row["notes"]]
    if not notes:
        return None
    notes.sort(key=lambda pair: str(pair[1].get("at", "")), reverse=True)
    more = f"the latest {NOTES_SHOWN} of {len(notes)}" if len(notes) > NOTES_SHOWN else ""
    table = make_table("To look at", more)
    for name in ("at", "sink", "account", "action", "outcome"):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="fold")
    for sink, note in notes[:NOTES_SHOWN]:
        cells = (str(note.get(name, "")) for name in ("account", "action", "outcome", "text"))
        table.add_row(str(note.get("at", "")), sink, *cells)
    return table


def tell_instead(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what sinks do in place of what their vendors can't do, one line each."""
    return [
        f"{row['sink']}: {action}: {text}" for row in rows for action, text in sorted(row["instead"].items())
    ]
