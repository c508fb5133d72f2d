"""`resegment rebuild` and `resegment verify`: Redis from the log, and Redis against the log."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson, SomeSegments
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.console.counts import count
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from redis.asyncio import Redis as RedisClient

    from resegment.cli.connection import Connection
    from resegment.cli.operations.session import Session
    from resegment.segmentation.definition import Definition
    from resegment.segmentation.versions.comparison import Difference
    from resegment.settings import Settings
    from resegment.streams.audit.trail import AuditTrail
    from resegment.streams.forgetting.checking import Left
    from resegment.streams.recovery.rebuild import LostPartition, Rebuild
    from resegment.streams.recovery.replay import LogSource

REBUILD_EXAMPLES: Final = """
[bold]Examples[/bold]

RESEGMENT_KAFKA=kafka:9092 RESEGMENT_REDIS=redis://redis resegment rebuild --segments segments.yaml

resegment rebuild --segments segments.yaml --partition 3

resegment rebuild --partition 3 --replace
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
            f"{count(workers, 'worker')} of this prefix still running",
            remedy="Stop all workers first. New events wait in Kafka meanwhile.",
        )


class NoSuchPartition(WrongUse):
    """The prefix has no partition of that number."""

    def __init__(self, partition: int, partitions: int) -> None:
        super().__init__(
            f"there is no partition {partition}: the prefix has {partitions}",
            remedy=f"Give a number from 0 to {partitions - 1}; `resegment status` names the ones that wait.",
        )


class LogForgotten(ResegmentError):
    """The log of a partition is a new one, in which the facts of its accounts are not."""

    def __init__(self, partition: int) -> None:
        super().__init__(
            f"the log of partition {partition} is a new one: it does not have the facts of all accounts",
            remedy="There is nothing to compare with.",
        )


class SwitchUnderWay(ResegmentError):
    """The partition judges its accounts by a new version."""

    def __init__(self, partition: int, version: int) -> None:
        super().__init__(
            f"partition {partition} has not judged all its accounts by version {version} yet",
            remedy="Wait until `resegment status` says that the version is applied, and verify again.",
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
    partition: Annotated[
        int | None,
        typer.Option("--partition", min=0, metavar="N", help="Rebuild only this partition; workers may run."),
    ] = None,
    segments: SomeSegments = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="With --partition: take its accounts from the log though Redis has them, as after a spot check found "
            "differences. How they are routed stays.",
        ),
    ] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Rebuild from the log of `signals` what Redis has lost; what it still has stays as it is.

    Publishes the changes that were decided but never announced. Sequence numbers never go down. Without --partition
    the workers must be stopped: new events wait in Kafka. If a rebuild is interrupted, run it again. Refused if
    the beginning of the log is gone.
    """
    from resegment.console.terminal import print_note, write_json

    if replace and partition is None:
        raise typer.BadParameter("--replace takes one partition at a time: add --partition")
    done = asyncio.run(_rebuild(servers, segments, partition, replaces=replace))
    if as_json:
        write_json(sys.stdout.buffer, done._asdict())
        return
    print_note(f"Rebuilt {count(len(done.partitions), 'partition')} from {done.records:,} records.")
    if partition is not None:
        print_note("Workers that are running take the partition within seconds.")
        return
    print_note("Workers may start again.")
    if done.routing == "none":
        print_note(
            "Routing is off: changes enroll nobody until you run `resegment routing set changed` (or all)."
        )
    else:
        print_note(f"Routing is still `{done.routing}`: changes enroll accounts as soon as workers run.")


@takes_servers
def verify(
    segments: SomeSegments = None,
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="Print what is left of all that is forgotten, and until when.")
    ] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Compare Redis with a replay of the log and print every difference. Exits with 1 if there are any."""
    if forgotten:
        raise typer.Exit(_verify_forgotten(servers, as_json=as_json))
    from resegment.console.terminal import print_note, screen, write_json_lines

    accounts, found = asyncio.run(_verify(servers, segments))
    described = [
        {"account": one.account, "what": one.what, "in_redis": repr(one.in_redis), "in_log": repr(one.in_log)}
        for one in found
    ]
    if as_json:
        write_json_lines(sys.stdout.buffer, described)
    else:
        console = screen()
        for one in described:
            console.print(
                f"{one['account']}: {one['what']}: Redis has {one['in_redis']}, the log gives {one['in_log']}",
                soft_wrap=True,
            )
        print_note(f"{count(len(found), 'difference')} in {accounts:,} accounts.")
    if found:
        raise typer.Exit(1)


