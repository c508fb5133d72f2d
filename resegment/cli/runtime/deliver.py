"""`resegment deliver`: send workflow commands to webhooks, in its own process."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import typer

from resegment.cli.endpoints import WebhooksFile, read_endpoints
from resegment.cli.options import HttpPort
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resegment.settings import Settings
    from resegment.sinks.webhook.endpoints import LoadedEndpoint

EXAMPLES: Final = """
[bold]Example[/bold]

RESEGMENT_KAFKA=kafka:9092 RESEGMENT_REDIS=redis://redis:6379/0 resegment deliver --webhooks webhooks.yaml
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(deliver)


@takes_servers
def deliver(
    webhooks: WebhooksFile = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    http_port: HttpPort = None,
) -> None:
    """Send workflow commands to webhooks. Start as many processes as you like: they share the partitions.

    SIGTERM and Ctrl-C stop it cleanly within 10 seconds; the next process sends the remaining commands.
    """
    from resegment.cli.connection import load_settings
    from resegment.cli.logging import set_up_logging
    from resegment.streams.runtime import loop_factory

    settings = load_settings(servers, webhooks=webhooks, http_port=http_port)
    endpoints = read_endpoints(settings)
    set_up_logging(settings)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(settings, endpoints))


async def _run(settings: Settings, endpoints: Mapping[str, LoadedEndpoint]) -> None:
    from resegment.cli.connection import resolve
    from resegment.cli.runtime.signals import ending, listening
    from resegment.console.counts import count
    from resegment.console.terminal import print_note
    from resegment.http.delivery import build
    from resegment.http.server import serving
    from resegment.streams.delivery.service import delivering

    connection = resolve(settings)
    settings = connection.settings
    settings = settings.model_copy(update={"prefix": connection.prefix})
    with ending(), listening(lambda: None) as stop:
        try:
            async with delivering(
                settings, endpoints, bootstrap=connection.bootstrap, redis_url=connection.redis_url
            ) as deliveries:
                app = build(deliveries)
                async with serving(
                    app, settings.http_host, settings.http_port, names=settings.http_names
                ) as url:
                    stop.ready()
                    print_note(
                        f"Delivery is running: prefix {settings.prefix}, {count(len(endpoints), 'endpoint')}, {url}/healthz and /metrics"
                    )
                    await stop.asked.wait()
        except asyncio.CancelledError:  # asked to stop during the start
            if not stop.asked.is_set():
                raise
    print_note("Stopped.")
