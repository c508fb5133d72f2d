"""`resegment demo`: years of real companies through Kafka, faust and Redis in a minute."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from resegment.cli.demo.data import UNTIL, Data, Dataset, DemoFailed, Reading
from resegment.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from resegment.cli.runtime.serving import Serving
    from resegment.console.runtime.steps import Step
    from resegment.segmentation.inspection.summary import Summary
    from resegment.settings import Settings


DRAIN_PATIENCE: Final = 240.0
JOURNEYS: Final = 3
STOPPED: Final = 130

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment demo

resegment demo --data crunchbase-2013
"""

NEXT: Final = """
Next, with your own segments:

  cp {quickstart} segments.yaml
  resegment lint segments.yaml
  resegment backtest -s segments.yaml -e {directory} --summary
  resegment up

To look at single accounts:

  resegment explain {account} -s {segments} -e {directory} -e {synthetic}
"""
NEXT_ROUNDS: Final = """
To look at single accounts, with the events in a file:

  resegment demo --data crunchbase-2013 --events rounds.jsonl
  resegment explain {account} -s {segments} -e rounds.jsonl --until 2014-01-01
"""


class Differs(DemoFailed):
    """The pipeline and the backtest disagree: `changes` and `memberships` count the differences."""

    def __init__(self, changes: int, memberships: int, examples: Sequence[str]) -> None:
        super().__init__(
            f"the pipeline and the backtest differ in {changes:,} changes and in the segments of {memberships:,} accounts:\n"
            + "\n".join(examples),
            remedy="This is a serious bug in Resegment. Please report it with these lines.",
        )
        self.changes = changes
        self.memberships = memberships