def _verify_forgotten(servers: ServerOptions, *, as_json: bool) -> int:
    from resegment.cli.operations.session import run_in_session
    from resegment.console.forgotten import print_left
    from resegment.streams.forgetting.checking import find_left

    async def look(session: Session) -> list[Left]:
        return await find_left(session.client, session.reader, session, session.settings, await session.now())

    return print_left(run_in_session(look, servers), as_json=as_json)


class Rebuilt(NamedTuple):
    """What a rebuild came to: partitions, records, and which changes are routed from now on."""

    partitions: list[int]
    records: int
    routing: str


async def _rebuild(
    servers: ServerOptions, segments: str | None, partition: int | None, *, replaces: bool
) -> Rebuilt:
    from resegment.cli.connection import load_settings, resolve
    from resegment.cli.operations.auditing import open_trail
    from resegment.state.redis.client import connect_redis
    from resegment.streams.audit.trail import check_may_change
    from resegment.streams.kafka.security import secure_kafka

    connection = resolve(load_settings(servers, segments=segments))
    prefix, security = connection.prefix, secure_kafka(connection.settings).clients()
    client = connect_redis(connection.settings, connection.redis_url)
    try:
        trail = open_trail(client, prefix, connection.settings, connection.bootstrap, security)
        await check_may_change(client, prefix, "rebuild", trail.actor)
        return await _rebuild_in(client, connection, trail, partition, replaces=replaces)
    finally:
        await client.aclose()


async def _rebuild_in(
    client: RedisClient, connection: Connection, trail: AuditTrail, partition: int | None, *, replaces: bool
) -> Rebuilt:
    from resegment.cli.operations.session import load_registry
    from resegment.routing.policy import mode_of
    from resegment.state.redis.reader import PrefixReader
    from resegment.streams.ahead import look_for_ahead_records
    from resegment.streams.kafka.connectivity import check_access
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.owners_mark import has_lost_owners
    from resegment.streams.partition_marks import is_rebuilding
    from resegment.streams.prefix import ROUTING, agree, is_known, read_prefix
    from resegment.streams.recovery.rebuild import (
        LostPartition,
        NothingLost,
        Rebuild,
        find_lost,
    )
    from resegment.streams.recovery.replay import LogSource, check_complete
    from resegment.streams.sealing.keys import ProcessKeys

    settings, prefix = connection.settings, connection.prefix
    security = secure_kafka(settings).clients()
    held = await read_prefix(client, prefix)
    whole = partition is None
    await _check_apart(client, prefix, held, whole=whole)
    await check_access(connection.bootstrap, security)
    source = LogSource(connection.bootstrap, Topics(prefix), security, keys=ProcessKeys(settings, prefix))
    registry = await load_registry(
        *(connection.segments, settings, held, source.topics, source.bootstrap, security),
        keys=source.fact_keys,
    )
    partitions = int(held["partitions"]) if is_known(held) else len(await check_complete(source))
    if partition is not None and partition >= partitions:
        raise NoSuchPartition(partition, partitions)
    numbers = range(partitions) if partition is None else [partition]
    lost = await find_lost(PrefixReader(client, prefix, partitions), held, numbers)
    if replaces:
        lost = [LostPartition(number, True, bool(lost) and lost[0].router) for number in numbers]
    unfinished = not is_known(held) or is_rebuilding(held) or await has_lost_owners(client, prefix, held)
    if not lost and not (whole and unfinished):
        raise NothingLost(prefix, partition)
    clock = held.get("clock", settings.clock)
    ahead = await look_for_ahead_records(client, prefix, clock, settings.tolerance, remember=True)
    source = replace(source, ahead=ahead)
    ends = await check_complete(source, [one.number for one in lost])
    async with trail.recording("rebuild", {"partition": partition, "replace": replaces or None}) as recording:
        await agree(client, prefix, partitions=partitions, clock=clock)
        work = Rebuild(client, source, registry, partitions)
        records = await _run(work, lost, ends, settings, whole=whole)
        if whole:
            await _finish(client, prefix, partitions, registry.current.definition)
        recording.result |= {"partitions": [one.number for one in lost], "records": records}
    mode = mode_of((await read_prefix(client, prefix)).get(ROUTING))
    return Rebuilt([one.number for one in lost], records, mode)


