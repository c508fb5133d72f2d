"""Webhook endpoints on a terminal, and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from resegment.console.tables import make_table
from resegment.schemas.times import format_instant
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.state.redis.webhooks import EndpointState

_STYLES = {
    "delivering": "green",
    "disabled": "red",
    "left alone": "yellow",
    "probing": "yellow",
    "refusing": "red",
}
_LABELS = {"left alone": "paused", "nobody delivers": "no process delivers"}
"""What people read in place of a state; programs get the state."""
_WORST_FIRST = ("left alone", "probing", "starting", "delivering")


def describe(
    name: str, endpoint: Endpoint, kept: EndpointState | None, dead_letters: int = 0
) -> dict[str, Any]:
    """Return an endpoint and its state as plain JSON data; of several processes, the worst state.

    `dead_letters` wait to be sent to it again.
    """
    reports = [] if kept is None else list(kept.reports.values())
    reports.sort(key=_rank)
    worst: Mapping[str, Any] = reports[0] if reports else {}
    disabled = None if kept is None else kept.disabled
    state = "disabled" if disabled else worst.get("state", "nobody delivers")
    since = worst.get("failing_since")
    return {
        "endpoint": name,
        "to": endpoint.origin,
        "topics": sorted(endpoint.topics),
        "headers": sorted(endpoint.headers),
        "workflows": None if endpoint.workflows is None else sorted(endpoint.workflows),
        "actions": None if endpoint.actions is None else sorted(endpoint.actions),
        "state": state,
        "lag": sum(one.get("lag", 0) for one in reports) if reports else None,
        "failing_since": None if since is None else format_instant(int(since) * 1000),
        "undelivered": max((one.get("undelivered", 0) for one in reports), default=0),
        "dead_letters": dead_letters,
        "problem": disabled["why"] if disabled else worst.get("problem"),
        "disabled_at": disabled["at"] if disabled else None,
    }


def _rank(report: Mapping[str, Any]) -> tuple[int, int]:
    state = report.get("state")
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else 0, -report.get("undelivered", 0)


def render_list(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Render a table of the endpoints."""
    table = make_table()
    table.add_column("endpoint", no_wrap=True)
    table.add_column("to", overflow="fold")
    table.add_column("workflows", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("lag", justify="right")
    table.add_column("problem", overflow="fold", ratio=1)
    for row in rows:
        workflows = "all" if row["workflows"] is None else ", ".join(row["workflows"])
        if "workflow-commands" not in row["topics"]:
            workflows = "segment changes"
        elif "segment-changes" in row["topics"]:
            workflows += ", and segment changes"
        lag = "" if row["lag"] is None else f"{row['lag']:,}"
        name = str(row["state"])
        if name == "delivering" and row["undelivered"]:
            name = "refusing"
        state = Text(_LABELS.get(name, name), style=_STYLES.get(name, "dim"))
        table.add_row(row["endpoint"], row["to"], workflows, state, lag, Text(str(row["problem"] or "")))
    return table
