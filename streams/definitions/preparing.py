"""Prepare a partition for another version: fold in from the log what its accounts do not keep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from resegment.agents.batch import Batch
from resegment.agents.deciding.decided import Owned
from resegment.agents.deciding.folding import begins_at_its_beginning
from resegment.agents.deciding.merging import FoldedFacts
from resegment.errors import FatalError
from resegment.schemas.definitions.marks import Mark
from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import decode_head, decode_state, encode_state
from resegment.schemas.privacy.opening import FactKeys, open_known
from resegment.schemas.state import AccountState
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.retention import Retention
from resegment.state.partition_store import PartitionStore
from resegment.streams.ahead import AheadRecords, leave_out
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.opener import PLAIN, RecordOpener

TOGETHER: Final = 250
"""Records that are folded in before live events get their turn."""
IN_MEMORY: Final = 200_000
"""Facts that are kept in memory before what was folded in is written."""


class LogIncomplete(FatalError):
    """The log does not have the facts from which a version's new fields would be filled."""

    def __init__(self, partition: int, problem: str) -> None:
        super().__init__(
            f"the version reads facts that accounts do not keep, and the log of partition {partition} does not have "
            f"them all: {problem}",
            remedy="Ingest the history into a new prefix with the new file; an embedded instance begins again with "
            "`resegment up --fresh`.",
        )
        self.partition = partition


@dataclass(frozen=True, slots=True)
class SignalLog:
    """Where `signals` is. `ahead` finds records that workers refused."""

    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]
    ahead: AheadRecords | None = None
    opener: RecordOpener = PLAIN
    """Opens sealed records of other topics."""

    def has_whole(self, owned: Owned) -> bool:
        """Return whether the log is the one that the partition began with; if that is unknown, it counts as the one."""
        return begins_at_its_beginning(owned.position)


async def prepare_partition(
    owned: Owned,
    mark: Mark,
    upto: int,
    registry: DefinitionRegistry,
    source: SignalLog,
    *,
    check: Callable[[Definition], None],
) -> int:
    """Fold in what the version reads from the log up to the offset of its mark; return how many records were read.

    Raises what makes the version unusable here: InvalidSegments, VersionIncomplete, LogIncomplete, and what `check`
    raises, which looks at what the version needs on this machine. Raises TopicUnreadable and StoreUnavailable too.
    """
    runtime = registry.runtime(mark.version)
    await asyncio.to_thread(check, runtime.definition)
    program = runtime.engine.program
    now = registry.timeline.at(owned.position.clock).engine.program
    await owned.store.clear_folded()
    if Retention(now).covers(Retention(program)) and not await _lacks_facts(owned.store):
        return 0
    if not source.has_whole(owned):
        raise LogIncomplete(owned.number, "it is a new one, and does not have what came before")
    receive = registry.timeline.receive
    return await fold_in(
        *(owned.number, upto, runtime.engine, owned.store, source), receive=receive, keys=registry.keys
    )


async def _lacks_facts(store: PartitionStore) -> bool:
    """Return whether an account has lost facts to a limit: a test of the version may count them."""
    cursor = 0
    while True:
        cursor, found = await store.scan(cursor, TOGETHER)
        if any(_has_dropped(value) for _, value in found):
            return True
        if not cursor:
            return False
        await asyncio.sleep(0)


def _has_dropped(value: bytes) -> bool:
    state = decode_head(value)
    return bool(state.dropped or state.limited.dropped)


async def fold_in(
    number: int,
    upto: int,
    engine: Engine,
    store: PartitionStore,
    source: SignalLog,
    *,
    receive: Callable[[Fact], Fact] = lambda fact: fact,
    keys: FactKeys | None = None,
) -> int:
    """Fold the facts of a partition's log before an offset, by the engine's program, into the store's side.

    `receive` leaves out what must not be kept, and `keys` open sealed facts. Raises LogIncomplete, TopicUnreadable, StoreUnavailable.
    """
    folding, facts = _Folding(engine, store), FoldedFacts()
    topic, clock, total = source.topics.signals.name, 0, 0
    async with reading(source.bootstrap, topic, [number], security=source.security) as reader:
        if reader.newest_beginning > 0:
            raise LogIncomplete(number, f"it begins at offset {reader.newest_beginning}")
        async for records in reader.to_end():
            wanted = [one for one in records if one.offset < upto]
            if not wanted:
                break
            kept = await leave_out(source.ahead, Batch(topic, number, wanted))
            for start in range(0, len(kept), TOGETHER):
                taken: list[tuple[int, Fact]] = []
                for record in kept[start : start + TOGETHER]:
                    clock = max(clock, record.timestamp)
                    fact = facts.take(record, clock)
                    if fact is not None:
                        taken.append((clock, fact))
                    elif facts.dropped:
                        taken = [one for one in taken if one[1].account not in facts.dropped]
                        await folding.forget(facts.dropped)
                        facts.dropped.clear()
                group: dict[str, list[tuple[int, Fact]]] = {}
                for known, fact in await open_known(keys, taken):
                    group.setdefault(fact.account, []).append((known, receive(fact)))
                await folding.take(group)
            total += len(wanted)
    for known, fact in await open_known(keys, [(known, fact) for _, known, fact in facts.rest()]):
        await folding.take({fact.account: [(known, receive(fact))]})
    await folding.forget(facts.closed)
    await folding.flush()
    return total


class _Folding:
    """Accounts that facts are folded into: in memory up to a limit, then in the store."""

    def __init__(self, engine: Engine, store: PartitionStore) -> None:
        self._engine, self._store = engine, store
        self._accounts: dict[str, Account] = {}
        self._held = 0

    async def take(self, group: Mapping[str, list[tuple[int, Fact]]]) -> None:
        """Fold in facts, each with the instant at which it became known."""
        missing = [name for name in group if name not in self._accounts]
        for name, value in zip(missing, await self._store.read_folded(missing), strict=True):
            state = AccountState() if value is None else decode_state(value)
            self._accounts[name] = self._engine.open(name, state)
        for name, known in group.items():
            account = self._accounts[name]
            for clock, fact in known:
                self._engine.fold_facts(account, (fact,), clock)
            self._held += len(known)
        if self._held >= IN_MEMORY:
            await self.flush()
        await asyncio.sleep(0)

    async def forget(self, names: Collection[str]) -> None:
        """Fold in nothing for these accounts."""
        for name in names:
            self._accounts[name] = self._engine.open(name, AccountState())

    async def flush(self) -> None:
        """Write all to the store."""
        names = list(self._accounts)
        for start in range(0, len(names), TOGETHER):
            states = [
                (name, encode_state(self._accounts[name].state)) for name in names[start : start + TOGETHER]
            ]
            await self._store.keep_folded(states)
            await asyncio.sleep(0)
        self._accounts.clear()
        self._held = 0
