"""`resegment sinks`: list and test sinks, and show what a command would send."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from resegment.cli.connection import WrongUse, load_settings
from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.sinks.file import SinksPath, read_sinks
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.settings import Settings
    from resegment.sinks.loading import LoadedSinks
    from resegment.sinks.operation import Contact
    from resegment.sinks.port import Result
    from resegment.state.sinks.states import SinkState

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment sinks list --sinks sinks.yaml

resegment sinks test crm

resegment sinks send crm commands.jsonl --dry-run
"""

COUNTING: Final = 3.0
"""Seconds that counting the dead letters may take."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The sink, as named in the file of sinks.")]


class NoSuchSink(WrongUse):
    """The file has no sink of that name."""

    def __init__(self, name: str, there: Collection[str]) -> None:
        super().__init__(f"no sink is named {name}", remedy=f"The file has: {', '.join(sorted(there))}.")
        self.name = name


class OnlyDryRuns(WrongUse):
    """Commands are sent by a process, not by a command."""

    def __init__(self) -> None:
        super().__init__(
            "this command sends nothing: pass --dry-run",
            remedy="`resegment deliver` and `up` send commands; `resegment dead-letters retry` sends one again.",
        )


class WrongCommands(WrongUse):
    """The file of commands has a line that is no command."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(
            f"{path}:{line}: {problem}",
            remedy="It has one workflow command a line, as the topic workflow-commands has it.",
        )


