"""`resegment rebuild` and `resegment verify`: Redis from the log, and Redis against the log."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson, SomeSegments
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.schemas.change import SegmentChange
    from resegment.segmentation.definition import Definition
    from resegment.settings import Settings
    from resegment.streams.recovery.replay import Difference, Source

REBUILD_EXAMPLES: Final = """
[bold]Example[/bold]

RESEGMENT_KAFKA=kafka:9092 RESEGMENT_REDIS=redis://redis resegment rebuild --segments segments.yaml
"""

VERIFY_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment verify --segments segments.yaml

resegment verify --segments segments.yaml --json | jq .account
"""

TRIES: Final = 5
"""How many times to read a partition that changes during the reading."""


class WorkersRunning(WrongUse):
    """A rebuild needs all workers to be stopped."""

    def __init__(self, workers: int) -> None:
        super().__init__(
            f"{workers} {'worker' if workers == 1 else 'workers'} of this prefix still running",
            remedy="Stop all workers first. New events wait in Kafka meanwhile.",
        )


class StillMoving(ResegmentError):
    """The partition takes in events faster than it can be compared."""

    def __init__(self, partition: int) -> None:
        super().__init__(
            f"partition {partition} changed during every comparison",
            remedy="Run it when fewer events come in, or stop the workers meanwhile.",
        )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=REBUILD_EXAMPLES)(rebuild)
    app.command(epilog=VERIFY_EXAMPLES)(verify)


