"""The health of a prefix at one look, from what its workers and partitions say; and what is wrong, in words."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from resegment.routing.describe import advise
from resegment.schemas.times import format_instant, spell_length
from resegment.sinks.health import find_sinks_in_trouble
from resegment.sinks.webhook.health import find_trouble
from resegment.state.redis.reader import PartitionLook, PrefixReader, add_sizes
from resegment.state.redis.webhooks import EndpointState, WebhookStates
from resegment.state.sinks.states import SinkState, SinkStates
from resegment.state.sources.arrivals import ArrivalStore
from resegment.state.sources.looks import (
    SourceLook,
    describe_source,
    look_at_sources,
    tell_repeated,
    tell_silent,
)
from resegment.streams.archive_report import ArchiveLook, ArchiveReports, describe_archive
from resegment.streams.definitions.history import Definitions
from resegment.streams.heartbeat import WorkerLook, look_at_worker, read_workers
from resegment.streams.identities.status import IdentityLook, find_identity_notes, look_at_identities
from resegment.streams.operations.dead_letters import DeadLetterCount
from resegment.streams.operations.definition_status import (
    DefinitionLook,
    describe_definition_look,
    find_definition_notes,
    find_definition_problems,
    look_at_definitions,
)
from resegment.streams.operations.routing_status import (
    RoutingLook,
    describe_routing_look,
    find_teams,
    look_at_routing,
)
from resegment.streams.outcomes.counts import Credits, read_credits
from resegment.streams.partition_marks import find_rebuilding, find_waiting
from resegment.streams.reports.pace import describe_pace, look_at_backlog, look_at_stages
from resegment.streams.spot_checks import (
    SpotCheck,
    describe_spot_checks,
    find_blocked,
    find_differences,
    read_spot_checks,
)
from resegment.streams.tables_report import TablesLook, TablesReports, describe_tables

if TYPE_CHECKING:
    from redis.asyncio import Redis

AHEAD: Final = 60_000
"""Milliseconds that a partition's clock may be ahead of the clock of Redis before that is a problem."""
PATIENCE: Final = 10_000
"""Milliseconds that an outbox or a due account may wait before that is a problem."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A prefix at the instant `now` (ms, by the clock of Redis)."""

    prefix: str
    clock: str
    definition: str
    now: int
    workers: Sequence[WorkerLook]
    partitions: Sequence[PartitionLook]
    letters: DeadLetterCount
    routing: RoutingLook = field(default_factory=RoutingLook)
    missing: Mapping[int, str] = field(default_factory=dict)
    """Partitions that wait because Redis lost their state, each with what is missing."""
    rebuilding: Sequence[int] = ()
    """Partitions whose rebuild runs or was interrupted."""
    webhooks: Mapping[str, EndpointState] = field(default_factory=dict)
    """What is kept of each webhook endpoint."""
    grown: Mapping[str, int] = field(default_factory=dict)
    """Topics with another number of partitions than the prefix, with that number."""
    definitions: DefinitionLook = field(default_factory=DefinitionLook)
    spot_checks: Mapping[int, SpotCheck] = field(default_factory=dict)
    """What was found where accounts were folded again from the log, by partition."""
    sinks: Mapping[str, SinkState] = field(default_factory=dict)
    """What is kept of each sink."""
    archive: ArchiveLook | None = None
    tables: Sequence[TablesLook] = ()
    sources: Sequence[SourceLook] = ()
    """The sources of events, the silent ones first."""
    credits: Credits = field(default_factory=Credits)
    identities: IdentityLook = field(default_factory=IdentityLook)
    """The events that wait for their subject to be resolved, and aliases of the file that are accounts."""

    @property
    def owners(self) -> dict[int, str]:
        """The worker of each partition that has one."""
        return {number: worker.name for worker in self.workers for number in worker.partitions}

    @property
    def lag(self) -> dict[str, int]:
        """Records not yet worked off by topic, as the workers say."""
        return _sum(worker.lag for worker in self.workers)

    @property
    def sizes(self) -> dict[str, int]:
        """Accounts by segment, the greatest first."""
        return add_sizes(self.partitions)


