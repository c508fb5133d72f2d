"""`resegment webhooks`: list, test, enable and disable endpoints."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from resegment.cli.connection import WrongUse, load_settings
from resegment.cli.endpoints import WebhooksFile, read_endpoints, read_webhooks
from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.settings import Settings
    from resegment.sinks.webhook.endpoints import LoadedEndpoint
    from resegment.sinks.webhook.port import SendResult
    from resegment.state.redis.webhooks import WebhookStates
    from resegment.streams.audit.trail import AuditTrail

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment webhooks list --webhooks webhooks.yaml

resegment webhooks test crm

resegment webhooks enable crm
"""

COUNTING: Final = 3.0
"""Seconds that counting the dead letters may take."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The endpoint, as named in the file of endpoints.")]


class NoSuchEndpoint(WrongUse):
    """The file has no endpoint of that name."""

    def __init__(self, name: str, there: Collection[str]) -> None:
        super().__init__(f"no endpoint is named {name}", remedy=f"The file has: {', '.join(sorted(there))}.")
        self.name = name


class NotTaken(ResegmentError):
    """An endpoint did not accept a test event: `answer` is its response."""

    def __init__(self, name: str, answer: SendResult) -> None:
        from resegment.agents.delivery import explain

        super().__init__(
            f"the endpoint {name} did not accept the test event: {explain(answer)}",
            remedy="An endpoint must answer with a status from 200 to 299 within its timeout.",
        )
        self.name, self.answer = name, answer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The webhook endpoints that receive workflow commands and segment changes.",
        epilog=EXAMPLES,
    )
    group.command("list", epilog=EXAMPLES)(list_webhooks)
    group.command("enable", epilog=EXAMPLES)(enable)
    group.command("disable", epilog=EXAMPLES)(disable)
    group.command("test", epilog=EXAMPLES)(send_test)
    app.add_typer(group, name="webhooks")


@takes_servers
def list_webhooks(
    webhooks: WebhooksFile = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """List the endpoints in the file, and the state of each."""
    from resegment.console.operations.webhooks import describe, render_list
    from resegment.console.terminal import print_note, screen, write_json_lines

    settings = load_settings(servers, webhooks=webhooks)
    file = read_webhooks(settings)
    held = _ask(settings, lambda states: states.read())
    waiting = asyncio.run(_count_undelivered(settings))
    rows = [describe(name, one, held.get(name), waiting.get(name, 0)) for name, one in file.endpoints.items()]
    if as_json:
        write_json_lines(sys.stdout.buffer, rows)
        return
    screen().print(render_list(rows))
    for name in file.endpoints:
        if waiting.get(name):
            print_note(_advise_retry(name, waiting[name]))


@takes_servers
def enable(
    name: Name,
    webhooks: WebhooksFile = None,
    servers: ServerOptions = DEFAULT_SERVERS,
) -> None:
    """Send to a disabled endpoint again, starting with the commands that waited."""
    from resegment.console.terminal import print_note

    settings = load_settings(servers, webhooks=webhooks)
    _check(name, read_webhooks(settings).endpoints)
    was = _change(settings, "webhooks enable", name, lambda states: states.enable(name))
    print_note(f"{name} is enabled and continues where it stopped" if was else f"{name} was not disabled")
    if number := asyncio.run(_count_undelivered(settings)).get(name):
        print_note(_advise_retry(name, number))


@takes_servers
def disable(
    name: Name,
    webhooks: WebhooksFile = None,
    servers: ServerOptions = DEFAULT_SERVERS,
) -> None:
    """Stop sending to an endpoint. Its commands wait in Kafka, as long as the topic keeps them."""
    import time

    from resegment.console.terminal import print_note
    from resegment.schemas.times import format_instant

    settings = load_settings(servers, webhooks=webhooks)
    _check(name, read_webhooks(settings).endpoints)
    at = format_instant(time.time_ns() // 1_000_000_000 * 1000)
    _change(settings, "webhooks disable", name, lambda states: states.disable(name, at, "disabled by hand"))
    print_note(f"{name} is disabled; `resegment webhooks enable {name}` resumes it")


def send_test(name: Name, webhooks: WebhooksFile = None, as_json: AsJson = False) -> None:
    """Send one signed test event, gtm.ping.v1, and print the result. Needs neither Kafka nor Redis."""
    from resegment.agents.delivery import classify
    from resegment.console.terminal import print_note, write_json

    endpoints = read_endpoints(load_settings(webhooks=webhooks))
    _check(name, endpoints)
    answer = asyncio.run(_ping(endpoints[name]))
    if as_json:
        found = {"status": answer.status, "problem": answer.problem, "seconds": round(answer.took, 3)}
        write_json(sys.stdout.buffer, {"endpoint": name, **found})
    if classify(answer) != "delivered":
        raise NotTaken(name, answer)
    if not as_json:
        print_note(f"{name} accepted it: {answer}, {answer.took * 1000:.0f} ms")


async def _ping(loaded: LoadedEndpoint) -> SendResult:
    from resegment.sinks.webhook.client import HttpWebhook
    from resegment.sinks.webhook.ping import make_ping

    async with HttpWebhook(loaded.endpoint, loaded.secrets, loaded.guard, headers=loaded.headers) as webhook:
        return await webhook.send(*make_ping(loaded.name))


async def _count_undelivered(settings: Settings) -> Mapping[str, int]:
    """Return by endpoint how many dead letters wait to be sent again; nothing if Kafka does not answer soon."""
    import logging

    from resegment.cli.connection import resolve
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.operations.dead_letters import count_dead_letters

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    connection = resolve(settings)
    topic = Topics(connection.prefix).dead_letters.name
    security = secure_kafka(connection.settings).clients()
    return (
        await count_dead_letters(connection.bootstrap, topic, patience=COUNTING, security=security)
    ).undelivered


def _advise_retry(name: str, number: int) -> str:
    events = "1 event for it is" if number == 1 else f"{number:,} events for it are"
    return (
        f"{name}: {events} in the dead letters; `resegment dead-letters retry --endpoint {name}` sends "
        f"{'it' if number == 1 else 'them'} again"
    )


def _check(name: str, there: Collection[str]) -> None:
    if name not in there:
        raise NoSuchEndpoint(name, there)


def _ask(settings: Settings, question: Callable[[WebhookStates], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with _states(settings) as (states, _):
            return await question(states)

    return asyncio.run(run())


def _change(
    settings: Settings, action: str, name: str, change: Callable[[WebhookStates], Coroutine[Any, Any, Any]]
) -> Any:
    """Carry out a change of an endpoint's state, and record it in the audit log."""

    async def run() -> Any:
        async with _states(settings) as (states, trail), trail.recording(action, {"endpoint": name}):
            return await change(states)

    return asyncio.run(run())


@asynccontextmanager
async def _states(settings: Settings) -> AsyncIterator[tuple[WebhookStates, AuditTrail]]:
    import logging

    from resegment.cli.connection import resolve
    from resegment.cli.operations.auditing import open_trail
    from resegment.state.redis.client import connect_redis
    from resegment.state.redis.webhooks import WebhookStates
    from resegment.streams.kafka.security import secure_kafka

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    connection = resolve(settings)
    settings = connection.settings
    client = connect_redis(settings, connection.redis_url)
    security = secure_kafka(settings).clients()
    try:
        yield (
            WebhookStates(client, connection.prefix),
            open_trail(client, connection.prefix, settings, connection.bootstrap, security),
        )
    finally:
        await client.aclose()
