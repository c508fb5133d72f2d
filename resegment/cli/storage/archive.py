"""`resegment archive`: keep what the topics carry as Parquet files."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.streams.archiving.archiver import TopicProgress

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment archive /var/lib/resegment/archive

resegment archive s3://our-bucket/resegment --every 1h

resegment archive archive --once --json
"""


class NoArchivePath(WrongUse):
    """It is not said where the archive is to be kept."""

    def __init__(self) -> None:
        super().__init__(
            "no path for the archive was given",
            remedy="Pass one: `resegment archive /var/lib/resegment/archive`, or set RESEGMENT_ARCHIVE.",
        )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(archive)


@takes_servers
def archive(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH",
            help="A folder, or a URL that fsspec knows, like s3://bucket/folder. Default: RESEGMENT_ARCHIVE.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Archive what the topics have now, and end.")] = False,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="DURATION", help="How often files are written. Default: 15m."),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Write signals, changes, commands, outcomes and definitions to Parquet files, each record exactly once.

    It continues where the last run stopped, however that ended. Ctrl-C writes what was read, and ends.
    """
    from resegment.cli.archiving import ArchiveRun
    from resegment.cli.logging import set_up_logging
    from resegment.cli.operations.session import open_session
    from resegment.cli.runtime.signals import ending, listening
    from resegment.console.terminal import print_note

    async def run() -> dict[str, TopicProgress]:
        async with open_session(servers, archive=path, archive_every=every) as session:
            settings = session.settings.model_copy(update={"prefix": session.prefix})
            set_up_logging(settings)
            if settings.archive is None:
                raise NoArchivePath
            archiver = ArchiveRun(
                settings,
                settings.archive,
                session.held,
                bootstrap=session.bootstrap,
                client=session.client,
            )
            if once:
                return await archiver.run(None)
            with ending(), listening(lambda: None) as stop:
                stop.ready()
                print_note(f"Archiving prefix {settings.prefix} to {settings.archive}. Ctrl-C stops it.")
                return await archiver.run(stop.asked)

    _write(asyncio.run(run()), as_json=as_json)


def _write(progress: dict[str, TopicProgress], *, as_json: bool) -> None:
    from resegment.console.operations.archive import render
    from resegment.console.terminal import screen, write_json_lines
    from resegment.streams.archiving.archiver import describe_progress

    if as_json:
        write_json_lines(sys.stdout.buffer, describe_progress(progress))
    else:
        screen().print(render(progress))
