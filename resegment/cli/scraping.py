"""`resegment sources scrape`: what changed on public job boards."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.found import write_found
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.source_options import Confirm, DomainsFile, OneSubject, StateFile, TakenAt, read_source
from resegment.errors import RefusedEvent

if TYPE_CHECKING:
    from pathlib import Path

    from resegment.cli.operations.session import Session
    from resegment.sources.conversion import Found, Source
    from resegment.sources.state import SourceState

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment sources scrape greenhouse acme globex --domains boards.csv --state boards.json > jobs.jsonl

resegment sources scrape greenhouse acme --domains boards.csv --live | resegment ingest -

resegment sources scrape greenhouse --from snapshots --account acme.com --state boards.json > jobs.jsonl
"""


@takes_servers
def scrape(
    system: Annotated[
        str, typer.Argument(metavar="SYSTEM", help="greenhouse, lever, ashby, workable or smartrecruiters.")
    ],
    boards: Annotated[
        list[str] | None,
        typer.Argument(metavar="BOARD", help="The names of boards, as in their addresses."),
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="FILE", help="Read stored answers, or a folder of them, in place of the web."
        ),
    ] = None,
    state: StateFile = None,
    live: Annotated[
        bool, typer.Option("--live", help="Keep what is known of the boards in the Redis of the prefix.")
    ] = False,
    account: OneSubject = None,
    domains: DomainsFile = None,
    at: TakenAt = None,
    confirm: Confirm = 2,
    servers: ServerOptions = DEFAULT_SERVERS,
) -> None:
    """Fetch public job boards, and print what changed since the last time as JSON Lines.

    One request a second to a host, only what changed (ETag), and nothing that robots.txt forbids. A failure is no news.
    Exits with 1 if no board answered.
    """
    from resegment.sources.boards.scraping import URLS

    if live and state is not None:
        raise typer.BadParameter("pass --live or --state: what is known of the boards is kept in one place")
    if bool(boards) == bool(files):
        raise typer.BadParameter("pass the names of boards, or files with --from")
    if at is not None and not files:
        raise typer.BadParameter("it is for files: boards are looked at now", param_hint="--at")
    source = read_source(system, None, account=account, domains=domains, at=at)
    if source.adapter.name not in URLS:
        raise typer.BadParameter(f"it is none of {', '.join(URLS)}", param_hint="SYSTEM")
    names = [f"{source.adapter.name}/{board}" for board in boards] if boards else None
    keeping = _kept_live(names, servers) if live else _kept_in_file(state)
    with keeping as known:
        source = replace(source, state=known, confirm=confirm)
        answered = _convert(files, source) if files else _fetch(boards or [], source)
    if not answered:
        raise typer.Exit(1)


@contextmanager
def _kept_in_file(file: Path | None) -> Iterator[SourceState]:
    """Yield what is known of the boards, and keep it in the file afterwards, if there is one."""
    from resegment.sources.state import SourceState, read_state, write_state

    known = SourceState() if file is None else read_state(file)
    yield known
    if file is not None:
        write_state(file, known)


@contextmanager
def _kept_live(names: list[str] | None, servers: ServerOptions) -> Iterator[SourceState]:
    """Yield what Redis knows of the boards, by default of all, and keep those that were looked at afterwards."""
    from resegment.cli.operations.session import run_in_session
    from resegment.sources.state import pack_boards, unpack_boards
    from resegment.streams.boards import BoardStore

    async def read(session: Session) -> dict[str, bytes]:
        return await BoardStore(session.client, session.prefix).read(names)

    async def write(session: Session) -> None:
        looked = {
            name: one for name, one in pack_boards(known, known.boards).items() if one != given.get(name)
        }
        await BoardStore(session.client, session.prefix).write(looked)

    given = run_in_session(read, servers)
    known = unpack_boards(given)
    yield known
    run_in_session(write, servers)


def _convert(files: list[str], source: Source) -> bool:
    """Print what changed from one stored answer to the next; return whether any gave an event."""
    from resegment.sources.conversion import convert_files

    return write_found(convert_files(files, source)) > 0


def _fetch(boards: list[str], source: Source) -> bool:
    """Print what changed on the boards; return whether one of them answered."""
    import httpx

    from resegment.sources.boards.scraping import Scraper
    from resegment.sources.conversion import scrape_boards

    failed = 0

    def watch() -> Iterator[Found]:
        nonlocal failed
        for found in scrape_boards(boards, source, Scraper(client), time.time_ns() // 1_000_000):
            failed += isinstance(found[2], RefusedEvent)
            yield found

    with httpx.Client(follow_redirects=True) as client:
        write_found(watch())
    return failed < len(boards)
