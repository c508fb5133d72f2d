"""The job on other frameworks beside this one, in turns, on the same servers; a figure counts if its output is right."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import orjson

from resegment.benchmarks.checking import Expected, Verdict, compare, expect
from resegment.benchmarks.events import Event, make_events
from resegment.benchmarks.loading import clear, load_events, load_plain, make_prefix
from resegment.benchmarks.peers.environment import QUIX, PeerNotInstalled, find_python
from resegment.benchmarks.rules import apply
from resegment.benchmarks.run import END, PARTITIONS, SEGMENTS, Bench, Figures
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact
from resegment.sources.segments import load_definition
from resegment.streams.kafka.topic_reader import reading

ROUNDS: Final = 2
"""How many times each participant runs, at least: one figure says nothing about the noise of the machine."""
EXACTLY_ONCE: Final = "exactly-once"
TOGETHER: Final = 1_000
"""The events between two commits of the job by hand."""

Moved = Counter[tuple[str, str | None, str, str]]
"""Account, from, to and event of each change by the hand-written rules, and how many times it was made."""


@dataclass(slots=True)
class Peer:
    """One participant with the figures of its rounds."""

    name: str
    guarantee: str
    rounds: list[Figures] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether the output of every round was what was expected."""
        return all(one.verdict is not None and one.verdict.is_right for one in self.rounds)

    @property
    def worker(self) -> float:
        """CPU seconds per million events, the mean of the rounds."""
        return fmean(one.worker for one in self.rounds)

    @property
    def spread(self) -> float:
        """By how much the most expensive round exceeds the cheapest, as a share."""
        found = [one.worker for one in self.rounds]
        return max(found) / min(found) - 1


@dataclass(slots=True)
class Compared:
    """All participants, and what the machine did meanwhile."""

    accounts: int
    events: int
    peers: list[Peer] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    """The machine's load average before each round, and at the end."""

    @property
    def noise(self) -> float:
        """The largest spread of a participant's rounds. Smaller differences between participants prove nothing."""
        return max((one.spread for one in self.peers), default=0.0)

    @property
    def is_right(self) -> bool:
        """Whether every output was right."""
        return all(one.is_right for one in self.peers)


@dataclass(slots=True)
class _Given:
    """What all participants work on."""

    facts: list[Fact]
    expected: Expected
    moved: Moved
    few: Moved
    """What the hand-written rules make of the events of stock faust, which gets fewer."""
    few_events: int


Measure = Callable[[int], Awaitable[Figures]]