async def look(
    client: Redis,
    reader: PrefixReader,
    held: Mapping[str, str],
    letters: DeadLetterCount,
    grown: Mapping[str, int] | None = None,
    definitions: Definitions | None = None,
) -> Overview:
    """Look at a prefix; `held` is its record, the rest is what Kafka says. Raises StoreUnavailable."""
    now = await reader.now()
    workers = await read_workers(client, reader.prefix)
    clock = held.get("clock", "wall")
    here, told = time.time(), now if clock == "wall" else None
    partitions = await reader.look(told)
    return Overview(
        prefix=reader.prefix,
        clock=clock,
        definition=held.get("definition", ""),
        now=now,
        workers=[look_at_worker(name, entry, here) for name, entry in sorted(workers.items())],
        partitions=partitions,
        letters=letters,
        routing=await look_at_routing(client, reader, held, told, find_teams(definitions)),
        missing=find_waiting(held),
        rebuilding=find_rebuilding(held),
        webhooks=await WebhookStates(client, reader.prefix).read(),
        sinks=await SinkStates(client, reader.prefix).read(),
        archive=await ArchiveReports(client, reader.prefix).read(),
        tables=await TablesReports(client, reader.prefix).read(),
        sources=look_at_sources(await ArrivalStore(client, reader.prefix).read_latest()),
        credits=await read_credits(client, reader.prefix),
        identities=await look_at_identities(reader, held),
        grown=grown or {},
        spot_checks=await read_spot_checks(client, reader.prefix),
        definitions=DefinitionLook()
        if definitions is None
        else await look_at_definitions(client, reader.prefix, definitions, partitions, now),
    )


def find_problems(overview: Overview) -> list[str]:
    """Return what keeps the prefix from doing its work, one sentence each; nothing if it is healthy."""
    problems: list[str] = []
    owners = overview.owners
    lost = [one.number for one in overview.partitions if one.number not in owners]
    if not overview.workers:
        problems.append("no worker is running: events wait, and no account moves")
    elif lost:
        problems.append(f"{_name(lost)} no owner: events wait there")
    for number, what in overview.missing.items():
        if number not in overview.rebuilding:
            problems.append(
                f"partition {number} waits: Redis has lost its state ({what}); "
                f"run `resegment rebuild --partition {number}`"
            )
    problems += [
        f"partition {number} is being rebuilt and waits; if no `resegment rebuild` runs, run it again"
        for number in overview.rebuilding
    ]
    for one in overview.partitions:
        problems += _find_delays(overview, one, "the outbox", "")
    for one in overview.routing.partitions:
        problems += _find_delays(overview, one, "the router's outbox", "the router of ")
    problems += find_differences(overview.spot_checks)
    problems += find_definition_problems(overview.definitions, overview.clock)
    problems += _find_clocks_ahead(overview)
    problems += _find_grown(overview)
    problems += _find_webhooks_in_trouble(overview)
    problems += find_sinks_in_trouble(overview.sinks, overview.now / 1000)
    problems += [] if overview.archive is None else overview.archive.problems
    problems += [problem for one in overview.tables for problem in one.problems]
    problems += sorted({f"batches wait: {one.keys_away}" for one in overview.workers if one.keys_away})
    problems += sorted(
        {
            f"a suppression list is frozen, workers use its last version: {one.frozen}"
            for one in overview.workers
            if one.frozen
        }
    )
    if overview.letters.problem is not None:
        problems.append(f"the dead letters could not be counted: {overview.letters.problem}")
    return problems


def _find_clocks_ahead(overview: Overview) -> list[str]:
    if overview.clock != "wall":
        return []
    ahead = {
        one.number: one.position.clock - overview.now
        for one in overview.partitions
        if one.position is not None and one.position.clock - overview.now > AHEAD
    }
    return [
        f"the clock of partition {number} is {spell_length(by)} ahead: a record from the future moved it, and windows "
        "close too early there"
        for number, by in ahead.items()
    ]


def _find_grown(overview: Overview) -> list[str]:
    wanted = len(overview.partitions)
    return [
        f"the topic {name} has {found} partitions and the prefix {wanted}: records in other partitions are not read"
        if found > wanted
        else f"the topic {name} has only {found} of {wanted} partitions"
        for name, found in sorted(overview.grown.items())
    ]


def _find_webhooks_in_trouble(overview: Overview) -> list[str]:
    problems = []
    delivered = any(kept.reports for kept in overview.webhooks.values())
    for name, kept in sorted(overview.webhooks.items()):
        found = (find_trouble(one, overview.now / 1000) for one in kept.reports.values())
        troubles = [one for one in found if one is not None]
        if kept.disabled is not None:
            problems.append(
                f"the webhook {name} is disabled since {kept.disabled['at']} ({kept.disabled['why']}): its commands wait"
            )
        elif troubles:
            problems.append(f"the webhook {name} {troubles[0]}")
        elif kept.begun and not delivered:  # one that only others deliver beside was taken out of the file
            problems.append(f"no process delivers to the webhook {name}: its commands wait")
    for name, count in overview.letters.undelivered.items():
        kind = "sink" if name in overview.sinks else "webhook"
        problems.append(
            f"{count:,} {'event' if count == 1 else 'events'} for the {kind} {name} "
            f"{'is' if count == 1 else 'are'} in the dead letters: `resegment dead-letters retry --endpoint {name}` "
            "sends them again"
        )
    return problems


