"""`resegment deliver`: send workflow commands to webhooks and sinks, in its own process."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import typer

from resegment.cli.endpoints import WebhooksFile, read_endpoints
from resegment.cli.options import HttpPort
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.sinks.file import NothingToDeliver, SinksPath, check_names, read_sinks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from resegment.metrics import Metrics
    from resegment.settings import Settings
    from resegment.sinks.loading import LoadedSinks
    from resegment.sinks.webhook.endpoints import LoadedEndpoint

EXAMPLES: Final = """
[bold]Examples[/bold]

RESEGMENT_KAFKA=kafka:9092 RESEGMENT_REDIS=redis://redis:6379/0 resegment deliver --webhooks webhooks.yaml

RESEGMENT_KAFKA=kafka:9092 RESEGMENT_REDIS=redis://redis:6379/0 resegment deliver --sinks sinks.yaml
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(deliver)


@takes_servers
def deliver(
    webhooks: WebhooksFile = None,
    sinks: SinksPath = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    http_port: HttpPort = None,
) -> None:
    """Send workflow commands to webhooks and sinks. Start as many processes as you like: they share the partitions.

    SIGTERM and Ctrl-C stop it cleanly within 10 seconds; the next process sends the remaining commands.
    """
    from resegment.cli.connection import load_settings
    from resegment.cli.logging import set_up_logging
    from resegment.streams.runtime import loop_factory

    settings = load_settings(servers, webhooks=webhooks, sinks=sinks, http_port=http_port)
    if settings.webhooks is None and settings.sinks is None:
        raise NothingToDeliver
    endpoints = {} if settings.webhooks is None else read_endpoints(settings)
    vendors = None if settings.sinks is None else read_sinks(settings)
    check_names(endpoints, vendors)
    set_up_logging(settings)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(settings, endpoints, vendors))


async def _run(
    settings: Settings, endpoints: Mapping[str, LoadedEndpoint], vendors: LoadedSinks | None
) -> None:
    from contextlib import AsyncExitStack

    from resegment.cli.connection import resolve
    from resegment.cli.runtime.signals import ending, listening
    from resegment.console.counts import count
    from resegment.console.terminal import print_note
    from resegment.http.delivery import build
    from resegment.http.server import serving
    from resegment.metrics import Metrics
    from resegment.streams.delivery.service import delivering
    from resegment.streams.sending.service import sending

    connection = resolve(settings)
    settings = connection.settings
    settings = settings.model_copy(update={"prefix": connection.prefix})
    with ending(), listening(lambda: None) as stop:
        try:
            async with AsyncExitStack() as stack:
                metrics = Metrics()
                bootstrap, redis_url = connection.bootstrap, connection.redis_url
                deliveries = await stack.enter_async_context(
                    delivering(settings, endpoints, bootstrap=bootstrap, redis_url=redis_url, metrics=metrics)
                )
                sinks = None
                if vendors is not None:
                    sinks = await stack.enter_async_context(
                        sending(settings, vendors, bootstrap=bootstrap, redis_url=redis_url, metrics=metrics)
                    )
                await stack.enter_async_context(_counting(settings, bootstrap, redis_url, metrics))
                app = build(deliveries, sinks)
                url = await stack.enter_async_context(
                    serving(app, settings.http_host, settings.http_port, names=settings.http_names)
                )
                stop.ready()
                what = [count(len(endpoints), "endpoint")] if endpoints else []
                what += [count(len(vendors.sinks), "sink")] if vendors is not None else []
                print_note(
                    f"Delivery is running: prefix {settings.prefix}, {', '.join(what)}, {url}/healthz and /metrics"
                )
                await stop.asked.wait()
        except asyncio.CancelledError:  # asked to stop during the start
            if not stop.asked.is_set():
                raise
    print_note("Stopped.")


@asynccontextmanager
async def _counting(
    settings: Settings, bootstrap: str, redis_url: str, metrics: Metrics
) -> AsyncIterator[None]:
    """Measure during the block whether topics have as many partitions as the prefix: workers end if they don't."""
    from resegment.state.redis.client import connect_redis
    from resegment.streams.kafka.partition_counts import PartitionCounts
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.prefix import is_known, read_prefix

    client = connect_redis(settings, redis_url)

    async def wanted() -> int | None:
        held = await read_prefix(client, settings.prefix)
        return int(held["partitions"]) if is_known(held) else None

    security, topics = secure_kafka(settings).clients(), Topics(settings.prefix)
    try:
        async with PartitionCounts(bootstrap, security, topics, wanted, metrics.partitions_surplus).running():
            yield
    finally:
        await client.aclose()
