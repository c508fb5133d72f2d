"""Compare what a shadow decides about the accounts of a prefix with what the version in force decides.

Workers judge a shadow in their spare time, so it lags behind. What it has not read yet is judged here, from the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from resegment.agents.batch import Batch
from resegment.agents.deciding.applying import (
    DamagedStep,
    Known,
    apply_known,
    facts_of,
    read_known,
    receive_known,
)
from resegment.errors import FatalError, UserError
from resegment.schemas.definitions.records import Apply
from resegment.schemas.fact import Fact
from resegment.schemas.privacy.opening import leniently, open_with
from resegment.segmentation.planning.shadow import ShadowComparison, ShadowReport
from resegment.segmentation.planning.switch import describe_differences
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.era import Era, effective_moves
from resegment.segmentation.versions.timeline import Timeline
from resegment.segmentation.versions.wording import tell_differences
from resegment.state.redis.reader import BrokenState, PrefixReader
from resegment.streams.ahead import leave_out
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.operations.planning import Count, PlannedPrefix
from resegment.streams.operations.snapshot import read_snapshot

AT_ONCE: Final = 50_000
"""Records of a partition that are decided together: an account is opened once for all of them."""


class NoShadow(UserError):
    """No version is judged beside the one in force."""

    def __init__(self) -> None:
        super().__init__(
            "there is no shadow: no version is judged beside the one in force",
            remedy="Begin one with `resegment apply FILE --shadow`.",
        )


class LogIncomplete(FatalError):
    """The oldest records of the log are gone, so that the shadow cannot be judged from it."""

    def __init__(self, topic: str, oldest: str) -> None:
        super().__init__(
            f"{topic} begins {oldest}: its older records are gone, and a shadow is judged from all of them",
            remedy="Compare with `resegment plan`, which needs no log unless facts have to be folded in.",
        )
        self.topic, self.oldest = topic, oldest


PAUSED: Final = 100
"""Accounts between two pauses, in which a server answers."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """The shadow of a prefix: its apply, and the versions that judge its accounts."""

    apply: Apply
    timeline: Timeline


def find_shadow(registry: DefinitionRegistry) -> Shadow:
    """Return the shadow of the prefix. Raises NoShadow."""
    found = registry.definitions.shadow
    if found is None or found.apply is None:
        raise NoShadow
    apply, definitions = found.apply, registry.definitions
    differences = compare(
        definitions.definition_of(apply.base), definitions.definition_of(apply.version), apply.moved
    )
    before = [one for one in registry.timeline.eras if one.at < apply.at]
    era = Era(
        number=max(apply.version, before[-1].number + 1),
        at=apply.at,
        engine=registry.runtime(apply.version).engine,
        moved=apply.moved,
        judges=differences.judges,
        gates_only=differences.gates_only,
        folds_in=bool(differences.needs_facts),
    )
    return Shadow(apply, Timeline([*before, era]))


async def compare_shadow(prefix: PlannedPrefix, count: Count) -> ShadowReport:
    """Compare the shadow with the version in force, every account as it is at one position of its partition.

    Raises NoShadow, LogIncomplete, BrokenState, StoreUnavailable and TopicUnreadable.
    """
    registry = prefix.registry
    shadow = find_shadow(registry)
    live = registry.current
    other = registry.runtime(shadow.apply.version)
    comparison = ShadowComparison(
        (registry.timeline, shadow.timeline),
        (live.engine, other.engine),
        effective_moves(live.definition, shadow.apply.moved),
    )
    looks = await prefix.reader.look()
    progress = count("comparing partitions", len(looks))
    least = max([0, *(one.position.clock for one in looks if one.position is not None)])
    for number in range(prefix.reader.partitions):
        await _compare_partition(prefix, shadow, comparison, number, least)
        progress(1)
    differences = compare(live.definition, other.definition, shadow.apply.moved)
    told = tell_differences(live.definition, other.definition, differences)
    return comparison.finish(
        version=shadow.apply.version,
        base=registry.definitions.current,
        since=shadow.apply.at,
        differences=tuple(describe_differences(differences, told)),
    )


async def _compare_partition(
    prefix: PlannedPrefix, shadow: Shadow, comparison: ShadowComparison, number: int, least: int
) -> None:
    """Compare the accounts of a partition, both versions at one offset of the log."""
    judged = await _read_judged(prefix, number)
    snapshot = await read_snapshot(
        prefix.reader,
        number,
        bootstrap=prefix.bootstrap,
        topics=prefix.topics,
        security=prefix.security,
    )
    if snapshot is None:
        return
    position = snapshot.position
    if not prefix.has_log(position):
        raise LogIncomplete(prefix.topics.signals.name, "where the embedded broker was started last")
    live = _Judged(dict(snapshot.states), position.offset, position.clock, position.offset)
    if judged is None or judged.log != f"{position.log} {shadow.apply.id}":
        judged = _Judged({}, 0, 0, 0)
    upto = max(live.end, judged.end)
    await _replay(prefix, shadow.timeline, number, judged, upto)
    await _replay(prefix, prefix.registry.timeline, number, live, upto)
    passed = max(live.clock, judged.clock)
    comparison.begin(max(passed, least if prefix.on_facts else await prefix.reader.now()))
    for place, (name, value) in enumerate(live.states.items(), 1):
        if name in judged.states:
            try:
                comparison.take(name, value, judged.states[name])
            except msgspec.DecodeError as error:
                raise BrokenState(name, str(error)) from error
        if place % PAUSED == 0:
            await asyncio.sleep(0)  # a server has other requests


@dataclass(slots=True)
class _Judged:
    """States of a partition: each has taken all records before `offset`, and none from `end` on."""

    states: dict[str, bytes]
    offset: int
    clock: int
    end: int
    log: str = ""


async def _read_judged(prefix: PlannedPrefix, number: int) -> _Judged | None:
    """Return what workers have judged by the shadow so far; None for nothing."""
    reader = PrefixReader(prefix.client, prefix.reader.prefix, prefix.reader.partitions, stage="shadow")
    begun = await reader.position(number)
    if begun is None:
        return None
    states = {name: value async for name, value in reader.raw_states(number)}
    now = await reader.position(number) or begun
    if now.log != begun.log:
        return None
    return _Judged(states, begun.offset, begun.clock, now.offset, begun.log)


async def _replay(prefix: PlannedPrefix, timeline: Timeline, number: int, judged: _Judged, upto: int) -> None:
    """Let states take the records before an offset, as a timeline judges them. What they have taken changes nothing."""
    if judged.offset >= upto:
        return
    topic, states = prefix.topics.signals.name, judged.states
    waiting: dict[str, list[Known]] = {}

    async def decide() -> None:
        opens = leniently(await open_with(prefix.registry.keys, _facts(waiting)))
        for place, (name, groups) in enumerate(waiting.items(), 1):
            if place % PAUSED == 0:
                await asyncio.sleep(0)
            account = timeline.load(name, states.get(name))
            for group in groups:
                timeline.advance(account, group[0] - 1)
                with suppress(DamagedStep):  # it was set aside when it came
                    apply_known(timeline, account, [group], group[0], opens)
            states[name] = timeline.encode(account)
        waiting.clear()

    read = 0
    security: Mapping[str, Any] = prefix.security
    async with reading(prefix.bootstrap, topic, [number], security=security) as log:
        if log.newest_beginning > judged.offset:
            raise LogIncomplete(topic, f"at offset {log.newest_beginning}")
        async for records in log.between(number, judged.offset, upto):
            for record in await leave_out(prefix.ahead, Batch(topic, number, records)):
                judged.clock = max(judged.clock, record.timestamp)
                if (known := read_known(record, judged.clock)) is not None:
                    waiting.setdefault(known[0], []).append(receive_known(timeline, known[1]))
            read += len(records)
            if read >= AT_ONCE:
                await decide()
                read = 0
    await decide()


def _facts(waiting: Mapping[str, Sequence[Known]]) -> Iterator[Fact]:
    return (fact for groups in waiting.values() for fact in facts_of(groups))
