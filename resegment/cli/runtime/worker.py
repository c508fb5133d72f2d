"""`resegment worker`: one worker that uses an external Kafka and Redis."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import ArchivePath, HttpPort, Route, SegmentsFile
from resegment.cli.runtime.up import read_segments
from resegment.cli.servers import Kafka, Prefix, Redis

if TYPE_CHECKING:
    from resegment.segmentation.definition import Definition
    from resegment.settings import Settings

EXAMPLES: Final = """
[bold]Example[/bold]

RESEGMENT_KAFKA=kafka:9092 RESEGMENT_REDIS=redis://redis:6379/0 resegment worker --segments segments.yaml
"""


class ServersMissing(WrongUse):
    """A worker was started without its servers: `names` are the missing variables."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"{' and '.join(names)} must be set",
            remedy="A worker needs an external Kafka and Redis; `resegment up` brings its own.",
        )
        self.names = names


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(worker)


def worker(
    segments: SegmentsFile = None,
    kafka: Kafka = None,
    redis: Redis = None,
    prefix: Prefix = None,
    http_port: HttpPort = None,
    route: Route = None,
    archive: ArchivePath = None,
) -> None:
    """Run one worker. Start as many as you like, on any machine: they share the partitions.

    SIGTERM and Ctrl-C stop it cleanly. It exits with 1 after an error; let your supervisor start it again.
    """
    from resegment.cli.connection import load_settings
    from resegment.cli.logging import set_up_logging
    from resegment.cli.operations.auditing import given_actor
    from resegment.streams.runtime import loop_factory

    settings = load_settings(
        segments=segments,
        kafka=kafka,
        redis=redis,
        prefix=prefix,
        http_port=http_port,
        route=route,
        archive=archive,
        actor=given_actor(),
    )
    servers = {"RESEGMENT_KAFKA": settings.kafka, "RESEGMENT_REDIS": settings.redis}
    if missing := [name for name, value in servers.items() if value is None]:
        raise ServersMissing(missing)
    set_up_logging(settings)
    definition = _read_own_file(settings)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(settings, definition))


def _read_own_file(settings: Settings) -> Definition | None:
    """Return the worker's segments file; None, with a warning, if it cannot be read: the prefix may have versions."""
    from structlog import get_logger

    from resegment.cli.runtime.up import NoSegmentsYet
    from resegment.documents.diagnostics import InvalidSegments
    from resegment.sources.segments import NoSegmentsFile

    try:
        return read_segments(settings)
    except (NoSegmentsYet, NoSegmentsFile, InvalidSegments) as error:
        get_logger(__name__).warning("the segments file of this worker cannot be read", reason=error.message)
        return None


async def _run(settings: Settings, definition: Definition | None) -> None:
    from resegment.cli.runtime.serving import running
    from resegment.cli.runtime.signals import ending, listening
    from resegment.cli.runtime.stack import stack
    from resegment.console.terminal import print_note
    from resegment.streams.runtime import settle
    from resegment.streams.shutdown import Stopping

    stopping = Stopping()
    with ending(), listening(lambda: None, stopping) as stop:
        try:
            async with (
                stack(settings) as servers,
                running(settings, definition, servers, stopping=stopping) as serving,
            ):
                stop.ready()
                settle()
                print_note(
                    f"The worker is running: prefix {settings.prefix}, {serving.http_url}/healthz and /metrics"
                )
                await serving.until_stopped(stop)
        except asyncio.CancelledError:  # asked to stop during the start
            if not stop.asked.is_set():
                raise
    print_note("Stopped.")
