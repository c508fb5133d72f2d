"""What a prefix needs at a rate of events and a number of accounts, computed from measured figures.

`python -m resegment.benchmarks.capacity` prints the tables of docs/scaling.md; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

RATES: Final = (100, 1_000, 5_000, 10_000, 50_000)
ACCOUNTS: Final = (100_000, 1_000_000, 10_000_000)
MILLION: Final = 1_000_000
GIB: Final = 1 << 30
MONTH_SECONDS: Final = 30 * 86_400
MONTH_HOURS: Final = 730


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of docs/benchmarks.md. CPU is in microseconds per event, on one core of the machine there."""

    cached: float = 40.2
    """Intake and segmenter with the compiled core, all accounts in memory (50,000 accounts, 11 events each)."""
    missed: float = 115.0
    """The same, hardly any account in memory (a million accounts, 2 events each). It was measured with the pure core."""
    redis: float = 11.4
    broker: float = 4.3
    account_in_memory: int = 6_700
    """Bytes of an account with 11 facts in a worker, ..."""
    account_in_redis: int = 1_490
    """... and in Redis."""
    trigger: int = 370
    """Bytes of an event as it comes, ..."""
    signal: int = 400
    """... and of its signal in the log, alone in its batch."""
    change: int = 1_500
    """Bytes of a segment change, ..."""
    changes: float = 0.22
    """... of which an event makes so many."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is chosen and not measured."""

    busy: float = 0.5
    """The share of a core that events may take: the rest is for peaks, deadlines, the router and a worker that is away."""
    cache: int = 512_000_000
    """RESEGMENT_CACHE_BYTES of each worker, its default."""
    replicas: int = 3
    room: float = 2.0
    """Memory of Redis for each byte of data: a snapshot or a rewrite of the append-only file copies what changes."""
    kept_days: int = 7
    """Days for which topics other than `signals` are kept."""


@dataclass(frozen=True, slots=True)
class Prices:
    """List prices in US dollars, without discounts: AWS, us-east-1, Linux, on demand, as published in June 2026."""

    node_hour: float = 0.0816
    """An m7g.large."""
    node_cores: int = 2
    node_gib: int = 8
    disk_month: float = 0.08
    """A GB of gp3 for a month."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a prefix needs."""

    accounts: int
    rate: int
    cached: float
    """The share of events whose account is in memory, if all accounts have as many."""
    worker_cores: float
    """Cores that events take."""
    workers: int
    partitions: int
    redis_gib: float
    redis_busy: float
    """The share of one core; Redis runs commands on one."""
    redis_masters: int
    broker_cores: float
    """Of all brokers."""
    written: float
    """MB/s to the disks of all brokers."""
    kept_gb: float
    """GB on the disks of all brokers after a month; `signals` keeps growing."""
    grows_gb: float
    """GB by which `signals` grows each month."""
    limit: str
    """What has the least room left."""
    cost: float
    """US dollars a month."""


def size(
    accounts: int,
    rate: int,
    measured: Measured = Measured(),
    assumed: Assumed = Assumed(),
    prices: Prices = Prices(),
) -> Need:
    """Return what so many accounts need at so many events a second."""
    workers, cached, cores = _find_workers(accounts, rate, measured, assumed)
    redis_busy = rate * measured.redis / MILLION
    redis_gib = accounts * measured.account_in_redis * assumed.room / GIB
    masters = max(1, ceil(redis_busy / assumed.busy))
    bytes_each = measured.trigger + measured.signal + measured.change * measured.changes
    broker_cores = rate * measured.broker * assumed.replicas / MILLION
    signals = rate * measured.signal * assumed.replicas * MONTH_SECONDS / 1e9
    others = (
        rate * (bytes_each - measured.signal) * assumed.replicas * min(assumed.kept_days, 30) * 86_400 / 1e9
    )
    left = {
        "workers": workers / (cores / assumed.busy),
        "Redis, one core": masters / (redis_busy / assumed.busy),
        "Kafka": assumed.replicas * prices.node_cores / (broker_cores / assumed.busy),
    }
    need = Need(
        accounts=accounts,
        rate=rate,
        cached=cached,
        worker_cores=cores,
        workers=workers,
        partitions=count_partitions(workers),
        redis_gib=redis_gib,
        redis_busy=redis_busy,
        redis_masters=masters,
        broker_cores=broker_cores,
        written=rate * bytes_each * assumed.replicas / 1e6,
        kept_gb=signals + others,
        grows_gb=signals,
        limit=min(left, key=lambda name: left[name]),
        cost=0.0,
    )
    return _price(need, assumed, prices)


def _find_workers(accounts: int, rate: int, measured: Measured, assumed: Assumed) -> tuple[int, float, float]:
    """Return the workers, the share of events whose account is in memory, and the cores that events take."""
    each = assumed.cache / measured.account_in_memory
    workers = 1
    while True:
        cached = min(1.0, workers * each / accounts)
        cores = rate * (cached * measured.cached + (1 - cached) * measured.missed) / MILLION
        if cores <= workers * assumed.busy:
            return workers, cached, cores
        workers += 1


def count_partitions(workers: int) -> int:
    """Return how many partitions leave room for four times the workers: a power of two, at least 8."""
    count = 8
    while count < 4 * workers:
        count *= 2
    return count


