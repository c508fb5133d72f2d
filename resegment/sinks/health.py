"""Judge a sink by what the process that sends to it reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from resegment.sinks.webhook.health import find_trouble

PAUSED: Final = frozenset({"paused", "probing"})
"""The states of a sink that failed too often."""


def find_sink_trouble(report: Mapping[str, Any], now: float) -> str | None:
    """Return what is wrong with a sink, as the end of a sentence about it, or None.

    `report` is what `SendingService.describe` returned, maybe in another version; `now` is in seconds since the epoch.
    """
    problem = report.get("problem") or "it does not answer"
    if not report.get("failure") and report.get("state") == "signed out":
        return (
            f"is signed out, and its commands wait: {problem}. Replace its credentials: a file is read again at once, "
            "an environment variable after a restart"
        )
    return find_trouble(report, now, paused=PAUSED, undone="cannot carry out what it gets")


class KeptState(Protocol):
    """What is kept of a sink."""

    @property
    def begun(self) -> Collection[str]:
        """The topics in which it has a position."""
        ...

    @property
    def reports(self) -> Mapping[str, Mapping[str, Any]]:
        """What live processes report."""
        ...


def find_sinks_in_trouble(sinks: Mapping[str, KeptState], now: float) -> list[str]:
    """Return what is wrong with sinks, one sentence each. `now` is in seconds since the epoch."""
    problems = []
    sent = any(kept.reports for kept in sinks.values())
    for name, kept in sorted(sinks.items()):
        found = (find_sink_trouble(one, now) for one in kept.reports.values())
        troubles = [one for one in found if one is not None]
        if troubles:
            problems.append(f"the sink {name} {troubles[0]}")
        elif kept.begun and not sent:  # one that only others send beside was taken out of the file
            problems.append(f"no process sends to the sink {name}: its commands wait")
    return problems