@takes_servers
def rebuild(
    segments: SomeSegments = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Rebuild an empty Redis from the log of `signals`. Routes nothing, and continues the sequence numbers.

    Stop all workers first: new events wait in Kafka. Refused if the beginning of the log is gone.
    """
    from resegment.console.terminal import print_note, write_json

    records = asyncio.run(_rebuild(servers, segments))
    if as_json:
        write_json(sys.stdout.buffer, {"records": records})
    else:
        print_note(
            f"Rebuilt from {records:,} records. You can start the workers again. Routing is set to none: "
            "`resegment routing set changed` turns it on."
        )


@takes_servers
def verify(
    segments: SomeSegments = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Compare Redis with a replay of the log and print every difference. Exits with 1 if there are any."""
    from resegment.console.terminal import print_note, write_json_lines

    accounts, found = asyncio.run(_verify(servers, segments))
    described = [
        {"account": one.account, "what": one.what, "in_redis": repr(one.in_redis), "in_log": repr(one.in_log)}
        for one in found
    ]
    if as_json:
        write_json_lines(sys.stdout.buffer, described)
    else:
        for one in described:
            typer.echo(
                f"{one['account']}: {one['what']}: Redis has {one['in_redis']}, the log gives {one['in_log']}"
            )
        print_note(
            f"{len(found):,} {'difference' if len(found) == 1 else 'differences'} in {accounts:,} accounts."
        )
    if found:
        raise typer.Exit(1)


async def _rebuild(servers: ServerOptions, segments: str | None) -> int:
    from resegment.agents.partition import OwnedPartition
    from resegment.cli.connection import load_settings, resolve
    from resegment.cli.operations.session import load_engine
    from resegment.console.progress import show_progress
    from resegment.state.redis.client import connect_redis
    from resegment.state.redis.partition import PartitionStore
    from resegment.state.redis.reader import PrefixReader
    from resegment.streams.heartbeat import read_workers
    from resegment.streams.kafka.admin import read_topic_id
    from resegment.streams.kafka.connectivity import check_access
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.prefix import agree, set_rebuilding
    from resegment.streams.recovery import replay as replaying

    settings = load_settings(servers, segments=segments)
    connection = resolve(settings)
    engine = load_engine(connection.segments, settings)
    security = secure_kafka(settings).clients()
    topics, partitions = Topics(connection.prefix), connection.partitions
    client = connect_redis(settings, connection.redis_url)
    try:
        if workers := await read_workers(client, connection.prefix):
            raise WorkersRunning(len(workers))
        reader = PrefixReader(client, connection.prefix, partitions)
        for number in range(partitions):
            if await reader.position(number) is not None:
                raise replaying.NotEmpty(number)
        await check_access(connection.bootstrap, security)
        log = await asyncio.to_thread(read_topic_id, connection.bootstrap, topics.signals.name, **security)
        source = replaying.Source(connection.bootstrap, topics, security)
        announced = await replaying.read_announced(source)
        ends = await replaying.check_complete(source)
        await agree(
            client,
            connection.prefix,
            partitions=partitions,
            clock=settings.clock,
            definition=engine.program.version,
        )
        await set_rebuilding(client, connection.prefix, begun=True)
        total = 0
        lost: list[SegmentChange] = []
        with show_progress() as bars:
            for number in range(partitions):
                store = PartitionStore(client, connection.prefix, number)
                owned = OwnedPartition(number, store, engine)
                advance = bars.count(f"partition {number}", ends[number])
                records, lacking = await replaying.rebuild_partition(
                    owned,
                    engine,
                    source,
                    log=log,
                    announced=announced,
                    partitions=partitions,
                    progress=advance,
                )
                total += records
                lost += lacking
        await _announce(engine.program.definition, source, settings, lost)
        await _restore_routing(client, connection.prefix, engine.program.definition, source, partitions)
        await set_rebuilding(client, connection.prefix, begun=False)
        return total
    finally:
        await client.aclose()


async def _announce(
    definition: Definition, source: Source, settings: Settings, changes: list[SegmentChange]
) -> None:
    """Publish the changes that were decided before the loss and lost with the outbox."""
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.message_factory import MessageFactory

    if not changes:
        return
    factory = MessageFactory(definition, source.topics)
    publisher = KafkaPublisher(
        source.bootstrap,
        client_id="resegment-rebuild",
        idempotent=settings.kafka is not None,
        security=source.security,
    )
    async with publisher:
        await publisher.publish([factory.change(one) for one in changes])


async def _restore_routing(
    client: Any, prefix: str, definition: Definition, source: Source, partitions: int
) -> None:
    """The router's accounts, and the store of owners, from what is still in Kafka."""
    from resegment.agents.partition import OwnedPartition
    from resegment.routing.enrollment import EnrollmentMachine
    from resegment.routing.policy import Policy
    from resegment.state.redis.owners import OwnerStore
    from resegment.state.redis.partition import PartitionStore
    from resegment.state.redis.reader import PrefixReader
    from resegment.streams.kafka.admin import join_topic_ids, read_topic_id
    from resegment.streams.recovery.restore_routing import Taken, restore_partition

    policy = Policy(definition)
    both = source.topics.segment_changes.name, source.topics.routing_events.name
    ids = [await asyncio.to_thread(read_topic_id, source.bootstrap, one, **source.security) for one in both]
    reader = PrefixReader(client, prefix, partitions)
    taken: Taken = {}
    for number in range(partitions):
        store = PartitionStore(client, prefix, number, stage="router")
        owned = OwnedPartition(number, store, EnrollmentMachine(policy))
        taken |= await restore_partition(
            owned, policy, source, prefix, reader.states, log=join_topic_ids(*ids)
        )
    await OwnerStore(client, prefix).recount(taken, ())


async def _verify(servers: ServerOptions, segments: str | None) -> tuple[int, list[Difference]]:
    from resegment.cli.operations.session import load_engine, open_session
    from resegment.console.progress import show_progress
    from resegment.streams.prefix import check_definition
    from resegment.streams.recovery import replay as replaying

    found: list[Difference] = []
    accounts = 0
    async with open_session(servers, segments=segments) as session:
        engine = load_engine(session.segments, session.settings)
        check_definition(session.held, engine.program.version)
        source = replaying.Source(session.bootstrap, session.topics, session.security)
        with show_progress() as bars:
            for number in range(session.reader.partitions):
                for _ in range(TRIES):
                    position = await session.reader.position(number)
                    stored = {name: value async for name, value in session.reader.raw_states(number)}
                    timers = await session.reader.timers(number)
                    if await session.reader.position(number) == position:
                        break
                else:
                    raise StillMoving(number)
                accounts += len(stored)
                if position is not None:
                    advance = bars.count(f"partition {number}", position.offset)
                    found += await replaying.verify_partition(
                        number, engine, stored, timers, position.offset, source, progress=advance
                    )
    return accounts, found