@dataclass(slots=True)
class Comparison:
    """Runs the participants of a bench in turns."""

    bench: Bench
    rounds: int = ROUNDS

    async def run(self) -> Compared:
        """Run everything. Raises ParticipantFailed, and what the servers' clients raise."""
        bench = self.bench
        plan, servers = bench.plan, bench.servers
        compared = Compared(plan.accounts, plan.accounts + plan.triggers)
        python = await self._find_quix(compared)
        bench.say(f"making {compared.events:,} events")
        events = list(make_events(plan.accounts, plan.triggers))
        few = _make_few(plan.accounts, plan.triggers, plan.stock_events)
        facts = [resolve_event(decode_event(event.value)) for event in events]
        given = _Given(
            facts,
            expect(load_definition(SEGMENTS), facts, END),
            expect_moves(events),
            expect_moves(few),
            len(few),
        )
        try:
            bench.say("loading them")
            for topic, some in ((self._topic, events), (self._few, few)):
                await load_plain(servers.bootstrap, topic, some, PARTITIONS)
            del events, few
            measures = self._participants(compared, given, python)
            for turn in range(max(self.rounds, ROUNDS)):
                compared.loads.append(os.getloadavg()[0])
                # the second round goes backwards, so that a machine that becomes slower favors nobody
                for peer, measure in measures if turn % 2 == 0 else reversed(measures):
                    peer.rounds.append(await measure(turn))
        finally:
            bench.say("clearing")
            await clear(servers.bootstrap, bench.redis, bench.prefix)
        compared.loads.append(os.getloadavg()[0])
        return compared

    @property
    def _topic(self) -> str:
        return f"{self.bench.prefix}-peers.events"

    @property
    def _few(self) -> str:
        return f"{self.bench.prefix}-peers.few"

    async def _find_quix(self, compared: Compared) -> Path | None:
        try:
            return await find_python(QUIX, self.bench.say)
        except PeerNotInstalled as error:
            compared.left_out.append(f"Quix Streams: {error.message}. {error.remedy}")
            return None

    def _participants(
        self, compared: Compared, given: _Given, python: Path | None
    ) -> list[tuple[Peer, Measure]]:
        found: list[tuple[Peer, Measure]] = []

        def add(name: str, guarantee: str, measure: Callable[[str, int], Awaitable[Figures]]) -> None:
            async def run(turn: int) -> Figures:
                return await measure(name, turn)

            peer = Peer(name, guarantee)
            compared.peers.append(peer)
            found.append((peer, run))

        async def hand(name: str, turn: int) -> Figures:
            return await self._drain(name, "peers.byhand", turn, given.moved)

        async def segmenter(_: str, turn: int) -> Figures:
            return await self.bench.drain_signals(turn, given.facts, given.expected)

        async def whole(name: str, turn: int) -> Figures:
            return await self._whole(name, turn, given)

        async def quix(name: str, turn: int, commit_every: int = 0) -> Figures:
            program = (str(python), str(Path(__file__).with_name("quix.py")))
            return await self._drain(
                name, "peers.quix", turn, given.moved, program=program, commit_every=commit_every
            )

        async def stock(name: str, turn: int) -> Figures:
            return await self._drain(name, "peers.stock", turn, given.few, events=given.few_events)

        if self.bench.has_hand():
            add("by hand", "at least once", hand)
        else:
            compared.left_out.append("by hand: needs confluent-kafka, `pip install resegment[bench]`")
        add("segmenter", "exactly-once effect", segmenter)
        add("whole pipeline", "exactly-once effect", whole)
        if python is not None:
            add("Quix Streams", "exactly once within Kafka", quix)
            add("Quix, as often", "exactly once within Kafka", partial(quix, commit_every=TOGETHER))
        if given.few_events:
            add("stock faust", "at least once", stock)
        return found

    async def _whole(self, name: str, turn: int, given: _Given) -> Figures:
        bench = self.bench
        prefix = f"{bench.prefix}-whole-{turn}"
        topics = await make_prefix(
            bench.servers.bootstrap, bench.redis, prefix, partitions=PARTITIONS, clock="facts"
        )
        events = make_events(bench.plan.accounts, bench.plan.triggers)
        await load_events(bench.servers.bootstrap, topics.replay.name, events, PARTITIONS, END)
        task = bench.task(
            prefix, topics.replay.name, len(given.facts) + PARTITIONS, agents=("intake", "segmenter")
        )
        figures = await bench.drain(name, "drain", task)
        verdict = await compare(bench.servers.bootstrap, bench.redis, topics, PARTITIONS, given.expected)
        return replace(figures, verdict=verdict)

    async def _drain(
        self,
        name: str,
        module: str,
        turn: int,
        moved: Moved,
        *,
        events: int | None = None,
        program: tuple[str, ...] | None = None,
        commit_every: int = 0,
    ) -> Figures:
        bench = self.bench
        prefix = f"{bench.prefix}-{module.rpartition('.')[2]}-{commit_every}-{turn}"
        total = bench.plan.accounts + bench.plan.triggers
        source = self._topic if events is None else self._few
        task = bench.task(prefix, source, events or total, guarantee=EXACTLY_ONCE, commit_every=commit_every)
        figures = await bench.drain(name, module, task, program=program)
        found = await read_moves(bench.servers.bootstrap, f"{prefix}.segment-changes")
        return replace(figures, verdict=judge(found, moved))


def _make_few(accounts: int, triggers: int, wanted: int) -> list[Event]:
    """Return about so many events in the proportions of all of them."""
    total = accounts + triggers
    if not wanted:
        return []
    share = min(1.0, wanted / total)
    return list(make_events(max(1, int(accounts * share)), int(triggers * share)))


def expect_moves(events: Iterable[Event]) -> Moved:
    """Return the changes that the hand-written rules make, when each event is applied once and in order."""
    states: dict[str, Any] = {}
    moved: Moved = Counter()
    for event in events:
        states[event.account], change = apply(states.get(event.account), orjson.loads(event.value))
        if change is not None:
            moved[_name(change)] += 1
    return moved


async def read_moves(bootstrap: str, topic: str) -> Moved:
    """Return the changes that a participant published."""
    moved: Moved = Counter()
    async with reading(bootstrap, topic) as reader:
        async for records in reader.to_end():
            moved.update(_name(orjson.loads(record.value)) for record in records)
    return moved


def judge(found: Moved, expected: Moved) -> Verdict:
    """Return how changes differ from those that are expected; one that was published twice is one too many."""
    return Verdict(
        changes=found.total(),
        missing=(expected - found).total(),
        unexpected=(found - expected).total(),
        misplaced=0,
    )


def _name(change: dict[str, Any]) -> tuple[str, str | None, str, str]:
    return change["account"], change["from"], change["to"], change["cause_id"]
