"""`resegment up`: everything on this machine."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import ArchivePath, HttpPort, Route, SegmentsFile
from resegment.cli.runtime.examples import show_path
from resegment.cli.servers import Folder, Prefix

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from fastapi import FastAPI

    from resegment.cli.runtime.serving import Serving
    from resegment.cli.runtime.signals import Stop
    from resegment.cli.runtime.stack import Stack
    from resegment.http.intake.access import Access
    from resegment.metrics import Metrics
    from resegment.segmentation.definition import Definition
    from resegment.settings import Settings
    from resegment.sinks.loading import LoadedSinks
    from resegment.sinks.webhook.endpoints import LoadedEndpoint
    from resegment.streams.delivery.service import DeliveryService
    from resegment.streams.worker.worker import Worker

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment up --segments examples/quickstart.yaml

resegment up --segments segments.yaml --folder /var/lib/resegment --http-port 0
"""


class NoSegmentsYet(WrongUse):
    """The default segments file does not exist."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"no segments file: {path} does not exist",
            remedy=f"Pass one with --segments. To try an example: --segments {show_path('quickstart.yaml')}",
        )
        self.path = path


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(up)


def up(
    segments: SegmentsFile = None,
    folder: Folder = None,
    prefix: Prefix = None,
    http_port: HttpPort = None,
    route: Route = None,
    archive: ArchivePath = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete the data of the embedded servers first.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="With --fresh: do not ask for confirmation.")
    ] = False,
) -> None:
    """Run everything on this machine: broker, Redis, worker and HTTP. Ctrl-C stops it cleanly.

    The broker and Redis are embedded, unless RESEGMENT_KAFKA or RESEGMENT_REDIS is set.
    """
    import asyncio

    from resegment.cli.connection import load_settings
    from resegment.cli.logging import set_up_logging
    from resegment.cli.operations.auditing import given_actor

    settings = load_settings(
        segments=segments,
        folder=folder,
        prefix=prefix,
        http_port=http_port,
        route=route,
        archive=archive,
        actor=given_actor(),
    )
    definition = read_segments(settings)
    if fresh:
        _confirm(settings, yes=yes)
    set_up_logging(settings)
    asyncio.run(_run(settings, definition, fresh=fresh))


def read_segments(settings: Settings) -> Definition:
    """Return the definition that the settings name. Raises NoSegmentsYet, NoSegmentsFile or InvalidSegments."""
    from resegment.sources.segments import load_definition

    if "segments" not in settings.model_fields_set and not settings.segments.exists():
        raise NoSegmentsYet(settings.segments)
    return load_definition(str(settings.segments))


def _confirm(settings: Settings, *, yes: bool) -> None:
    from resegment.cli.runtime.stack import has_data

    if settings.redis is not None:
        raise typer.BadParameter(
            "--fresh deletes only the data of embedded servers, and RESEGMENT_REDIS is set: use a new --prefix instead"
        )
    if not yes and has_data(settings.folder):
        typer.confirm(f"Delete all accounts in {settings.folder}?", abort=True, err=True)


async def _run(settings: Settings, definition: Definition, *, fresh: bool) -> None:
    from asyncio import CancelledError

    from resegment.cli.connection import INSTANCE_FILE
    from resegment.cli.runtime.signals import ending, listening

    with ending(), listening(lambda: (settings.folder / INSTANCE_FILE).unlink(missing_ok=True)) as stop:
        try:
            await _serve(settings, definition, stop, fresh=fresh)
        except CancelledError:  # asked to stop during the start: nothing was taken in yet
            if not stop.asked.is_set():
                raise


async def _serve(settings: Settings, definition: Definition, stop: Stop, *, fresh: bool) -> None:
    from contextlib import AsyncExitStack

    from resegment.cli.access.entrance import advise_login
    from resegment.cli.connection import Instance, announced
    from resegment.cli.runtime.console import console_of, locale_of
    from resegment.cli.runtime.disk import watching_disk
    from resegment.cli.runtime.intake import make_publisher, taking_in
    from resegment.cli.runtime.serving import running
    from resegment.cli.runtime.stack import stack
    from resegment.console.runtime.instance import render_up
    from resegment.console.terminal import print_note, screen
    from resegment.http.console.app import mount_console
    from resegment.http.intake.app import add_routes
    from resegment.http.intake.service import Intake
    from resegment.sources.adapters.port import Context
    from resegment.state.redis.address import without_password
    from resegment.streams.runtime import settle
    from resegment.streams.sealing.keys import ProcessKeys

    print_note("Starting ...")
    _read_outgoing(settings)
    access, key = _read_access(settings)
    async with stack(settings, fresh=fresh) as servers:
        publisher = make_publisher(settings, servers.bootstrap, keys := ProcessKeys(settings))
        takings: list[Intake] = []

        def extend(app: FastAPI, worker: Worker) -> None:
            takings.append(Intake(publisher, worker.topics, access, Context(unresolved=True), worker.metrics))
            add_routes(app, takings[0])
            mount_console(app, *console, locale=locale_of(settings))

        left_accounts = await _count_accounts(settings, servers.redis_url)
        async with AsyncExitStack() as parts:
            console = await parts.enter_async_context(console_of(settings, servers))
            serving = await parts.enter_async_context(running(settings, definition, servers, extend=extend))
            if settings.kafka is None:
                await serving.joined()
            await parts.enter_async_context(taking_in(takings[0], publisher, settings, keys))
            outgoing = await _deliver(parts, settings, servers, serving.worker.metrics)
            instance = Instance(
                os.getpid(),
                servers.bootstrap,
                # the password of an embedded server is a new one at each start; one that was set is never kept
                servers.redis_url if settings.redis is None else without_password(settings.redis),
                settings.prefix,
                settings.partitions,
                serving.http_url,
                str(settings.segments.absolute()),
            )
            settle()
            with announced(settings.folder, instance):
                stop.ready()
                mode = serving.worker.policy.mode
                rendered = render_up(
                    settings,
                    serving.worker.definition,
                    instance,
                    left_accounts,
                    mode,
                    outgoing.endpoints,
                    key,
                    outgoing.sinks,
                )
                screen().print(rendered, soft_wrap=False, crop=False)
                if (advice := await advise_login(console[1])) is not None:
                    print_note(advice)
                async with watching_disk(servers.journal, serving.worker.metrics.journal_full):
                    await serving.until_stopped(stop)
            await takings[0].close()
            if settings.kafka is None:
                await _drain(serving, outgoing.deliveries)
    print_note("Stopped.")


class Outgoing(NamedTuple):
    """What takes commands out: the names of webhook endpoints and sinks, and what delivers to the former."""

    endpoints: list[str]
    sinks: list[str]
    deliveries: DeliveryService | None


def _read_outgoing(settings: Settings) -> tuple[dict[str, LoadedEndpoint], LoadedSinks | None]:
    """Return the endpoints and sinks that the settings name. Raises InvalidWebhooks, InvalidSinks or SameName."""
    from resegment.cli.endpoints import read_endpoints
    from resegment.cli.sinks.file import check_names, read_sinks

    endpoints = {} if settings.webhooks is None else read_endpoints(settings)
    vendors = None if settings.sinks is None else read_sinks(settings)
    check_names(endpoints, vendors)
    return endpoints, vendors


async def _deliver(parts: AsyncExitStack, settings: Settings, servers: Stack, metrics: Metrics) -> Outgoing:
    """Deliver to webhooks and sinks as long as the stack is open."""
    from resegment.streams.delivery.service import delivering
    from resegment.streams.sending.service import sending

    endpoints, vendors = _read_outgoing(settings)
    bootstrap, redis_url = servers.bootstrap, servers.redis_url
    deliveries = None
    if endpoints:
        deliveries = await parts.enter_async_context(
            delivering(settings, endpoints, bootstrap=bootstrap, redis_url=redis_url, metrics=metrics)
        )
    if vendors is not None:
        await parts.enter_async_context(
            sending(settings, vendors, bootstrap=bootstrap, redis_url=redis_url, metrics=metrics)
        )
    return Outgoing(list(endpoints), [] if vendors is None else list(vendors.sinks), deliveries)


def _read_access(settings: Settings) -> tuple[Access, Path | None]:
    """Return who may send over HTTP; without a file of keys, the holder of a key that is kept in the folder, and its file."""
    from resegment.http.intake.access import Access, read_access
    from resegment.http.intake.keys import keep_key

    if settings.intake is not None:
        access = read_access(settings.intake)
        if access.keys:
            return access, None
        path, key = keep_key(settings.folder)
        return replace(access, keys=(key,)), path
    path, key = keep_key(settings.folder)
    return Access((key,)), path


async def _count_accounts(settings: Settings, redis_url: str) -> int:
    """Return how many accounts an earlier run left in Redis."""
    from resegment.state.redis.client import connect_redis
    from resegment.state.redis.reader import PrefixReader

    client = connect_redis(settings, redis_url)
    try:
        partitions = await PrefixReader(client, settings.prefix, settings.partitions).look()
        return sum(one.accounts for one in partitions)
    finally:
        await client.aclose()


async def _drain(serving: Serving, deliveries: DeliveryService | None) -> None:
    """Process what is in the embedded broker before it stops, as far as there is time."""
    from resegment.console.counts import count
    from resegment.console.terminal import print_note
    from resegment.streams.kafka.topic_reader import reading

    worker = serving.worker
    timeout = worker.settings.drain_timeout
    before, lag, since = worker.changes_decided, worker.lag, time.monotonic()
    print_note(
        f"Stopping: finishing the remaining events, for up to {timeout:g} s. Ctrl-C again stops at once."
    )
    drained = await worker.drain(timeout)
    if deliveries is not None:
        ends: dict[tuple[str, int], int] = {}
        for topic in {name for one in deliveries.consumers.values() for name in one.topics}:
            async with reading(serving.servers.bootstrap, topic) as reader:
                ends |= {(topic, number): end for number, end in (await reader.ends()).items()}
        drained = await deliveries.caught_up(ends, timeout - (time.monotonic() - since)) and drained
    took = time.monotonic() - since
    if drained:
        print_note(f"Finished in {took:.1f} s with {count(worker.changes_decided - before, 'more change')}.")
    else:
        print_note(
            f"Not finished after {took:.0f} s: about {count(worker.lag or lag, 'record')} left. They are kept, and done after "
            "the next start."
        )