def _price(need: Need, assumed: Assumed, prices: Prices) -> Need:
    nodes = max(2, ceil(need.workers / prices.node_cores))  # two, so that one may be away
    redis = 2 * max(need.redis_masters, ceil(need.redis_gib / prices.node_gib))  # each with a replica
    brokers = max(assumed.replicas, ceil(need.broker_cores / assumed.busy / prices.node_cores))
    hours = (nodes + redis + brokers) * prices.node_hour * MONTH_HOURS
    cost = hours + need.kept_gb * prices.disk_month
    return replace(need, cost=cost)


@dataclass(frozen=True, slots=True)
class Simulated:
    """What so many workers do at once in the simulation."""

    workers: int
    per_second: float
    redis_busy: float
    broker_busy: float
    """Shares of a core."""


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU of an event, in microseconds: of its worker, of Redis and of the broker."""

    worker: float
    redis: float
    broker: float


BATCH: Final = 1_000
STEP: Final = 0.000_25
WORKER, REDIS, BROKER = range(3)


def simulate(
    workers: int, costs: Costs, *, partitions: int = 12, cores: int | None = None, seconds: float = 4.0
) -> Simulated:
    """Let workers drain a backlog: each batch takes its worker, then Redis, then the broker, each one at a time.

    A worker continues with its other partitions meanwhile. With `cores`, all of it shares so many cores in equal parts;
    without, each worker, Redis and the broker have a core of their own.
    """
    spent = (costs.worker, costs.redis, costs.broker)
    left = [BATCH * costs.worker / MILLION] * partitions
    stage = [WORKER] * partitions
    queues: dict[tuple[int, int], list[int]] = {(REDIS, 0): [], (BROKER, 0): []}
    for partition in range(partitions):
        queues.setdefault((WORKER, partition % workers), []).append(partition)
    done, busy = 0, [0.0, 0.0, 0.0]
    for _ in range(int(seconds / STEP)):
        active = [place for place, queue in queues.items() if queue]
        share = 1.0 if cores is None else min(1.0, cores / len(active))
        for place in active:
            first = queues[place][0]
            left[first] -= STEP * share
            busy[place[0]] += STEP * share
            if left[first] > 0:
                continue
            queues[place].pop(0)
            stage[first] = (stage[first] + 1) % len(spent)
            done += BATCH if stage[first] == WORKER else 0
            left[first] += BATCH * spent[stage[first]] / MILLION
            queues[stage[first], first % workers if stage[first] == WORKER else 0].append(first)
    return Simulated(workers, done / seconds, busy[REDIS] / seconds, busy[BROKER] / seconds)


SEPARATE: Final = Costs(worker=40.2, redis=11.4, broker=4.3)
"""The whole way, as measured with one worker."""
SHARED: Final = (Costs(worker=33.8, redis=9.3, broker=2.7), Costs(worker=35.4, redis=9.3, broker=2.7))
"""The segmenter in the run of one and of two workers on two cores, and what was measured there: events a second."""
SHARED_MEASURED: Final = (29_400, 40_700)


def tables() -> Iterator[str]:
    """Yield the lines of the tables in docs/scaling.md."""
    needs = [size(accounts, rate) for accounts in ACCOUNTS for rate in RATES]
    yield from _table(
        ("accounts", "events/s", "in memory", "worker cores", "workers", "partitions", "Redis, GiB",
         "Redis core", "masters", "broker cores", "least room"),
        ((f"{one.accounts:,}", f"{one.rate:,}", f"{one.cached:.0%}", f"{one.worker_cores:.2f}",
          str(one.workers), str(one.partitions), f"{one.redis_gib:.1f}", f"{one.redis_busy:.0%}",
          str(one.redis_masters), f"{one.broker_cores:.2f}", one.limit) for one in needs),
    )  # fmt: skip
    yield ""
    yield from _table(
        ("events/s", "written, MB/s", "on disk after a month, GB", "`signals` grows each month by, GB"),
        ((f"{one.rate:,}", f"{one.written:.1f}", f"{one.kept_gb:,.0f}", f"{one.grows_gb:,.0f}") for one in needs[: len(RATES)]),
    )  # fmt: skip
    yield ""
    yield from _table(
        ("accounts", *(f"{rate:,} events/s" for rate in RATES)),
        ((f"{accounts:,}", *(f"${size(accounts, rate).cost:,.0f}" for rate in RATES)) for accounts in ACCOUNTS),
    )  # fmt: skip
    yield ""
    alone = simulate(1, SEPARATE).per_second
    yield from _table(
        ("workers", "events/s", "times one", "Redis core", "broker core"),
        (
            (
                str(one.workers),
                f"{one.per_second:,.0f}",
                f"{one.per_second / alone:.2f}",
                f"{one.redis_busy:.0%}",
                f"{one.broker_busy:.0%}",
            )
            for one in (simulate(workers, SEPARATE, partitions=24) for workers in (1, 2, 3, 4, 6, 8))
        ),
    )
    yield ""
    yield from _table(
        ("workers on two cores with the servers", "simulated, events/s", "measured"),
        (
            (
                str(workers),
                f"{simulate(workers, costs, partitions=4, cores=2).per_second:,.0f}",
                f"{measured:,}",
            )
            for workers, costs, measured in zip((1, 2), SHARED, SHARED_MEASURED, strict=True)
        ),
    )


def _table(titles: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"| {' | '.join('---' for _ in titles)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in tables())