async def _check_apart(client: RedisClient, prefix: str, held: Mapping[str, str], *, whole: bool) -> None:
    """Raise PrefixUnknown where one partition can't be rebuilt, and WorkersRunning where the whole prefix can't."""
    from resegment.streams.heartbeat import read_workers
    from resegment.streams.prefix import is_known
    from resegment.streams.recovery.rebuild import PrefixUnknown

    if not whole and not is_known(held):
        raise PrefixUnknown(prefix)
    if whole and (workers := await read_workers(client, prefix)):
        raise WorkersRunning(len(workers))


async def _finish(client: RedisClient, prefix: str, partitions: int, definition: Definition) -> None:
    """Count the owners from the accounts, note the version in force, and let workers start."""
    from resegment.routing.policy import Policy
    from resegment.state.redis.owners import OwnerStore
    from resegment.streams.operations.owner_transfer import read_assignments
    from resegment.streams.owners_mark import accept_owners
    from resegment.streams.partition_marks import end_rebuild
    from resegment.streams.prefix import note_definition

    await note_definition(client, prefix, definition.version)
    found = await read_assignments(client, prefix, partitions, Policy(definition))
    await OwnerStore(client, prefix).recount(*found)
    await accept_owners(client, prefix)
    await end_rebuild(client, prefix)


async def _run(
    rebuild: Rebuild,
    lost: Sequence[LostPartition],
    ends: Mapping[int, int],
    settings: Settings,
    *,
    whole: bool,
) -> int:
    from resegment.console.progress import show_progress
    from resegment.streams.kafka.publisher import KafkaPublisher

    source = rebuild.source
    publisher = KafkaPublisher(
        source.bootstrap,
        client_id="resegment-rebuild",
        idempotent=settings.kafka is not None,
        security=source.security,
        seal=None if source.keys is None else source.keys.seal(source.topics),
    )
    with show_progress() as bars:
        async with publisher:
            return await rebuild.run(
                lost,
                publisher.publish,
                whole=whole,
                follow=lambda number: bars.count(f"partition {number}", ends[number]),
            )


async def _verify(servers: ServerOptions, segments: str | None) -> tuple[int, list[Difference]]:
    from resegment.agents.deciding.folding import begins_at_its_beginning
    from resegment.agents.deciding.sweep import find_due_sweep
    from resegment.cli.operations.session import open_session
    from resegment.console.progress import show_progress
    from resegment.state.partition_store import StateMissing
    from resegment.streams.partition_marks import has_committed
    from resegment.streams.recovery.replay import LogSource
    from resegment.streams.recovery.verify import verify_partition

    found: list[Difference] = []
    accounts = 0
    async with open_session(servers, segments=segments) as session:
        registry = await session.load_registry()
        ahead = await session.look_for_ahead_records()
        source = LogSource(session.bootstrap, session.topics, session.security, ahead, keys=session.keys)
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
                if position is None and has_committed(session.held, "segmenter", number):
                    raise StateMissing(number)
                if position is not None and not begins_at_its_beginning(position):
                    raise LogForgotten(number)
                if position is not None and find_due_sweep(position, registry.timeline) is not None:
                    raise SwitchUnderWay(number, registry.timeline.newest.number)
                accounts += len(stored)
                if position is not None:
                    found += await _verify_ledgers(session, number, source)
                    advance = bars.count(f"partition {number}", position.offset)
                    found += await verify_partition(
                        number, registry, stored, timers, position.offset, source, progress=advance
                    )
    return accounts, found


async def _verify_ledgers(session: Session, number: int, source: LogSource) -> list[Difference]:
    from resegment.console.terminal import print_note
    from resegment.streams.recovery.verify import hold_ledgers, verify_ledgers

    for _ in range(TRIES):
        held = await hold_ledgers(number, session.reader, source)
        if held is not None:
            return await verify_ledgers(number, held, source)
    print_note(
        f"Touches and outcomes of partition {number} are not compared: some are still on their way. Run it again when the "
        "router has caught up."
    )
    return []
