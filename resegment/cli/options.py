"""Options that several commands share, and how to read their values."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from resegment.schemas.times import parse_instant


class Format(StrEnum):
    """The formats of events that can be named."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    yc = "yc"


class RouteMode(StrEnum):
    """Which changes enroll accounts."""

    all = "all"
    changed = "changed"
    none = "none"


class Identity(StrEnum):
    """Which accounts there are: as they were known at the time, or as they are identified now."""

    then = "then"
    now = "now"


def parse_time(text: str) -> int:
    """Return an instant in ms: RFC 3339, or a day with or without a time, both in UTC."""
    match = _IN_UTC.fullmatch(text.strip())
    if match is None:
        full = text
    else:
        day, clock, seconds = match.groups()
        full = f"{day}T{clock or '00:00'}{seconds or ':00'}Z"
    try:
        return parse_instant(full)
    except ValueError:
        raise typer.BadParameter(
            f"{text[:40]!r} is not a time: write a day in UTC (2026-01-31), a day and time in UTC (2026-01-31 09:00), "
            "or a time with its offset (2026-01-31T09:00:00+01:00)"
        ) from None


_IN_UTC: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?)?", re.ASCII)


def time_option(meaning: str) -> Any:
    """Return an option that takes an instant; `meaning` is its help."""
    return typer.Option(parser=parse_time, metavar="TIME", help=meaning)


def limit_option(meaning: str, shown: int) -> Any:
    """Return `--limit`; `meaning` is what N limits, `shown` how many a table shows without it."""
    return typer.Option(
        "--limit", min=1, metavar="N", help=f"{meaning} Default: {shown}, or all with --json."
    )


SEGMENTS_HELP = "The segments file, or a folder whose *.yaml files are merged."
EVENTS_HELP = (
    "Events: a .jsonl, .csv or .parquet file, a folder, or - for JSON Lines on standard input. Repeatable."
)

Segments = Annotated[str, typer.Option("--segments", "-s", metavar="FILE", help=SEGMENTS_HELP)]
SomeSegments = Annotated[
    str | None,
    typer.Option(
        "--segments", "-s", metavar="FILE", help=f"{SEGMENTS_HELP} Default: the file of the running instance."
    ),
]
SegmentsArgument = Annotated[str, typer.Argument(metavar="SEGMENTS", help=SEGMENTS_HELP)]
Events = Annotated[list[str], typer.Option("--events", "-e", metavar="FILE", help=EVENTS_HELP)]
SomeEvents = Annotated[list[str] | None, typer.Option("--events", "-e", metavar="FILE", help=EVENTS_HELP)]
RecordedCommands = Annotated[
    list[str] | None,
    typer.Option(
        "--commands",
        metavar="FILE",
        help="With --events: recorded workflow commands, touches, or segment changes with a holdout, as JSON lines. Repeatable.",
    ),
]
EventFormat = Annotated[
    Format | None, typer.Option("--format", help="The format of the events. Default: by the file suffix.")
]
Route = Annotated[
    RouteMode | None,
    typer.Option(
        "--route",
        help="Which changes enroll accounts from now on: every change (all), only moves from one segment to another "
        "(changed), or no change (none). Default: as before; none for a new prefix.",
    ),
]
SegmentsFile = Annotated[
    Path | None,
    typer.Option(
        "--segments", "-s", metavar="FILE", help="The segments file, or a folder. Default: segments.yaml."
    ),
]
ArchivePath = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="PATH",
        help="Archive the topics as Parquet files to this folder or URL. Default: RESEGMENT_ARCHIVE.",
    ),
]
HttpPort = Annotated[
    int | None,
    typer.Option(
        "--http-port",
        metavar="PORT",
        help="The port of /healthz, /readyz and /metrics; 0 picks a free one. Default: 8300.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

SavedOutcomes = Annotated[
    Path | None,
    typer.Option(
        "--outcomes",
        metavar="REPORT",
        dir_okay=False,
        help="What came of touches, as `resegment metrics --json` wrote it: warn of segments that predict nothing.",
    ),
]

OneAccount = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="A domain, URL or email address of the account.")
]
PastArchive = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="PATH",
        help="Look back with this archive instead of the log of the running prefix. It needs no servers.",
    ),
]
AsIdentified = Annotated[
    Identity,
    typer.Option(
        "--identity",
        help="With --at: accounts as they were identified then, or with the aliases and merges of now.",
    ),
]
SomeAccounts = Annotated[
    list[str] | None,
    typer.Argument(metavar="ACCOUNT", help="Only these accounts: domains, URLs or email addresses."),
]
InSegment = Annotated[
    str | None, typer.Option("--segment", metavar="NAME", help="Only accounts in this segment.")
]
