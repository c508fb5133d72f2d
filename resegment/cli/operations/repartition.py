"""`resegment repartition`: a copy of a prefix with another number of partitions."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson, SomeSegments
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

    from resegment.agents.batch import Message
    from resegment.settings import Settings
    from resegment.state.redis.reader import PrefixReader
    from resegment.streams.definitions.registry import DefinitionRegistry
    from resegment.streams.recovery.replay import LogSource
    from resegment.streams.sealing.keys import Seal

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment repartition live-2 --partitions 16 --prefix live --segments segments.yaml

resegment repartition live-2 --partitions 16 --prefix live --segments segments.yaml --from-log
"""


class KeysMissing(WrongUse):
    """The settings name no keys to seal with."""

    def __init__(self) -> None:
        super().__init__(
            "RESEGMENT_KEYS and RESEGMENT_KEY are not set, so nothing can be sealed",
            remedy="Set both; `resegment privacy keygen` makes a key.",
        )


class Copied(NamedTuple):
    """What a repartition came to. `unrouted` were copied for the new router: changes and events."""

    prefix: str
    partitions: int
    accounts: int
    routed: int
    unrouted: int


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(repartition)


@takes_servers
def repartition(
    name: Annotated[str, typer.Argument(metavar="NEW_PREFIX", help="The prefix to create.")],
    partitions: Annotated[
        int,
        typer.Option(
            "--partitions", min=1, max=1024, metavar="N", help="The new prefix's number of partitions."
        ),
    ],
    from_log: Annotated[
        bool,
        typer.Option(
            "--from-log", help="Compute the states again from the topics: for when Redis has lost its data."
        ),
    ] = False,
    segments: SomeSegments = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Copy a prefix into a new one with another number of partitions; the old one stays as it is.

    Carries over `signals`, accounts, segments, deadlines, sequence numbers, enrollments, owners, lists and the routing
    mode; sends no command. The old prefix must be drained and its workers stopped. Afterwards start workers with the new
    prefix, and point sources and consumers to its topics.
    """
    from resegment.console.counts import count
    from resegment.console.terminal import print_note, write_json

    done = asyncio.run(copy_prefix(name, partitions, servers, segments, from_log=from_log))
    if as_json:
        write_json(sys.stdout.buffer, done._asdict())
        return
    print_note(
        f"Copied {count(done.accounts, 'account')} into prefix {done.prefix} with "
        f"{count(done.partitions, 'partition')}; {done.routed:,} of them have a routing decision."
    )
    if done.unrouted:
        print_note(
            f"{done.unrouted:,} changes and events that were not routed yet are routed by the new workers."
        )
    print_note(
        f"Start workers with --prefix {done.prefix} and --partitions {done.partitions}, check them with "
        f"`resegment verify --prefix {done.prefix}`, and point sources and consumers to the topics {done.prefix}.*"
    )


async def copy_prefix(
    name: str,
    partitions: int | None,
    servers: ServerOptions,
    segments: str | None,
    *,
    from_log: bool = False,
    seals: bool = False,
) -> Copied:
    """Copy a prefix. Without `partitions` the new one has as many; `seals`: its personal fields are sealed.

    Raises NoKeys, NotDrained, PrefixTaken, and as reading and writing do.
    """
    from resegment.cli.connection import check_prefix, load_settings, resolve
    from resegment.cli.operations.auditing import open_trail
    from resegment.cli.operations.session import NoSuchPrefix, load_registry
    from resegment.state.redis.client import connect_redis
    from resegment.streams.ahead import look_for_ahead_records
    from resegment.streams.audit.trail import check_may_change
    from resegment.streams.heartbeat import check_stopped
    from resegment.streams.kafka.connectivity import check_access
    from resegment.streams.kafka.security import secure_kafka
    from resegment.streams.kafka.topics import Topics
    from resegment.streams.prefix import is_known, read_prefix
    from resegment.streams.recovery.replay import LogSource
    from resegment.streams.sealing.keys import ProcessKeys

    connection = resolve(load_settings(servers, segments=segments))
    settings = connection.settings.model_copy(update={"prefix": connection.prefix})
    check_prefix(name)
    security = secure_kafka(settings).clients()
    client = connect_redis(settings, connection.redis_url)
    trail = open_trail(client, connection.prefix, settings, connection.bootstrap, security)
    action = "privacy encrypt" if seals else "repartition"
    try:
        await check_may_change(client, connection.prefix, action, trail.actor)
        was_sealed = await _is_sealed(settings, seals=seals)
        for prefix in (connection.prefix, name):
            await check_stopped(client, prefix)
        held = await read_prefix(client, connection.prefix)
        if is_known(held):
            settings = settings.model_copy(update={"clock": held["clock"]})
        elif not from_log:
            raise NoSuchPrefix(connection.prefix)
        await check_access(connection.bootstrap, security)
        ahead = await look_for_ahead_records(client, settings.prefix, settings.clock, settings.tolerance)
        keys = ProcessKeys(settings, connection.prefix) if was_sealed else None
        old = LogSource(connection.bootstrap, Topics(connection.prefix), security, ahead, keys=keys)
        new = LogSource(connection.bootstrap, Topics(name), security)
        registry = await load_registry(
            *(connection.segments, settings, held, old.topics, old.bootstrap, security),
            keys=old.fact_keys,
        )
        asked = {"to": name, "partitions": partitions, "from_log": from_log or None}
        async with trail.recording(action, asked) as recording:
            await _give_keys(settings, name, was_sealed=was_sealed, seals=seals)
            new = replace(new, keys=ProcessKeys(settings, name) if was_sealed or seals else None)
            copied = await _copy(
                client, settings, registry, old, new, partitions, from_log=from_log, seals=seals
            )
            recording.result["accounts"] = copied.accounts
            return copied
    finally:
        await client.aclose()


async def _is_sealed(settings: Settings, *, seals: bool) -> bool:
    """Return whether personal fields of the old prefix are sealed. Raises KeysMissing where they are to be and cannot."""
    from resegment.state.keys.opening import has_keys, open_key_store

    if not has_keys(settings):
        if seals:
            raise KeysMissing
        return False
    if not seals:
        return True
    store = open_key_store(settings)
    try:
        await store.init()
        return await store.read_secret() is not None
    finally:
        await store.aclose()


async def _give_keys(settings: Settings, name: str, *, was_sealed: bool, seals: bool) -> None:
    """Give the new prefix the keys of the old one, or new ones where that has none."""
    from resegment.state.keys.keyring import make_keys
    from resegment.state.keys.opening import copy_keys_to, open_key_store, read_operator_key

    if was_sealed:
        await copy_keys_to(settings, name)
    elif seals:
        store = open_key_store(settings.model_copy(update={"prefix": name}))
        try:
            await make_keys(store, read_operator_key(settings))
        finally:
            await store.aclose()


async def _make_seal(
    registry: DefinitionRegistry, old: LogSource, new: LogSource, *, seals: bool
) -> Seal | None:
    """Return what seals the copy: messages that were not routed yet, and if it `seals` also the facts of its log."""
    from resegment.agents.privacy.sealing import FactSealer
    from resegment.streams.sealing.log import LogSealer

    if new.keys is None:
        return None
    ring, messages = await new.keys.ring(), new.keys.seal(new.topics)
    assert ring is not None
    if messages is None or not seals:
        return messages
    sealer = FactSealer(ring, registry.personal_at)
    log = LogSealer(sealer, new.topics.signals.name, was_sealed=old.keys is not None)

    async def seal(given: Sequence[Message]) -> Sequence[Message]:
        return await messages(await log.seal(given))

    return seal


async def _check_drained(reader: PrefixReader | None, registry: DefinitionRegistry, old: LogSource) -> None:
    """Raise NotDrained where the old prefix still has work to do."""
    from resegment.streams.recovery.repartition import NotDrained, find_unfinished

    prefix = old.topics.prefix
    problems = await find_unfinished(reader, old, prefix)
    if (underway := registry.definitions.open) is not None:
        problems.append(f"version {underway.version} is being applied")
    if problems:
        raise NotDrained(prefix, problems)


async def _copy(
    client: Redis,
    settings: Settings,
    registry: DefinitionRegistry,
    old: LogSource,
    new: LogSource,
    partitions: int | None,
    *,
    from_log: bool,
    seals: bool,
) -> Copied:
    from resegment.console.progress import show_progress
    from resegment.routing.policy import Policy
    from resegment.state.redis.owners import OwnerStore
    from resegment.state.redis.reader import PrefixReader
    from resegment.state.redis.whole_prefix import copy_owners, copy_settings
    from resegment.streams.definitions.announcing import Announcer
    from resegment.streams.definitions.log import copy_definitions
    from resegment.streams.definitions.policies import latest_switch
    from resegment.streams.definitions.registry import DefinitionRegistry
    from resegment.streams.identities.log import copy_identities
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.operations.owner_transfer import read_assignments
    from resegment.streams.partition_marks import begin_rebuild, end_partition, end_rebuild
    from resegment.streams.prefix import agree, agree_on_keys, note_definition
    from resegment.streams.recovery.repartition import Repartition, check_new
    from resegment.streams.recovery.replay import check_complete
    from resegment.streams.recovery.states import LoggedState, OldState

    prefix, name = old.topics.prefix, new.topics.prefix
    ends = await check_complete(old)
    before = len(ends)
    partitions = partitions or before
    reader = PrefixReader(client, prefix, before)
    await _check_drained(None if from_log else reader, registry, old)
    await check_new(client, new, settings, partitions)
    await begin_rebuild(client, name, (), whole=True)  # keeps workers away from what is half copied
    states = LoggedState(old, registry, before) if from_log else OldState(reader)
    unrouted = 0
    publisher = KafkaPublisher(
        old.bootstrap,
        client_id="resegment-repartition",
        idempotent=settings.kafka is not None,
        security=old.security,
        seal=await _make_seal(registry, old, new, seals=seals),
    )
    async with publisher:
        work = Repartition(
            client,
            old,
            new,
            before=before,
            after=partitions,
            publish=publisher.publish,
            version=registry.definitions.current,
            in_force=latest_switch(registry),
        )
        with show_progress() as bars:
            clock = await work.copy_log(bars.count("signals", sum(ends.values())))
        copied = await work.copy_states(states, clock)
        await copy_definitions(old.bootstrap, old.topics, publisher, new.topics, old.security)
        await copy_identities(old.bootstrap, old.topics, publisher, new.topics, old.security)
        if isinstance(states, LoggedState):
            factory = Announcer(
                DefinitionRegistry(registry.definitions, new.topics, facts_per_test=settings.facts_per_test)
            )
            unrouted = await work.copy_unrouted(prefix) + len(states.lacking)
            await publisher.publish([factory.change(one) for one in states.lacking])
    await copy_settings(client, prefix, name, partitions)
    await agree(client, name, partitions=partitions, clock=settings.clock)
    await note_definition(client, name, registry.current.definition.version)
    if new.keys is not None:
        await agree_on_keys(client, name, await new.keys.ring())
    if not await copy_owners(client, prefix, name):
        policy = Policy(registry.current.definition)
        await OwnerStore(client, name).recount(*await read_assignments(client, name, partitions, policy))
    for number in range(partitions):
        await end_partition(client, name, number)
    await end_rebuild(client, name)
    return Copied(name, partitions, copied["segmenter"], copied["router"], unrouted)