@dataclass(slots=True)
class _Result:
    """The result: net changes in order, commands by workflow and action, each account's segment and since when."""

    changes: list[dict[str, Any]]
    commands: Counter[tuple[str, str]]
    memberships: dict[str, tuple[str, int]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(demo)


def demo(
    folder: Annotated[
        Path,
        typer.Option(
            "--folder", metavar="DIR", help="The data folder of the demo's servers; cleared at each start."
        ),
    ] = Path(".resegment/demo"),
    data: Annotated[
        Dataset,
        typer.Option(
            "--data",
            help="yc: companies of a directory, with invented signals. crunchbase-2013: real funding rounds.",
        ),
    ] = Dataset.YC,
    events: Annotated[
        Path | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Also write the events to this file, as JSON Lines, for other commands.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay years of real companies through the whole pipeline, show the result, and check it against a backtest.

    Brings its own broker, Redis and data: there is nothing to set up, and nothing keeps running.
    """
    from resegment.cli.logging import set_up_logging
    from resegment.console.terminal import screen

    settings = _settings(folder)
    set_up_logging(settings, quiet=True)
    read = Reading(data, events)
    if not asyncio.run(_run(settings, screen(error=as_json), read, as_json=as_json)):
        raise typer.Exit(STOPPED)


def _settings(folder: Path) -> Settings:
    """Return the demo's own settings, which ignore the servers in the environment."""
    from resegment.settings import Settings

    return Settings.model_construct(folder=folder, prefix="demo", clock="facts", http_port=0, route="all")


async def _run(settings: Settings, console: Console, read: Reading, *, as_json: bool) -> bool:
    """Run the demo; return False if it was stopped."""
    from resegment.cli.runtime.signals import listening

    with listening(lambda: None) as stop:
        try:
            await _play(settings, console, read, as_json=as_json)
        except asyncio.CancelledError:
            if not stop.asked.is_set():
                raise
            return False
    return True


async def _play(settings: Settings, console: Console, read: Reading, *, as_json: bool) -> None:
    from resegment.cli.runtime.serving import running
    from resegment.cli.runtime.stack import stack
    from resegment.console.runtime.steps import step
    from resegment.schemas.times import parse_instant
    from resegment.state.redis.address import without_password

    until = parse_instant(UNTIL[read.dataset])
    with step(console, "reading the events") as current:
        data = await asyncio.to_thread(read.read)
        accounts = len({fact.account for fact, _ in data.events})
        current.text = f"{len(data.events):,} events of {accounts:,} accounts read"
    async with AsyncExitStack() as exits:
        with step(console, "starting a broker and a Redis") as current:
            servers = await exits.enter_async_context(stack(settings, fresh=True))
            current.text = (
                f"a broker started at {servers.bootstrap}, Redis at {without_password(servers.redis_url)}"
            )
        with step(console, "starting a worker") as current:
            serving = await exits.enter_async_context(running(settings, data.definition, servers))
            await serving.joined()
            current.text = f"a worker started, with all {settings.partitions} partitions"
        with step(console, "replaying through Kafka, faust and Redis", len(data.events)) as current:
            seconds = await serving.during(_replay(serving, data, until, current))
        with step(console, "reading the results") as current:
            result = await serving.during(_collect(settings, serving))
            current.text = (
                f"{len(result.changes):,} changes, {result.commands.total():,} commands and "
                f"{len(result.memberships):,} accounts read back from Kafka and Redis"
            )
    with step(console, "comparing with a backtest") as current:
        await asyncio.to_thread(_compare, data, result, until)
        current.text = (
            "a backtest of the same events agrees: "
            f"0 differences in {len(result.changes):,} changes and {len(result.memberships):,} accounts"
        )
    if as_json:
        _write(data, result, until, seconds)
    else:
        _show(console, data, result, until)


async def _replay(serving: Serving, data: Data, until: int, current: Step) -> float:
    """Return the seconds that it took."""
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.operations.ingest import send_replay

    worker = serving.worker
    begun = time.monotonic()

    async def watch() -> None:
        while True:
            done = worker.metrics.registry.get_sample_value(
                "resegment_events_in_total", {"stage": "segmenter"}
            )
            current.reach(int(done or 0))
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    try:
        async with KafkaPublisher(
            serving.servers.bootstrap, client_id="resegment-demo", idempotent=False
        ) as publisher:
            await send_replay(
                data.events, publisher, worker.topics, partitions=worker.settings.partitions, until=until
            )
        if not await worker.drain(DRAIN_PATIENCE):
            raise DemoFailed(f"the pipeline did not finish within {DRAIN_PATIENCE:.0f} s")
    finally:
        watching.cancel()
    seconds = time.monotonic() - begun
    current.text = (
        f"{len(data.events):,} events replayed through Kafka, faust and Redis: "
        f"{len(data.events) / seconds:,.0f} a second"
    )
    return seconds


async def _collect(settings: Settings, serving: Serving) -> _Result:
    from resegment.state.redis.client import connect_redis
    from resegment.state.redis.reader import PrefixReader

    topics, bootstrap = serving.worker.topics, serving.servers.bootstrap
    changes = await _read_topic(bootstrap, topics.segment_changes.name)
    commands = await _read_topic(bootstrap, topics.workflow_commands.name)
    client = connect_redis(settings, serving.servers.redis_url)
    try:
        reader = PrefixReader(client, settings.prefix, settings.partitions)
        memberships = {
            one.account: (one.segment, one.entered) async for batch in reader.places() for one in batch
        }
    finally:
        await client.aclose()
    void = {one["data"]["supersedes"] for one in changes.values()}
    return _Result(
        [
            one["data"]
            for key, one in changes.items()
            if key not in void and one["data"]["from"] != one["data"]["to"]
        ],
        Counter((one["data"]["workflow"], one["data"]["action"]) for one in commands.values()),
        memberships,
    )


async def _read_topic(bootstrap: str, topic: str) -> dict[str, dict[str, Any]]:
    """Return the topic's events by id; an event that was published twice counts once."""
    from resegment.streams.kafka.topic_reader import reading

    events: dict[str, dict[str, Any]] = {}
    async with reading(bootstrap, topic) as reader:
        async for records in reader.to_end():
            for record in records:
                event = orjson.loads(record.value)
                events[event["id"]] = event
    return events


def _compare(data: Data, result: _Result, until: int) -> None:
    """Raise Differs if a backtest of the same events gives other changes or other segments."""
    from resegment.schemas.times import parse_instant
    from resegment.segmentation.evaluation.engine import net_changes
    from resegment.segmentation.evaluation.program import Program
    from resegment.segmentation.inspection.backtest import backtest

    expected: Counter[tuple[str, str, str, int]] = Counter()
    memberships: dict[str, tuple[str, int]] = {}
    for account, changes in backtest(Program(data.definition), [fact for fact, _ in data.events], until):
        expected.update(
            (one.account, one.from_ or "", one.to or "", one.effective_at) for one in net_changes(changes)
        )
        member = account.state.membership
        if member.segment is not None:
            memberships[account.name] = (member.segment, member.entered)
    found = Counter(
        (one["account"], one["from"] or "", one["to"], parse_instant(one["effective_at"]))
        for one in result.changes
    )
    wrong = [*(expected - found), *(found - expected)]
    misplaced = [
        name
        for name in memberships.keys() | result.memberships.keys()
        if memberships.get(name) != result.memberships.get(name)
    ]
    if wrong or misplaced:
        raise Differs(len(wrong), len(misplaced), [str(one) for one in [*wrong, *misplaced][:5]])


def _summarise(data: Data, result: _Result, until: int, buckets: int) -> Summary:
    from resegment.schemas.times import parse_instant
    from resegment.segmentation.inspection.summary import Move, summarise

    names = [segment.name for segment in data.definition.segments]
    moves = [
        Move(
            parse_instant(one["effective_at"]), one["account"], one["sequence_number"], one["from"], one["to"]
        )
        for one in result.changes
    ]
    return summarise(moves, names, end=until, buckets=buckets)


def _write(data: Data, result: _Result, until: int, seconds: float) -> None:
    """Write the figures as JSON; the comparison with the backtest has passed by now."""
    from resegment.console.runtime.demo import choose_journeys
    from resegment.console.terminal import write_json
    from resegment.segmentation.inspection.summary import describe_summary

    commands: dict[str, dict[str, int]] = {}
    for (workflow, action), count in sorted(result.commands.items()):
        commands.setdefault(workflow, {})[action] = count
    write_json(
        sys.stdout.buffer,
        {
            "events": len(data.events),
            "seconds": round(seconds, 3),
            "accounts": len(result.memberships),
            "changes": len(result.changes),
            "commands": commands,
            "differences": 0,
            "directory": asdict(data.companies),
            "summary": describe_summary(_summarise(data, result, until, 60)),
            "journeys": [
                {
                    "account": way[0]["account"],
                    "name": data.names.get(way[0]["account"]),
                    "changes": [
                        {"effective_at": one["effective_at"], "from": one["from"], "to": one["to"]}
                        for one in way
                    ],
                }
                for way in choose_journeys(result.changes, JOURNEYS)
            ],
        },
    )


def _show(console: Console, data: Data, result: _Result, until: int) -> None:
    from resegment.cli.runtime.examples import show_path
    from resegment.console.definition.summary import chart_width
    from resegment.console.runtime.demo import Journey, choose_journeys, render

    names = [segment.name for segment in data.definition.segments]
    summary = _summarise(data, result, until, chart_width(console.width, names))
    journeys = [
        Journey(way[0]["account"], data.names.get(way[0]["account"]), way)
        for way in choose_journeys(result.changes, JOURNEYS)
    ]
    routes = [(one.name, one.route.workflow) for one in data.definition.segments if one.route is not None]
    console.print(render(data.companies, summary, journeys, result.commands, routes))
    if data.until == UNTIL[Dataset.ROUNDS]:
        place = show_path("crunchbase-2013/segments.yaml")
        console.print(NEXT_ROUNDS.format(segments=place, account=journeys[0].account), soft_wrap=True)
        return
    console.print(
        NEXT.format(
            quickstart=show_path("quickstart.yaml"),
            segments=show_path("segments.yaml"),
            directory=show_path("yc"),
            synthetic=show_path("synthetic.jsonl.gz"),
            account=journeys[0].account,
        ),
        soft_wrap=True,
    )
