"""Judge an endpoint by what the process that delivers to it reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from resegment.schemas.times import spell_length

PATIENCE: Final = 60.0
"""Seconds that every request may fail before that is a problem, even if sending is not paused."""
PAUSED: Final = frozenset({"left alone", "probing"})
"""The states of an endpoint that failed too often."""


def find_trouble(
    report: Mapping[str, Any],
    now: float,
    *,
    paused: Collection[str] = PAUSED,
    undone: str = "refuses what it gets",
) -> str | None:
    """Return what is wrong with an endpoint, as the end of a sentence about it, or None.

    `report` is what `EndpointConsumer.describe` returned, maybe in another version; `now` is in seconds since the epoch.
    `paused` are the states of one that failed too often, and `undone` says what dead letters mean.
    """
    problem = report.get("problem") or "it does not answer"
    since = report.get("failing_since")
    if report.get("failure"):
        return f"gets nothing, because its commands cannot be read: {report['failure']}"
    if report.get("state") in paused:
        return f"fails: {problem}"
    if since is not None and now - since > PATIENCE:
        return f"has failed for {spell_length(int((now - since) * 1000))}: {problem}"
    if undelivered := report.get("undelivered"):
        commands = "its last command is" if undelivered == 1 else f"its last {undelivered:,} commands are"
        return f"{undone}: {commands} in the dead letters: {problem}"
    return None
