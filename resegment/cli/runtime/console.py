"""`resegment console`: the console in its own process, beside workers."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import typer

from resegment.cli.options import HttpPort
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.cli.runtime.stack import Stack
    from resegment.http.access.entrance import Entrance
    from resegment.http.operations.operations import Operations
    from resegment.localization import Locale
    from resegment.settings import Settings
    from resegment.streams.live.connection import LiveConnection
    from resegment.streams.live.prefix import ViewedPrefix

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment console

RESEGMENT_KAFKA=kafka:9092 RESEGMENT_REDIS=redis://redis:6379/0 resegment console --http-port 8400
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(console)


@takes_servers
def console(servers: ServerOptions = DEFAULT_SERVERS, http_port: HttpPort = None) -> None:
    """Serve the console of a running prefix: its health, segments, accounts and versions, in a browser.

    `resegment up` serves it too. Ctrl-C stops it; nothing else depends on it. On loopback it needs no login. Elsewhere it
    needs a token (`resegment tokens create`) or a provider of OpenID Connect (RESEGMENT_OIDC_ISSUER).
    """
    from resegment.cli.connection import load_settings
    from resegment.cli.logging import set_up_logging
    from resegment.streams.runtime import loop_factory

    settings = load_settings(servers, http_port=http_port)
    set_up_logging(settings)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(settings, servers))


async def _run(settings: Settings, servers: ServerOptions) -> None:
    from fastapi import FastAPI

    from resegment.cli.access.entrance import check_login, open_entrance, open_operations
    from resegment.cli.operations.session import open_session
    from resegment.cli.runtime.signals import ending, listening
    from resegment.console.terminal import print_note
    from resegment.http.console.app import PATH, mount_console
    from resegment.http.probes import add_probes
    from resegment.http.server import serving
    from resegment.metrics import Metrics
    from resegment.streams.kafka.partition_counts import PartitionCounts
    from resegment.streams.live.prefix import viewed_prefix
    from resegment.streams.shutdown import Stopping

    metrics = Metrics()
    # A thread that asks a Kafka that is away for its topics would hold the end of the process for half a minute.
    stopping = Stopping()
    with ending(), listening(lambda: None, stopping) as stop:
        try:
            async with (
                open_session(servers) as session,
                viewed_prefix(connect(session)) as prefix,
                PartitionCounts(
                    *(session.bootstrap, session.security, session.topics),
                    *(_partitions_of(session), metrics.partitions_surplus),
                ).running(),
            ):
                app = FastAPI(title="Resegment console", docs_url=None, redoc_url=None, openapi_url=None)
                entrance = open_entrance(settings, session.client, session.prefix)
                await check_login(entrance)
                add_probes(app, session.reader.now, metrics.registry)
                operations = open_operations(settings, connect(session))
                mount_console(app, prefix, entrance, operations, locale=locale_of(settings))
                port = settings.http_port
                names = settings.http_names
                async with serving(app, settings.http_host, port, names=names, stopping=stopping) as url:
                    stop.ready()
                    print_note(
                        f"The console is at {url}{PATH}/ (prefix {session.prefix}). Press Ctrl-C to stop."
                    )
                    await stop.asked.wait()
        except asyncio.CancelledError:  # asked to stop during the start
            if not stop.asked.is_set():
                raise
    print_note("Stopped.")


def _partitions_of(session: Session) -> Callable[[], Awaitable[int]]:
    async def partitions() -> int:
        return session.reader.partitions

    return partitions


def connect(session: Session) -> LiveConnection:
    """Return where the prefix of a session is."""
    from resegment.streams.live.connection import LiveConnection

    return LiveConnection(
        session.client,
        session.bootstrap,
        session.topics,
        session.security,
        session.reader,
        session.held.get("clock", "wall"),
        session.settings.tolerance,
        session.settings.facts_per_test,
        session.settings.outcome_window,
        session.keys,
    )


@asynccontextmanager
async def console_of(
    settings: Settings, servers: Stack
) -> AsyncIterator[tuple[ViewedPrefix, Entrance, Operations]]:
    """Open the prefix of `up` for the console in its process, with its entrance and what operators do."""
    from resegment.cli.access.entrance import open_entrance, open_operations
    from resegment.state.redis.client import connect_redis
    from resegment.state.redis.reader import PrefixReader
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.live.connection import LiveConnection
    from resegment.streams.live.prefix import viewed_prefix
    from resegment.streams.sealing.keys import ProcessKeys

    keys = ProcessKeys(settings)
    client = connect_redis(settings, servers.redis_url)
    try:
        connection = LiveConnection(
            client,
            servers.bootstrap,
            Topics(settings.prefix),
            secure_kafka(settings).clients() if settings.kafka else {},
            PrefixReader(client, settings.prefix, settings.partitions),
            settings.clock,
            settings.tolerance,
            settings.facts_per_test,
            settings.outcome_window,
            keys,
        )
        async with viewed_prefix(connection) as prefix:
            yield (
                prefix,
                open_entrance(settings, client, settings.prefix),
                open_operations(settings, connection),
            )
    finally:
        await keys.aclose()
        await client.aclose()


def locale_of(settings: Settings) -> Locale:
    """Return how the console writes dates: the reader's locale, in the time zone of the settings."""
    from dataclasses import replace

    from resegment.localization import read_locale

    return replace(read_locale(settings.locale), zone=settings.timezone)
