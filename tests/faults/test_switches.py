"""Chains of versions on a live prefix whose workers are killed: what is decided is what the text says.

`RESEGMENT_LIVE_SWITCHES` sets how many generated chains are tried.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pytest

from resegment.agents.batch import Message
from resegment.agents.segmenter import TICK
from resegment.identity.domains import registrable_domain
from resegment.schemas.definitions.marks import decode_changeover
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.times import HORIZON
from resegment.streams.definitions.applying.apply import apply_version
from resegment.streams.definitions.applying.requests import ApplyConnection, ApplyRequest, ApplyUnderWay
from resegment.streams.definitions.log import read_definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.recovery.replay import LogSource
from resegment.streams.recovery.verify import verify_partition
from tests.builders import Move, definition_of, facts_of, net_moves
from tests.faults.conftest import Arena
from tests.faults.scenario import PARTITIONS, Scenario
from tests.oracle.generate import generate
from tests.oracle.generate.switches import Switches, switches
from tests.oracle.naive.switching import Version, switching_history

SEEDS = int(os.environ.get("RESEGMENT_LIVE_SWITCHES", "6"))
FIRST = int(os.environ.get("FAULTS_SEED", "1"))
POINTS = [
    "before-script",
    "after-script",
    "before-take",
    "after-take",
    "segmenter-before",
    "segmenter-after",
    "relay-before-send",
    "relay-after-send",
    "before-ack",
    "after-ack",
    "router-before",
    "router-after",
    "before-route-script",
    "after-route-script",
]


def write_files(folder: Path, version: Version) -> Path:
    """Write a version as the worker reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in version.files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (folder / "segments.yaml").write_text(json.dumps(version.file))
    return folder / "segments.yaml"


def expected(switched: Switches, until: int) -> list[Move]:
    found = switching_history(switched.versions, switched.events, until)
    named = [(registrable_domain(one.account), one.from_, one.to, one.effective_at) for one in found]
    return sorted((move for move in named if move[3] <= HORIZON), key=lambda move: (move[3], move[0]))


class Chain:
    """One chain of versions on a prefix of its own, on the clock of the facts."""

    def __init__(self, scenario: Scenario, switched: Switches, draw: random.Random) -> None:
        self.scenario, self.switched, self.draw = scenario, switched, draw
        self.publisher = KafkaPublisher(scenario.kafka, timeout=10.0)
        self.facts = sorted(facts_of(switched.events), key=attrgetter("recorded"))
        self.clock = 0

    async def feed(self, facts: Sequence[Fact]) -> None:
        """Publish facts as `resegment ingest` does, in batches that may part facts of one instant."""
        topic = self.scenario.topics.signals.name
        left = list(facts)
        while left:
            size = self.draw.choice([1, 3, 10, 40])
            batch, left = left[:size], left[size:]
            await self.publisher.publish(
                [
                    Message(topic, one.account.encode(), encode_fact(one), (), None, one.recorded)
                    for one in batch
                ]
            )
            if self.draw.random() < 0.3:
                await asyncio.sleep(0.02)
            self.clock = max(self.clock, batch[-1].recorded)

    async def tick(self, at: int) -> None:
        topic = self.scenario.topics.signals.name
        await self.publisher.publish(
            [Message(topic, None, None, [(TICK, b"")], number, at) for number in range(PARTITIONS)]
        )
        self.clock = max(self.clock, at)

    async def apply(self, version: Version) -> None:
        """Switch at the version's instant. What the applier cannot do yet is tried again."""
        definition = definition_of(version.file, version.files)
        connection = ApplyConnection(
            self.scenario.client,
            self.publisher,
            self.scenario.kafka,
            self.scenario.topics,
            {},
            PARTITIONS,
            "facts",
        )
        for _ in range(300):
            work = asyncio.create_task(apply_version(connection, ApplyRequest(definition, at=version.at)))
            while not work.done():
                await asyncio.wait([work], timeout=0.1)
                await self.scenario.tend()
            try:
                work.result()
            except ApplyUnderWay:
                await asyncio.sleep(0.2)
            else:
                return
        raise AssertionError(f"the switch at {version.at} does not begin")

    async def run(self, until: int) -> None:
        facts, versions = list(self.facts), self.switched.versions[1:]
        async with self.publisher:
            for place, version in enumerate(versions):
                assert version.at is not None
                before = [one for one in facts if one.recorded < version.at]
                facts = facts[len(before) :]
                # some of them come while the version is prepared
                cut = self.draw.randint(0, len(before))
                await self.feed(before[:cut])
                if place:  # one switch at a time: every partition has to reach the last one
                    last = versions[place - 1].at or 0
                    await self.tick(max(self.clock, last))
                    await self.settled(last)
                feeding = asyncio.create_task(self.feed(before[cut:]))
                await self.apply(version)
                await feeding
                await self.tick(version.at - 1 if self.draw.random() < 0.5 else self.clock)
            for at, together in groupby(facts, key=attrgetter("recorded")):
                del at
                await self.feed(list(together))
            await self.tick(until)

    async def settled(self, clock: int) -> None:
        """Wait until every partition has reached the clock and has nothing left to do."""

        async def holds() -> bool:
            looks = await self.scenario.reader.look()
            return all(
                one.position is not None and one.position.clock >= clock and not one.outbox and not one.due
                for one in looks
            )

        await self.scenario.until(holds)