def find_notes(overview: Overview) -> list[str]:
    """Return what is worth knowing but no problem, one sentence each."""
    advice = advise(overview.routing.mode, overview.routing.decisions.get("enrolled", 0))
    skipped = {name: count for worker in overview.workers for name, count in worker.skipped.items()}
    lines = [
        f"list {name}: {count:,} {'line' if count == 1 else 'lines'} skipped, as `resegment lint` shows"
        for name, count in sorted(skipped.items())
    ]
    lines += _find_dropped(overview.workers)
    lines += [] if overview.archive is None else [overview.archive.note]
    lines += [one.note for one in overview.tables]
    lines += [*find_blocked(overview.spot_checks), *overview.credits.notes]
    lines += tell_silent(overview.sources)
    lines += tell_repeated(_sum(one.repeated for one in overview.workers))
    lines += find_identity_notes(overview.identities)
    lines += find_definition_notes(overview.definitions)
    lines += [f"worker {one.name}: {one.differs}" for one in overview.workers if one.differs]
    return lines if advice is None else [advice, *lines]


def _find_dropped(workers: Sequence[WorkerLook]) -> list[str]:
    """Return for each test how many facts its limit dropped since the workers started."""
    facts = _sum({test: number for test, (number, _) in one.dropped.items()} for one in workers)
    accounts = _sum({test: number for test, (_, number) in one.dropped.items()} for one in workers)
    return [
        f"the limit of facts that a test counts dropped {facts[test]:,} older ones of {accounts[test]:,} "
        f"{'account' if accounts[test] == 1 else 'accounts'} since the workers started: {test}"
        for test in sorted(facts)
    ]


def _find_delays(overview: Overview, one: PartitionLook, outbox: str, whose: str) -> list[str]:
    problems = []
    waiting = 0 if one.waiting_since is None else overview.now - one.waiting_since
    if waiting > PATIENCE:
        problems.append(
            f"{outbox} of partition {one.number} is not emptying: {one.outbox:,} "
            f"{'commit waits' if one.outbox == 1 else 'commits wait'} to be published, "
            f"the oldest for {spell_length(waiting)}"
        )
    late = 0 if one.next_deadline is None or overview.clock != "wall" else overview.now - one.next_deadline
    if late > PATIENCE:
        problems.append(
            f"{whose}partition {one.number} decides late: {one.due:,} "
            f"{'account is' if one.due == 1 else 'accounts are'} due, the first for {spell_length(late)}"
        )
    return problems


def describe_overview(overview: Overview) -> dict[str, Any]:
    """Return the overview as plain JSON data, instants in RFC 3339."""
    problems = find_problems(overview)
    owners = overview.owners
    return {
        "prefix": overview.prefix,
        "at": format_instant(overview.now),
        "healthy": not problems,
        "problems": problems,
        "notes": find_notes(overview),
        "unresolved": {"events": overview.identities.events, "names": overview.identities.names},
        "clock": overview.clock,
        "definition_version": overview.definition,
        "definition": describe_definition_look(overview.definitions),
        "accounts": sum(one.accounts for one in overview.partitions),
        "segments": overview.sizes,
        "workers": [
            {
                "name": one.name,
                "partitions": list(one.partitions),
                "lag": dict(one.lag),
                "silent_seconds": one.silent / 1000,
                "frozen_list": one.frozen,
                "key_store_away": one.keys_away,
                "skipped_lines": dict(one.skipped),
                "file_differs": one.differs,
                "dropped_facts": {test: facts for test, (facts, _) in one.dropped.items()},
                "repeated_ids": dict(one.repeated),
                "accounts_over_limit": {test: accounts for test, (_, accounts) in one.dropped.items()},
            }
            for one in overview.workers
        ],
        "lag": overview.lag,
        **describe_pace(look_at_backlog(overview.workers), look_at_stages(overview.workers)),
        "partitions": [
            {
                "partition": one.number,
                "owner": owners.get(one.number),
                "clock": None if one.position is None else format_instant(one.position.clock),
                "offset": None if one.position is None else one.position.offset,
                "accounts": one.accounts,
                "outbox": one.outbox,
                "outbox_age_seconds": None
                if one.waiting_since is None
                else max(0, overview.now - one.waiting_since) / 1000,
                "deadlines": one.deadlines,
                "due": one.due,
                "next_deadline": None if one.next_deadline is None else format_instant(one.next_deadline),
            }
            for one in overview.partitions
        ],
        "routing": describe_routing_look(overview.routing),
        "dead_letters": {
            "reasons": dict(overview.letters.reasons),
            "older": overview.letters.older,
            "undelivered": dict(overview.letters.undelivered),
            "retried": overview.letters.retried,
        },
        "archive": describe_archive(overview.archive),
        "outcomes": overview.credits.describe(),
        "tables": describe_tables(overview.tables),
        "spot_check": describe_spot_checks(overview.spot_checks),
        "topics_with_other_partitions": dict(overview.grown),
        "sources": list(map(describe_source, overview.sources)),
    }


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for name, number in one.items():
            total[name] = total.get(name, 0) + number
    return total


def _name(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"partition {numbers[0]} has"
    *most, last = map(str, numbers)
    return f"partitions {', '.join(most)} and {last} have"
