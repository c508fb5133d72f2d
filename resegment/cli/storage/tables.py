"""`resegment tables`: keep the tables of a warehouse equal to the topics."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.connection import WrongUse, load_settings
from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.errors import FatalError, TransientError

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.settings import Settings
    from resegment.streams.tables.writer import TabledPrefix, TablesWriter
    from resegment.tables.comparison import TableComparison
    from resegment.tables.store import TableStore

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment tables migrate --to postgresql://resegment@localhost/warehouse

resegment tables write --to postgresql://resegment@localhost/warehouse

resegment tables write --to duckdb:segments.duckdb --once

resegment tables write --to parquet:exports/segments --archive /var/lib/resegment/archive

resegment tables check --to duckdb:segments.duckdb
"""
REPORTED_EVERY: Final = 5.0
"""Seconds between two reports for `status`."""
EXPORTED_EVERY: Final = 60.0
"""Seconds between two exports to Parquet."""

To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="URL",
        help="postgresql://user@host/database, duckdb:FILE or parquet:FOLDER. Default: RESEGMENT_TABLES.",
    ),
]
Schema = Annotated[
    str, typer.Option("--schema", metavar="NAME", help="The schema of the tables, in PostgreSQL.")
]
FromArchive = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="PATH",
        help="An archive of this prefix, for records that the topics have no more. Default: RESEGMENT_ARCHIVE.",
    ),
]


class NoTables(WrongUse):
    """It is not said where the tables are."""

    def __init__(self) -> None:
        super().__init__(
            "no place for the tables was given",
            remedy="Pass one: `--to postgresql://user@host/database`, `--to duckdb:FILE` or `--to parquet:FOLDER`, or set "
            "RESEGMENT_TABLES.",
        )


class TablesDiffer(FatalError):
    """The tables are not what the topics say."""

    def __init__(self, address: str, tables: list[str]) -> None:
        super().__init__(
            f"at {address} these tables differ from the topics: {', '.join(tables)}",
            remedy="Somebody else changed rows, or a release wrote them wrongly. Write to an empty schema: "
            "`resegment tables migrate --schema NAME`, then `resegment tables write --schema NAME`.",
        )
        self.address, self.tables = address, tables


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Segments, changes, touches, commands and outcomes as tables in PostgreSQL, DuckDB or Parquet.",
        epilog=EXAMPLES,
    )
    group.command("migrate", epilog=EXAMPLES)(migrate)
    group.command("write", epilog=EXAMPLES)(write)
    group.command("check", epilog=EXAMPLES)(check)
    app.add_typer(group, name="tables")


@takes_servers
def migrate(to: To = None, schema: Schema = "resegment", servers: ServerOptions = DEFAULT_SERVERS) -> None:
    """Create the tables, or bring them to the version of this release."""
    from resegment.console.terminal import print_note

    with closing(_open(load_settings(servers, tables=to), schema)) as store:
        ran = store.migrate()
        print_note(
            f"Ran {len(ran)} {'migration' if len(ran) == 1 else 'migrations'} at {store.address}."
            if ran
            else f"The tables at {store.address} are up to date."
        )


