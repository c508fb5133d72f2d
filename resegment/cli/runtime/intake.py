"""`resegment intake`: take events and webhooks over HTTP, in its own process."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import HttpPort
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.source_options import DomainsFile

if TYPE_CHECKING:
    from resegment.http.intake.access import Access
    from resegment.http.intake.service import Intake
    from resegment.settings import Settings
    from resegment.sources.adapters.port import Context
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.sealing.keys import ProcessKeys

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
            help="The keys that may send, the secrets of webhooks, and sources of your own. Needed unless the server is on "
            "loopback. Default: RESEGMENT_INTAKE.",
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

    The answer 202 comes once Kafka has the events. SIGTERM and Ctrl-C stop it cleanly. The file of keys is read again
    when it changes.
    """
    if new_key is not None:
        from resegment.http.intake.keys import make_key

        key, digest = make_key()
        typer.echo(f"The key, which is shown only now: {key}", err=True)
        typer.echo(f"  - {{name: {new_key}, sha256: {digest}}}")
        return
    from resegment.cli.connection import load_settings
    from resegment.cli.logging import set_up_logging
    from resegment.http.intake.access import Access, read_access
    from resegment.sources.accounts import read_accounts
    from resegment.sources.adapters.port import Context
    from resegment.state.redis.address import is_loopback
    from resegment.streams.runtime import loop_factory

    settings = load_settings(servers, http_port=http_port, intake=keys)
    access = Access() if settings.intake is None else read_access(settings.intake)
    context = Context(accounts={} if domains is None else read_accounts(domains), unresolved=True)
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
    from resegment.http.intake.app import build
    from resegment.http.intake.service import Intake
    from resegment.http.server import serving
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.runtime import settle
    from resegment.streams.sealing.keys import ProcessKeys

    connection = resolve(settings)
    keys = ProcessKeys(connection.settings, connection.prefix)
    publisher = make_publisher(connection.settings, connection.bootstrap, keys)
    taking = Intake(publisher, Topics(connection.prefix), access, context)
    with ending(), listening(lambda: None) as stop:
        try:
            async with (
                taking_in(taking, publisher, connection.settings, keys),
                serving(
                    build(taking), settings.http_host, settings.http_port, names=settings.http_names
                ) as url,
            ):
                settle(keeps_accounts=False)
                stop.ready()
                who = count(len(access.keys), "key") if access.keys else "no keys"
                print_note(
                    f"The intake is running: prefix {connection.prefix}, {who}, {url}/events and {url}/docs"
                )
                await stop.asked.wait()
        except asyncio.CancelledError:  # asked to stop during the start
            if not stop.asked.is_set():
                raise
    print_note("Stopped.")


def make_publisher(settings: Settings, bootstrap: str, keys: ProcessKeys) -> KafkaPublisher:
    """Return the publisher of an intake. What it keeps as dead letters is sealed with `keys`."""
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics

    return KafkaPublisher(
        bootstrap,
        client_id="resegment-intake",
        idempotent=settings.kafka is not None,  # the embedded broker gives out no producer ids
        security=secure_kafka(settings).clients(),
        timeout=10.0,
        seal=keys.seal(Topics(settings.prefix)),
    )


@asynccontextmanager
async def taking_in(
    taking: Intake, publisher: KafkaPublisher, settings: Settings, sealing: ProcessKeys
) -> AsyncIterator[None]:
    """Look after the publisher, the file of keys and the traces of an intake during the block.

    Raises as `resegment.state.keys.opening.open_keys` does, where dead letters are to be sealed.
    """
    from resegment.streams.tracing.opening import exporting_traces

    await sealing.ring()
    keys = settings.intake
    tasks = [asyncio.create_task(taking.keep_ready(taking.prove, publisher.look), name="intake: ready")]
    if keys is not None:
        tasks.append(asyncio.create_task(_follow_keys(taking, keys), name="intake: keys"))
    try:
        async with exporting_traces(settings, "intake") as taking.tracing:
            yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await publisher.stop()
        await sealing.aclose()


async def _follow_keys(taking: Intake, path: Path) -> None:
    """Read the file of keys again when it changes. One that cannot be read changes nothing."""
    import structlog

    from resegment.http.intake.access import WrongKeys, read_access

    log = structlog.get_logger(__name__)
    seen = _stamp(path)
    while True:
        await asyncio.sleep(1.0)
        found = _stamp(path)
        if found == seen:
            continue
        seen = found
        try:
            access = read_access(path)
        except WrongKeys as error:
            log.warning("the file of keys cannot be read; the last one holds", error=error.message)
            continue
        if taking.access.keys and not access.keys:
            log.warning("the file of keys has no key any more; the last one holds", file=str(path))
            continue
        taking.access = access
        log.info("the file of keys was read again", keys=len(access.keys))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
