"""How fast a prefix works: how many records waited in the last hour, and how long each stage took.

Each worker keeps its own figures in memory and reports them with its heartbeat, so that who looks first has them.
They begin again where a worker starts, or where its partitions change: what another worker knew of them is not known then.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from prometheus_client import Histogram

from resegment.schemas.times import format_instant, format_second

if TYPE_CHECKING:
    from resegment.streams.heartbeat import WorkerLook

MINUTES: Final = 60
"""How many minutes a worker looks back."""
COMPARED: Final = 10
"""The backlog is compared with that of so many minutes before."""
MADE_EVERY: Final = 5.0
"""Seconds for which what is reported is not made again."""
STEADY: Final = 0.1
"""A backlog that changed by less than this part of it neither grows nor shrinks."""

STAGES: Final[Mapping[str, str]] = {
    "intake": "an event is checked and becomes a signal",
    "segmenter": "the account is read, decided and written",
    "relay": "its change is published",
    "router": "the workflow and owner are decided, and the command is published",
    "router-events": "an answer of a workflow or owner is taken in",
    "router-relay": "the command is published",
}
"""The stages that a signal goes through until its command, in their order, and what each does."""


class Before(msgspec.Struct, frozen=True):
    """What waited in each place at an instant (s); places where nothing did are left out."""

    at: float
    waited: dict[str, int] = {}


class StageCounts(msgspec.Struct, frozen=True):
    """How many delays each stage had in each bucket since an instant (s)."""

    since: float
    bounds: list[float] = []
    counts: dict[str, list[int]] = {}


class PaceReport(msgspec.Struct, frozen=True):
    """What a worker reports of its pace: since when (s) it knows what waited, and what that was by topic at each minute."""

    since: float
    minutes: list[int]
    waited: dict[str, list[int]]
    before: Before
    stages: StageCounts


def read_pace(value: object) -> PaceReport | None:
    """Return what a worker reported; None where it is of a release that reports otherwise, or nothing."""
    try:
        found = msgspec.convert(value, PaceReport)
    except msgspec.ValidationError:
        return None
    count = len(found.stages.bounds) + 1
    whole = all(len(one) == len(found.minutes) for one in found.waited.values())
    return found if whole and all(len(one) == count for one in found.stages.counts.values()) else None


class Delays(Protocol):
    """Where a worker counts its delays by stage."""

    def read(self) -> tuple[Sequence[float], Mapping[str, Sequence[int]]]:
        """Return the upper bounds of buckets (s), and how many delays each stage has had in each; one bucket has no bound."""
        ...


class HistogramDelays:
    """The `Delays` of a histogram with one label, the stage."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def read(self) -> tuple[Sequence[float], Mapping[str, Sequence[int]]]:
        totals: dict[str, list[tuple[float, float]]] = {}
        for metric in self._histogram.collect():
            for sample in metric.samples:
                if sample.name.endswith("_bucket"):
                    bound = float(sample.labels["le"])
                    totals.setdefault(sample.labels["stage"], []).append((bound, sample.value))
        bounds: list[float] = []
        counts: dict[str, list[int]] = {}
        for stage, found in totals.items():
            ordered = sorted(found)
            bounds = [bound for bound, _ in ordered[:-1]]
            before = [0.0, *(value for _, value in ordered[:-1])]
            counts[stage] = [int(value - less) for (_, value), less in zip(ordered, before, strict=True)]
        return bounds, counts