@takes_servers
def write(
    to: To = None,
    schema: Schema = "resegment",
    once: Annotated[bool, typer.Option("--once", help="Write what the topics have now, and end.")] = False,
    archive: FromArchive = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Write what the topics carry to tables, each record exactly once, and continue with what comes.

    It continues where the last run stopped, however that ended. DuckDB and Parquet tables are created here; those in
    PostgreSQL by `resegment tables migrate`. Ctrl-C ends it.
    """
    from resegment.cli.logging import set_up_logging
    from resegment.cli.operations.session import open_session
    from resegment.cli.runtime.signals import ending, listening
    from resegment.console.operations.tables import render_progress
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.streams.tables.writer import TableProgress, TablesWriter, describe_progress
    from resegment.tables.exporting import ParquetFolder
    from resegment.tables.postgres import Postgres

    async def run() -> dict[str, TableProgress]:
        async with open_session(servers, tables=to, archive=archive) as session:
            set_up_logging(session.settings)
            store = _open(session.settings, schema)
            if not isinstance(store, Postgres):
                await asyncio.to_thread(store.migrate)
            writer = TablesWriter(store, _prefix_of(session), session.settings.outcome_window)
            try:
                if once:
                    return await writer.run(None)
                with ending(), listening(lambda: None) as stop:
                    stop.ready()
                    print_note(f"Writing prefix {session.prefix} to {store.address}. Ctrl-C stops it.")
                    beside = [
                        asyncio.ensure_future(_export(store)),
                        asyncio.ensure_future(_report(session, writer)),
                    ]
                    try:
                        return await writer.run(stop.asked)
                    finally:
                        for task in beside:
                            task.cancel()
                        await asyncio.gather(*beside, return_exceptions=True)
            finally:
                if isinstance(store, ParquetFolder):
                    await asyncio.to_thread(store.export)
                store.close()

    progress = asyncio.run(run())
    if as_json:
        write_json_lines(sys.stdout.buffer, describe_progress(progress))
    else:
        screen().print(render_progress(progress))


async def _export(store: TableStore) -> None:
    """Write the files of a Parquet folder again and again."""
    from resegment.tables.exporting import ParquetFolder

    while isinstance(store, ParquetFolder):
        await asyncio.sleep(EXPORTED_EVERY)
        await asyncio.to_thread(store.export)


async def _report(session: Session, writer: TablesWriter) -> None:
    """Let `status` say how far the tables are, until a stop."""
    from resegment.streams.tables.writer import describe_progress
    from resegment.streams.tables_report import TablesReports

    reports, address = TablesReports(session.client, session.prefix), writer.store.address
    try:
        while True:
            with suppress(TransientError):
                await reports.write(address, describe_progress(writer.progress), writer.problem)
            await asyncio.sleep(REPORTED_EVERY)
    finally:
        with suppress(TransientError):
            await reports.remove(address)


@takes_servers
def check(
    to: To = None,
    schema: Schema = "resegment",
    archive: FromArchive = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Compare the tables row by row with what the topics say up to the same records. Stop `tables write` before."""
    from resegment.cli.operations.session import open_session
    from resegment.console.operations.tables import describe_comparison, render_comparison
    from resegment.console.terminal import screen, write_json_lines
    from resegment.streams.tables.writer import rebuild_tables
    from resegment.tables.comparison import compare_tables
    from resegment.tables.duck import Duck
    from resegment.tables.rows import TOPICS
    from resegment.tables.store import read_positions

    async def run() -> tuple[str, list[TableComparison]]:
        async with open_session(servers, tables=to, archive=archive) as session:
            with closing(_open(session.settings, schema)) as store, closing(Duck()) as wanted:
                await asyncio.to_thread(store.open, session.prefix, int(session.held["partitions"]))
                with store.transaction() as transaction:
                    until = {
                        name: {
                            number: one.next_offset
                            for number, one in read_positions(transaction, name).items()
                        }
                        for name in TOPICS
                    }
                wanted.migrate()
                await rebuild_tables(wanted, _prefix_of(session), session.settings.outcome_window, until)
                return store.address, await asyncio.to_thread(compare_tables, store, wanted)

    address, found = asyncio.run(run())
    if as_json:
        write_json_lines(sys.stdout.buffer, map(describe_comparison, found))
    else:
        screen().print(render_comparison(found))
    if differing := [one.table for one in found if not one.agrees]:
        raise TablesDiffer(address, differing)


def _open(settings: Settings, schema: str) -> TableStore:
    from resegment.tables.opening import open_store

    if settings.tables is None:
        raise NoTables
    return open_store(settings.tables.get_secret_value(), schema)


def _prefix_of(session: Session) -> TabledPrefix:
    from resegment.archive.archive import Archive
    from resegment.archive.storage import Storage
    from resegment.streams.tables.writer import TabledPrefix

    path = session.settings.archive
    return TabledPrefix(
        session.topics,
        int(session.held["partitions"]),
        session.bootstrap,
        session.security,
        None if path is None else Archive.open(Storage(path)),
        session.keys,
    )