async def play(arena: Arena, seed: int, faults: Sequence[str]) -> list[str]:
    """Run one chain, and return what differs."""
    switched = switches(generate(seed, extended=True), random.Random(seed))
    until = (
        max(*(one.recorded for one in facts_of(switched.events)), *(one.at or 0 for one in switched.versions))
        + 400 * 86_400_000
    )
    segments = write_files(arena.folder / f"chain-{seed}", switched.versions[0])
    scenario = Scenario(arena.kafka, arena.redis, arena.folder, {"segments": segments, "route": "none"})
    chain = Chain(scenario, switched, random.Random(seed))
    try:
        for fault in faults:
            await scenario.start(fault)
        await chain.run(until)
        await chain.settled(until)
        definitions = await read_definitions(arena.kafka, scenario.topics)
        registry = DefinitionRegistry(definitions, scenario.topics, facts_per_test=2_000)
        await swept(scenario, definitions.current)
        for one in list(
            scenario.live
        ):  # not all faults that were planned have struck: one may strike at the stop
            await scenario.stop(one)
        found = [record.value for record in await scenario.records(scenario.topics.segment_changes.name)]
        problems = differences(net_moves(found), expected(switched, until))
        problems += await verified(arena, scenario, registry)
    finally:
        for one in scenario.live:
            one.kill()
            await one.wait()
        await scenario.client.aclose()
        await scenario.clear()
    return [f"chain {seed}: {one}" for one in problems]


async def swept(scenario: Scenario, version: int) -> None:
    async def holds() -> bool:
        looks = await scenario.reader.look()
        return version == 1 or all(
            one.position is not None
            and decode_changeover(one.position.definition).worked_off >= version
            and not one.outbox
            for one in looks
        )

    await scenario.until(holds)


async def verified(arena: Arena, scenario: Scenario, registry: DefinitionRegistry) -> list[str]:
    """Compare each partition with a replay of its log."""
    reader, problems = scenario.reader, []
    for number in range(PARTITIONS):
        position = await reader.position(number)
        assert position is not None
        stored = {name: value async for name, value in reader.raw_states(number)}
        timers = await reader.timers(number)
        source = LogSource(arena.kafka, scenario.topics, {})
        found = await verify_partition(number, registry, stored, timers, position.offset, source)
        problems += [f"verify: {one}"[:600] for one in found]
    return problems


def differences(found: Sequence[Move], wanted: Sequence[Move]) -> list[str]:
    lost, made = set(wanted) - set(found), set(found) - set(wanted)
    problems = [f"lacks {one}" for one in sorted(lost, key=str)]
    problems += [f"has {one}" for one in sorted(made, key=str)]
    if not problems and sorted(found, key=str) != sorted(wanted, key=str):
        problems.append("has a change twice")
    return problems


@pytest.mark.faults
@pytest.mark.timeout(3600)
async def test_chains_of_versions_with_workers_killed_in_every_stage_end_where_the_text_says(
    arena: Arena,
) -> None:
    draw, problems = random.Random(FIRST), list[str]()
    for seed in range(FIRST, FIRST + SEEDS):
        points = draw.sample(POINTS, k=3)
        faults = [f"{point}:kill:{draw.randint(0, 6)}:1" for point in points]
        problems += await play(arena, seed, faults)
    assert not problems, "\n".join(problems[:50])