class Pace:
    """What one worker knows of its own pace. `now` is in seconds since the epoch."""

    def __init__(self, delays: Delays, now: Callable[[], float] = time.time) -> None:
        self._delays, self._now = delays, now
        self._places: frozenset[str] = frozenset()
        self._lags: dict[int, dict[str, int]] = {}
        """What waited in each place at the first look of a minute."""
        self._lags_since = self._started = now()
        self._counted: dict[int, Mapping[str, Sequence[int]]] = {}
        """How many delays each stage had had at the first look of a minute."""
        self._made: tuple[float, PaceReport] | None = None

    def note(self, lag: Mapping[str, int]) -> PaceReport:
        """Note what waits, by `topic:partition`, and return what is reported."""
        now = self._now()
        minute = int(now // 60)
        if lag.keys() != self._places:
            self._places, self._lags, self._lags_since = frozenset(lag), {}, now
        if minute not in self._lags:
            self._lags[minute] = dict(lag)
            _trim(self._lags, minute)
        if minute not in self._counted:
            self._counted[minute] = self._delays.read()[1]
            _trim(self._counted, minute)
        if self._made is None or now - self._made[0] >= MADE_EVERY:
            self._made = now, self._make(minute)
        return self._made[1]

    def _make(self, minute: int) -> PaceReport:
        earlier = [one for one in self._lags if one <= minute - COMPARED]
        before = max(earlier) if earlier else min(self._lags)
        topics: dict[str, list[int]] = {}
        for place in self._places:
            topics.setdefault(place.rpartition(":")[0], [0] * len(self._lags))
        for number, one in enumerate(self._lags.values()):
            for place, waiting in one.items():
                topics[place.rpartition(":")[0]][number] += waiting
        bounds, counts = self._delays.read()
        first = min(self._counted)
        old = self._counted[first]
        return PaceReport(
            self._lags_since,
            list(self._lags),
            topics,
            Before(
                max(before * 60, self._lags_since),
                {place: number for place, number in self._lags[before].items() if number},
            ),
            StageCounts(
                max(first * 60, self._started),
                list(bounds),
                {
                    stage: [
                        more - was for more, was in zip(found, old.get(stage, [0] * len(found)), strict=True)
                    ]
                    for stage, found in counts.items()
                },
            ),
        )


def _trim(minutes: dict[int, Any], last: int) -> None:
    for one in [one for one in minutes if one < last - MINUTES]:
        del minutes[one]


@dataclass(frozen=True, slots=True)
class PlaceLook:
    """What waits in one partition of a topic, now and `before`; None where that is not known."""

    topic: str
    partition: int
    worker: str
    waiting: int
    before: int | None

    @property
    def change(self) -> int | None:
        """By how much it grew."""
        return None if self.before is None else self.waiting - self.before


@dataclass(frozen=True, slots=True)
class BacklogLook:
    """What waits in all partitions; instants in ms, None where no worker says it.

    `series` has what waited at each minute that every worker knows of, and `compared` is when `before` was.
    """

    places: Sequence[PlaceLook] = ()
    series: Sequence[tuple[int, int]] = ()
    since: int | None = None
    compared: int | None = None

    @property
    def waiting(self) -> int:
        """How many records wait."""
        return sum(one.waiting for one in self.places)

    @property
    def before(self) -> int | None:
        """How many waited before; None where a worker does not say it."""
        known = [one.before for one in self.places if one.before is not None]
        return sum(known) if self.places and len(known) == len(self.places) else None

    @property
    def trend(self) -> str | None:
        """`growing`, `shrinking`, `steady`, or `none` where nothing waits or waited; None where it is not known."""
        before = self.before
        if before is None:
            return None
        most = max(before, self.waiting)
        if not most:
            return "none"
        if abs(self.waiting - before) < max(1, STEADY * most):
            return "steady"
        return "growing" if self.waiting > before else "shrinking"

    def of(self, topics: Iterable[str]) -> BacklogLook:
        """Return the same of some topics only, without the series."""
        wanted = frozenset(topics)
        places = [one for one in self.places if one.topic in wanted]
        return BacklogLook(places, (), self.since, self.compared)


def look_at_backlog(workers: Sequence[WorkerLook]) -> BacklogLook:
    """Return what waits, as the workers report."""
    places: list[PlaceLook] = []
    known = [one.pace for one in workers if one.places and one.pace is not None]
    for worker in workers:
        for place, waiting in worker.places.items():
            topic, _, number = place.rpartition(":")
            was = None if worker.pace is None else worker.pace.before.waited.get(place, 0)
            places.append(PlaceLook(topic, int(number), worker.name, waiting, was))
    places.sort(key=lambda one: (one.topic, one.partition))
    if not known:
        return BacklogLook(places)
    total: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for pace in known:
        for index, minute in enumerate(pace.minutes):
            seen[minute] += 1
            total[minute] += sum(waited[index] for waited in pace.waited.values())
    whole = sorted(minute for minute, count in seen.items() if count == len(known))
    return BacklogLook(
        places,
        [(minute * 60_000, total[minute]) for minute in whole],
        int(max(pace.since for pace in known) * 1000),
        int(max(pace.before.at for pace in known) * 1000),
    )


def tell_trend(backlog: BacklogLook) -> str:
    """Say whether a backlog grows or shrinks, and since when that is known; instants are in RFC 3339."""
    if backlog.trend is None or backlog.compared is None or backlog.before is None:
        return "whether that grows is known once all workers have run for a minute"
    at = format_second(backlog.compared)
    if backlog.trend == "none":
        return f"nothing waited at {at} either"
    word = "about the same" if backlog.trend == "steady" else backlog.trend
    return f"{word}: {backlog.before:,} at {at}"


@dataclass(frozen=True, slots=True)
class StageLook:
    """How long a stage took in the last hour: of each batch, the record that waited longest. Lengths in ms.

    A length is estimated within the bucket that it falls into; None is longer than the longest bucket.
    """

    name: str
    meaning: str
    batches: int
    median: int | None
    p95: int | None


@dataclass(frozen=True, slots=True)
class StagesLook:
    """The stages in their order, since an instant (ms); None where no worker says it."""

    stages: Sequence[StageLook] = ()
    since: int | None = None

    @property
    def slowest(self) -> StageLook | None:
        """The stage with the longest 95th percentile."""
        return max(self.stages, key=lambda one: one.p95 if one.p95 is not None else 1 << 62, default=None)


def look_at_stages(workers: Sequence[WorkerLook]) -> StagesLook:
    """Return how long stages took, as the workers report. Workers that count in other buckets are left out."""
    found = [one.pace.stages for one in workers if one.pace is not None and one.pace.stages.counts]
    if not found:
        return StagesLook()
    bounds = max((one.bounds for one in found), key=len)
    same = [one for one in found if one.bounds == bounds]
    total: dict[str, list[int]] = {}
    for one in same:
        for stage, counts in one.counts.items():
            so_far = total.setdefault(stage, [0] * len(counts))
            total[stage] = [a + b for a, b in zip(so_far, counts, strict=True)]
    order = {name: place for place, name in enumerate(STAGES)}
    stages = [
        StageLook(
            name,
            STAGES.get(name, ""),
            sum(total[name]),
            find_quantile(0.5, bounds, total[name]),
            find_quantile(0.95, bounds, total[name]),
        )
        for name in sorted(total, key=lambda name: (order.get(name, len(order)), name))
        if sum(total[name])
    ]
    return StagesLook(stages, int(min(one.since for one in same) * 1000))


def find_quantile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> int | None:
    """Return below which length (ms) that share lies, evenly spread in its bucket; None beyond the last bound."""
    rank, below, low = share * sum(counts), 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return round(1000 * (low + (bound - low) * (rank - below) / count))
        below, low = below + count, bound
    return None


def describe_pace(backlog: BacklogLook, stages: StagesLook) -> dict[str, Any]:
    """Return the backlog and the stages as plain JSON data, instants in RFC 3339, lengths in seconds."""
    return {
        "backlog": {
            "records": backlog.waiting,
            "before": backlog.before,
            "trend": backlog.trend,
            "since": _instant(backlog.since),
            "compared_with": _instant(backlog.compared),
            "partitions": [
                {"topic": one.topic, "partition": one.partition, "records": one.waiting, "before": one.before}
                for one in backlog.places
                if one.waiting or one.before
            ],
        },
        "stages": {
            "since": _instant(stages.since),
            "slowest": None if stages.slowest is None else stages.slowest.name,
            "stages": [
                {
                    "stage": one.name,
                    "batches": one.batches,
                    "median_seconds": _seconds(one.median),
                    "p95_seconds": _seconds(one.p95),
                }
                for one in stages.stages
            ],
        },
    }


def _instant(ms: int | None) -> str | None:
    return None if ms is None else format_instant(ms)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
