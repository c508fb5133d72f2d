"""Options that say what a provider's files do not say, and the source that they describe."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resegment.cli.options import time_option

if TYPE_CHECKING:
    from resegment.sources.adapters.port import Adapter, Context
    from resegment.sources.conversion import Source


class DateOrder(StrEnum):
    """Which comes first in 03/04/2026."""

    mdy = "mdy"
    dmy = "dmy"


SourceName = Annotated[
    str | None,
    typer.Option(
        "--source", metavar="NAME", help="Convert the files with this adapter: see `resegment sources list`."
    ),
]
MapFile = Annotated[
    Path | None,
    typer.Option(
        "--map", metavar="FILE", help="A mapping file: which column becomes which part of an event."
    ),
]
OneSubject = Annotated[
    str | None,
    typer.Option("--account", metavar="DOMAIN", help="The account of records that name no company."),
]
DomainsFile = Annotated[
    Path | None,
    typer.Option(
        "--domains",
        metavar="FILE",
        help="The domain of a provider's ids, slugs or names: a JSON object, or a CSV file with two columns.",
    ),
]
TakenAt = Annotated[int | None, time_option("When a snapshot was taken that does not say it.")]
Zone = Annotated[
    str | None,
    typer.Option("--zone", metavar="ZONE", help="The zone of times without one, like Europe/Berlin."),
]
Dates = Annotated[
    DateOrder | None, typer.Option("--dates", help="What comes first in 03/04/2026: month or day.")
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="The encoding of the text. Default: by its bytes."),
]
StateFile = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help="Remember the jobs of boards and the domains of ids in this file, for the next run.",
    ),
]
Confirm = Annotated[
    int,
    typer.Option(
        "--closed-after",
        min=1,
        metavar="N",
        help="How many looks in a row must lack a job until it is closed.",
    ),
]
Empty = Annotated[
    bool,
    typer.Option(
        "--empty-clears", help="An empty cell of an attribute clears its value. Default: it is absent."
    ),
]
Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE", help="CSV, JSON, JSON Lines, XML or Parquet files, folders, or -."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of an adapter, or csv with --map.")]


def read_source(
    name: str | None,
    mapping: Path | None,
    *,
    account: str | None = None,
    domains: Path | None = None,
    at: int | None = None,
    zone: str | None = None,
    dates: DateOrder | None = None,
    encoding: str | None = None,
    empty: bool = False,
) -> Source:
    """Return the adapter with what was said of its files.

    Raises UnknownSource, WrongMapping, WrongAccounts, or typer.BadParameter for a wrong zone.
    """
    from resegment.errors import RefusedEvent
    from resegment.identity.domains import registrable_domain
    from resegment.sources.accounts import read_accounts
    from resegment.sources.adapters.mapping import read_zone
    from resegment.sources.adapters.port import Context
    from resegment.sources.conversion import Source

    try:
        known_zone = None if zone is None else read_zone(zone)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--zone") from None
    if account is not None:
        try:
            registrable_domain(account)
        except RefusedEvent as error:
            raise typer.BadParameter(error.message, param_hint="--account") from None
    context = Context(
        account=account,
        at=at,
        zone=known_zone,
        order=None if dates is None else dates.value,
        empty="null" if empty else "absent",
        accounts={} if domains is None else read_accounts(domains),
    )
    adapter, context, columns = _choose(name, mapping, context)
    return Source(adapter, context, encoding, columns=columns)


def _choose(
    name: str | None, mapping: Path | None, context: Context
) -> tuple[Adapter, Context, tuple[str, ...]]:
    """Return the adapter, the context with what the mapping file says, and the columns that it names."""
    from resegment.errors import explain_os_error
    from resegment.sources.adapters.mapping import build_adapter, read_mapping
    from resegment.sources.files.located import WrongFile
    from resegment.sources.registry import GENERIC, find_adapter

    generic = name is None or name.strip().lower() in GENERIC
    if mapping is None:
        if generic:
            raise typer.BadParameter(
                "a file of any shape needs --map FILE: `resegment sources guess FILE` writes one"
            )
        return find_adapter(name or ""), context, ()
    try:
        text = mapping.read_bytes()
    except OSError as error:
        raise WrongFile(str(mapping), explain_os_error(error), remedy="Check the path of --map.") from error
    mapped = read_mapping(text, str(mapping))
    wanted = mapped.preset if generic else name
    base = None if wanted is None else find_adapter(wanted)
    named = [*mapped.envelope.values(), *(one.field.paths for one in mapped.fields)]
    columns = tuple(dict.fromkeys(column for paths in named for column in paths))
    return build_adapter(mapped, base), mapped.apply(context), columns


def choose_source(
    name: str | None,
    mapping: Path | None,
    domains: Path | None,
    zone: str | None,
    dates: DateOrder | None,
    *,
    empty: bool = False,
) -> Source | None:
    """Return what the options of a command that reads events say; None if its files are events already.

    Raises as `read_source` does, and typer.BadParameter for options that need an adapter.
    """
    if name is None and mapping is None:
        for option, value in (("--domains", domains), ("--zone", zone), ("--dates", dates)):
            if value is not None:
                raise typer.BadParameter(
                    "it is for files of a source: pass --source NAME or --map FILE", param_hint=option
                )
        return None
    return read_source(name, mapping, domains=domains, zone=zone, dates=dates, empty=empty)
