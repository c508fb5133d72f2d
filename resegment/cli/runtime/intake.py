"""`resegment intake`: take events and webhooks over HTTP, in its own process."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import HttpPort
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.source_options import DomainsFile

if TYPE_CHECKING:
    from resegment.http.intake.keys import Access
    from resegment.settings import Settings
    from resegment.sources.adapters.port import Context

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment intake --new-key scraper

resegment intake --keys keys.yaml --http-port 8400

curl -H 'Authorization: Bearer KEY' -H 'Content-Type: application/cloudevents+json' -d @event.json http://localhost:8400/events
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(intake)


@takes_servers
def intake(
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            metavar="FILE",
            help="The keys that may send, and the secrets of webhooks. Needed unless the server is on loopback.",
        ),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(
            "--new-key",
            metavar="NAME",
            help="Print a new key on standard error, its entry for the file of keys on standard output, and exit.",
        ),
    ] = None,
    domains: DomainsFile = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    http_port: HttpPort = None,
) -> None:
    """Take CloudEvents at POST /events and webhooks of providers at POST /sources/NAME.

    The answer 202 comes once Kafka has the events. SIGTERM and Ctrl-C stop it cleanly.
    """
    if new_key is not None:
        from resegment.http.intake.keys import make_key

        key, digest = make_key()
        typer.echo(f"The key, which is shown only now: {key}", err=True)
        typer.echo(f"  - {{name: {new_key}, sha256: {digest}}}")
        return
    from resegment.cli.connection import load_settings
    from resegment.cli.logging import set_up_logging
    from resegment.http.intake.keys import Access, read_access
    from resegment.sources.accounts import read_accounts
    from resegment.sources.adapters.port import Context
    from resegment.state.redis.address import is_loopback
    from resegment.streams.runtime import loop_factory

    settings = load_settings(servers, http_port=http_port)
    access = Access() if keys is None else read_access(keys)
    context = Context(accounts={} if domains is None else read_accounts(domains))
    if not access.keys and not is_loopback(settings.http_host):
        raise WrongUse(
            f"without keys, everybody who reaches {settings.http_host} could send events",
            remedy="Pass --keys FILE, or serve on 127.0.0.1. `resegment intake --new-key NAME` makes a key.",
        )
    set_up_logging(settings)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(settings, access, context))


async def _run(settings: Settings, access: Access, context: Context) -> None:
    from resegment.cli.connection import resolve
    from resegment.cli.runtime.signals import ending, listening
    from resegment.console.counts import count
    from resegment.console.terminal import print_note
    from resegment.http.intake.app import Intake, build
    from resegment.http.server import serving
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics

    connection = resolve(settings)
    settings = connection.settings
    publisher = KafkaPublisher(
        connection.bootstrap,
        client_id="resegment-intake",
        idempotent=settings.kafka is not None,  # the embedded broker gives out no producer ids
        security=secure_kafka(settings).clients(),
        timeout=10.0,
    )
    taking = Intake(publisher, Topics(connection.prefix), access, context)
    with ending(), listening(lambda: None) as stop:
        connecting = asyncio.create_task(taking.keep_connected(publisher.start), name="connect")
        try:
            async with serving(
                build(taking), settings.http_host, settings.http_port, names=settings.http_names
            ) as url:
                stop.ready()
                who = count(len(access.keys), "key") if access.keys else "no keys"
                print_note(
                    f"The intake is running: prefix {connection.prefix}, {who}, {url}/events and {url}/docs"
                )
                await stop.asked.wait()
        except asyncio.CancelledError:  # asked to stop during the start
            if not stop.asked.is_set():
                raise
        finally:
            connecting.cancel()
            with suppress(asyncio.CancelledError):
                await connecting
            await publisher.stop()
    print_note("Stopped.")
