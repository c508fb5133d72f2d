"""The health of a prefix at one look, from what its workers and partitions say; and what is wrong, in words."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from resegment.routing.describe import advise
from resegment.schemas.times import format_instant, spell_length
from resegment.state.redis.reader import PartitionLook, PrefixReader, add_sizes
from resegment.streams.heartbeat import read_workers
from resegment.streams.operations.dead_letters import DeadLetterCount
from resegment.streams.operations.routing_status import RoutingLook, describe_routing_look, look_at_routing
from resegment.streams.partition_marks import find_rebuilding, find_waiting

if TYPE_CHECKING:
    from redis.asyncio import Redis

PATIENCE: Final = 10_000
"""Milliseconds that an outbox or a due account may wait before that is a problem."""


@dataclass(frozen=True, slots=True)
class WorkerLook:
    """One worker: the partitions of `signals` that it owns, its lag by topic, and for how long it is silent (ms)."""

    name: str
    partitions: Sequence[int]
    lag: Mapping[str, int]
    silent: int


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
    client: Redis, reader: PrefixReader, held: Mapping[str, str], letters: DeadLetterCount
) -> Overview:
    """Look at a prefix; `held` is its record. Raises StoreUnavailable."""
    now = await reader.now()
    workers = await read_workers(client, reader.prefix)
    clock = held.get("clock", "wall")
    here, told = time.time(), now if clock == "wall" else None
    return Overview(
        prefix=reader.prefix,
        clock=clock,
        definition=held.get("definition", ""),
        now=now,
        workers=[_worker(name, entry, here) for name, entry in sorted(workers.items())],
        partitions=await reader.look(told),
        letters=letters,
        routing=await look_at_routing(client, reader, held, told),
        missing=find_waiting(held),
        rebuilding=find_rebuilding(held),
    )


def find_problems(overview: Overview) -> list[str]:
    """What keeps the prefix from doing its work, one sentence each; nothing where it is healthy."""
    problems: list[str] = []
    owners = overview.owners
    lost = [one.number for one in overview.partitions if one.number not in owners]
    if not overview.workers:
        problems.append("no worker is running: events wait, and nobody is moved")
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
    if overview.letters.problem is not None:
        problems.append(f"the dead letters could not be counted: {overview.letters.problem}")
    return problems


def find_notes(overview: Overview) -> list[str]:
    """What is no problem, and yet to be known, one sentence each."""
    advice = advise(overview.routing.mode, overview.routing.decisions.get("enrolled", 0))
    return [] if advice is None else [advice]


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
    """The overview as plain JSON data, instants in RFC 3339."""
    problems = find_problems(overview)
    owners = overview.owners
    return {
        "prefix": overview.prefix,
        "at": format_instant(overview.now),
        "healthy": not problems,
        "problems": problems,
        "notes": find_notes(overview),
        "clock": overview.clock,
        "definition_version": overview.definition,
        "accounts": sum(one.accounts for one in overview.partitions),
        "segments": overview.sizes,
        "workers": [
            {
                "name": one.name,
                "partitions": list(one.partitions),
                "lag": dict(one.lag),
                "silent_seconds": one.silent / 1000,
            }
            for one in overview.workers
        ],
        "lag": overview.lag,
        "partitions": [
            {
                "partition": one.number,
                "owner": owners.get(one.number),
                "clock": None if one.position is None else format_instant(one.position.clock),
                "offset": None if one.position is None else one.position.offset,
                "accounts": one.accounts,
                "outbox": one.outbox,
                "deadlines": one.deadlines,
                "due": one.due,
                "next_deadline": None if one.next_deadline is None else format_instant(one.next_deadline),
            }
            for one in overview.partitions
        ],
        "routing": describe_routing_look(overview.routing),
        "dead_letters": {"reasons": dict(overview.letters.reasons), "older": overview.letters.older},
    }


def _worker(name: str, entry: Mapping[str, Any], now: float) -> WorkerLook:
    lag = _sum({place.rpartition(":")[0]: behind} for place, behind in entry["lag"].items())
    return WorkerLook(name, sorted(entry["partitions"]), lag, max(0, int((now - entry["at"]) * 1000)))


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