class NotSignedIn(ResegmentError):
    """The test of a sink failed."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(
            f"the sink {name} does not work: {problem}", remedy="Check its credentials and its url."
        )
        self.name = name


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The sinks: sequencers, CRMs and chat that workflow commands are sent to.",
        epilog=EXAMPLES,
    )
    group.command("list", epilog=EXAMPLES)(list_sinks)
    group.command("test", epilog=EXAMPLES)(check_sink)
    group.command("send", epilog=EXAMPLES)(send)
    app.add_typer(group, name="sinks")


@takes_servers
def list_sinks(
    sinks: SinksPath = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """List the sinks in the file, what each can do, its state, and what a person should look at."""
    from resegment.console.sinks.list import describe, render_list, render_notes, tell_instead
    from resegment.console.terminal import print_note, screen, write_json_lines

    settings = load_settings(servers, sinks=sinks)
    loaded = read_sinks(settings)
    held, waiting = asyncio.run(_look(settings))
    rows = [describe(one, held.get(name), waiting.get(name, 0)) for name, one in loaded.sinks.items()]
    if as_json:
        write_json_lines(sys.stdout.buffer, rows)
        return
    screen().print(render_list(rows))
    if (notes := render_notes(rows)) is not None:
        screen().print(notes)
    for line in tell_instead(rows):
        print_note(line)
    for name in loaded.sinks:
        if waiting.get(name):
            print_note(
                f"{name}: {waiting[name]:,} dead letters; `resegment dead-letters retry --endpoint {name}` sends them again"
            )


def check_sink(name: Name, sinks: SinksPath = None, as_json: AsJson = False) -> None:
    """Sign in to one sink and look, without changing anything. Needs neither Kafka nor Redis."""
    from resegment.console.terminal import print_note, write_json
    from resegment.sinks.registry import UNTRIED

    loaded = read_sinks(load_settings(sinks=sinks))
    _require(name, loaded.sinks)
    result = asyncio.run(_check(loaded, name))
    if as_json:
        found = {"sink": name, "outcome": result.outcome, "text": result.text, "tried": UNTRIED}
        write_json(sys.stdout.buffer, found)
    if result.outcome != "applied":
        raise NotSignedIn(name, result.text)
    if not as_json:
        vendor = loaded.sinks[name].vendor
        print_note(f"{name}: {result.text}")
        print_note(f"It can: {', '.join(sorted(vendor.capabilities))}.")
        for kind, text in vendor.instead.items():
            print_note(f"{kind}: {text}")
        print_note(f"{vendor.title} is {UNTRIED}.")


def send(
    name: Name,
    commands: Annotated[
        Path,
        typer.Argument(
            metavar="COMMANDS", help="A file of workflow commands, one a line; - for standard input."
        ),
    ],
    sinks: SinksPath = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the requests that would change something, and send none of them."
        ),
    ] = False,
) -> None:
    """Show what commands would send to a sink, as JSON lines. It looks at the vendor, and changes nothing."""
    from resegment.console.terminal import write_json_lines

    if not dry_run:
        raise OnlyDryRuns
    loaded = read_sinks(load_settings(sinks=sinks))
    _require(name, loaded.sinks)
    lines = sys.stdin.buffer.read() if str(commands) == "-" else _read(commands)
    write_json_lines(sys.stdout.buffer, asyncio.run(_dry_run(loaded, name, commands, lines.splitlines())))


def _read(path: Path) -> bytes:
    from resegment.errors import explain_os_error

    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongUse(f"cannot read {path}: {explain_os_error(error)}", remedy="Check the path.") from error


def _require(name: str, there: Collection[str]) -> None:
    if name not in there:
        raise NoSuchSink(name, there)


async def _look(settings: Settings) -> tuple[Mapping[str, SinkState], Mapping[str, int]]:
    """Return what is kept of the sinks, and how many dead letters of each wait."""
    import logging

    from resegment.cli.connection import resolve
    from resegment.state.redis.client import connect_redis
    from resegment.state.sinks.states import SinkStates
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.operations.dead_letters import count_dead_letters

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    connection = resolve(settings)
    client = connect_redis(connection.settings, connection.redis_url)
    try:
        held = await SinkStates(client, connection.prefix).read()
    finally:
        await client.aclose()
    counted = await count_dead_letters(
        connection.bootstrap,
        Topics(connection.prefix).dead_letters.name,
        patience=COUNTING,
        security=secure_kafka(connection.settings).clients(),
    )
    return held, counted.undelivered


async def _check(loaded: LoadedSinks, name: str) -> Result:
    from contextlib import AsyncExitStack

    from resegment.agents.sending.memory import MemoryCallLog
    from resegment.agents.sending.runner import Later, SignedOut, Unsettled
    from resegment.streams.sending.performers import NoLimits, make_performer

    async with AsyncExitStack() as stack:
        performer = await make_performer(
            loaded.sinks[name], stack, MemoryCallLog(), NoLimits(), process="test"
        )
        try:
            return await performer.runner.check()
        except (Later, Unsettled, SignedOut) as error:
            raise NotSignedIn(name, error.message) from error


async def _dry_run(
    loaded: LoadedSinks, name: str, path: Path, lines: Sequence[bytes]
) -> list[dict[str, Any]]:
    from contextlib import AsyncExitStack

    import msgspec

    from resegment.agents.sending.memory import MemoryCallLog
    from resegment.agents.sending.operations import read_data
    from resegment.agents.sending.runner import Later, SignedOut, Unsettled
    from resegment.schemas.logs.call_log import AccountCalls
    from resegment.sinks.port import Request
    from resegment.streams.sending.performers import NoLimits, make_finder, make_performer, make_work

    rows: list[dict[str, Any]] = []
    async with AsyncExitStack() as stack:
        performers = {
            one: await make_performer(
                sink, stack, MemoryCallLog(), NoLimits(), process="dry run", dry_run=True
            )
            for one, sink in loaded.sinks.items()
        }
        withheld: list[tuple[str, Request]] = []
        for one, performer in performers.items():
            performer.runner.withheld = lambda request, sink=one: withheld.append((sink, request))
        work = make_work(name, loaded, performers, make_finder(loaded, performers, _Nobody))
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                data = read_data(line)
            except msgspec.MsgspecError as error:
                raise WrongCommands(path, number, str(error)) from error
            withheld.clear()
            if loaded.sinks[name].target_of(data.workflow) is None:
                rows.append(
                    _row(data.account, data.action, "skipped", f"{name} does not map {data.workflow}", [])
                )
                continue
            try:
                done = await work.carry_out(data, AccountCalls(), replayed=False)
            except (Later, Unsettled, SignedOut) as error:
                raise NotSignedIn(name, error.message) from error
            text = done.result.text or "; ".join(one.why for one in done.result.contacts if one.why)
            rows.append(_row(data.account, data.action, done.result.outcome, text, withheld))
    return rows


class _Nobody:
    """Stands for `people` events, which only a running process knows."""

    async def find(self, account: str) -> Sequence[Contact]:
        del account
        return ()


def _row(
    account: str, action: str, outcome: str, text: str, withheld: Sequence[tuple[str, Any]]
) -> dict[str, Any]:
    requests = [
        {
            "sink": sink,
            "method": one.method,
            "path": one.path,
            "query": [list(pair) for pair in one.query],
            "body": one.body,
        }
        for sink, one in withheld
    ]
    return {"account": account, "action": action, "outcome": outcome, "text": text, "would_send": requests}
