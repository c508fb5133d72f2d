"""Whether what a worker made of the events is what `backtest` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from redis.asyncio import Redis

from resegment.schemas.fact import Fact
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.engine import net_changes
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics

Key = tuple[str, int, str, str]
"""Account, sequence number, id and target of a change."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come out: net changes, and where each account is in the end."""

    changes: frozenset[Key]
    places: dict[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How what came out differs; all 0 where it does not."""

    changes: int
    missing: int
    unexpected: int
    misplaced: int

    @property
    def is_right(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.unexpected or self.misplaced)


def expect(definition: Definition, facts: Sequence[Fact], end: int) -> Expected:
    """Return what a backtest of the facts up to `end` (ms) gives."""
    changes: set[Key] = set()
    places: dict[str, str] = {}
    for account, made in backtest(Program(definition), facts, end):
        changes.update((one.account, one.sequence_number, one.id, one.to or "") for one in net_changes(made))
        if account.state.membership.segment is not None:
            places[account.name] = account.state.membership.segment
    return Expected(frozenset(changes), places)


async def compare(
    bootstrap: str, redis: Redis, topics: Topics, partitions: int, expected: Expected
) -> Verdict:
    """Read what was published and what Redis holds, and hold it against what is expected."""
    found: set[Key] = set()
    void: set[str] = set()
    nothing: set[str] = set()
    async with reading(bootstrap, topics.segment_changes.name) as reader:
        async for records in reader.to_end():
            for record in records:
                event = orjson.loads(record.value)
                data = event["data"]
                found.add((data["account"], data["sequence_number"], event["id"], data["to"]))
                if data["supersedes"] is not None:
                    void.add(data["supersedes"])
                if data["from"] == data["to"]:
                    nothing.add(event["id"])
    net = {one for one in found if one[2] not in void and one[2] not in nothing}
    places: dict[str, str] = {}
    async for batch in PrefixReader(redis, topics.prefix, partitions).places():
        places.update((one.account, one.segment) for one in batch)
    both = places.keys() | expected.places.keys()
    return Verdict(
        changes=len(net),
        missing=len(expected.changes - net),
        unexpected=len(net - expected.changes),
        misplaced=sum(places.get(name) != expected.places.get(name) for name in both),
    )
