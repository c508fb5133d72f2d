"""`resegment sources`: the adapters of providers, and converting their files. Options that read files with one."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from resegment.cli.found import write_found
from resegment.cli.scraping import EXAMPLES as SCRAPE_EXAMPLES
from resegment.cli.scraping import scrape
from resegment.cli.source_options import (
    Confirm,
    Dates,
    DomainsFile,
    Empty,
    Encoding,
    Files,
    MapFile,
    Name,
    OneSubject,
    StateFile,
    TakenAt,
    Zone,
    read_source,
)

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment sources list

resegment sources show hubspot

resegment sources convert hubspot companies.csv --zone America/New_York > events.jsonl

resegment sources convert csv leads.csv --map map.yaml

resegment sources guess export.csv > map.yaml
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List the adapters of providers, and convert their files to events.",
        no_args_is_help=True,
        epilog=EXAMPLES,
    )
    group.command("list")(list_sources)
    group.command("show")(show)
    group.command("convert", epilog=EXAMPLES)(convert)
    group.command("test")(count_converted)
    group.command("guess")(guess)
    group.command("new")(new)
    group.command("scrape", epilog=SCRAPE_EXAMPLES)(scrape)
    app.add_typer(group, name="sources")


def list_sources(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the name of each adapter, and what it reads."""
    from resegment.console.terminal import write_json
    from resegment.sources.registry import all_adapters

    adapters = all_adapters()
    if as_json:
        write_json(
            sys.stdout.buffer,
            [
                {
                    "name": one.name,
                    "title": one.title,
                    "reads": one.reads,
                    "kinds": sorted({t.kind for t in one.tables}),
                }
                for one in adapters
            ],
        )
        return
    width = max(len(one.name) for one in adapters)
    for one in adapters:
        typer.echo(f"{one.name:<{width}}  {one.reads}")


def show(name: Name) -> None:
    """Print the mapping of an adapter: what each record and field becomes, and what is ignored."""
    from resegment.sources.adapters.reference import describe_adapter
    from resegment.sources.registry import find_adapter

    typer.echo(describe_adapter(find_adapter(name)), nl=False)


def convert(
    name: Name,
    files: Files,
    mapping: MapFile = None,
    account: OneSubject = None,
    domains: DomainsFile = None,
    at: TakenAt = None,
    zone: Zone = None,
    dates: Dates = None,
    encoding: Encoding = None,
    empty: Empty = False,
    state: StateFile = None,
    confirm: Confirm = 2,
) -> None:
    """Print the events of files as JSON Lines; what is refused or left out, with its place, on standard error.

    Exits with 0 if any event came out.
    """
    from resegment.sources.conversion import convert_files
    from resegment.sources.state import read_state, write_state

    source = read_source(
        name,
        mapping,
        account=account,
        domains=domains,
        at=at,
        zone=zone,
        dates=dates,
        encoding=encoding,
        empty=empty,
    )
    if state is not None:
        source = replace(source, state=read_state(state), confirm=confirm)
    events = write_found(convert_files(files, source))
    if state is not None and source.state is not None:
        write_state(state, source.state)
    if not events:
        raise typer.Exit(1)


def count_converted(
    name: Name,
    files: Files,
    mapping: MapFile = None,
    account: OneSubject = None,
    domains: DomainsFile = None,
    at: TakenAt = None,
    zone: Zone = None,
    dates: Dates = None,
) -> None:
    """Count what an adapter makes of files: events by kind, refusals by reason, and fields that it does not know.

    Exits with 1 if a record is refused for another reason than being ignored.
    """
    from resegment.sources.adapters.reference import Tally
    from resegment.sources.conversion import convert_files
    from resegment.sources.guessing import find_unknown

    source = read_source(name, mapping, account=account, domains=domains, at=at, zone=zone, dates=dates)
    tally = Tally()
    for file, line, item in convert_files(files, source):
        tally.add(file, line, item)
    typer.echo(tally.describe(), nl=False)
    if mapping is None:
        unknown = sorted(
            {
                column
                for path in files
                if path != "-" and Path(path).is_file()
                for column in find_unknown(path, source.adapter)
            }
        )
        if unknown:
            typer.echo(f"fields that it does not know: {', '.join(unknown)}")
    if tally.failed:
        raise typer.Exit(1)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for the adapter, like my-tool.")],
    folder: Annotated[
        Path,
        typer.Option("--folder", metavar="FOLDER", file_okay=False, help="Where to write it. Default: here."),
    ] = Path(),
) -> None:
    """Write the skeleton of an adapter with a payload and a test. Pass its .py file where the name of an adapter goes."""
    from resegment.sources.skeleton import write_skeleton

    for path in write_skeleton(name, folder):
        typer.echo(path)


def guess(files: Files) -> None:
    """Print a mapping file to edit for each file, with the adapter that fits best in a comment."""
    from resegment.sources.guessing import guess_file

    for path in files:
        typer.echo(guess_file(path), nl=False)
