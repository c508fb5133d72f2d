"""Compare what Redis has of a partition with a replay of its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resegment.agents.partition import OwnedPartition
from resegment.schemas.state import AccountState, decode_state
from resegment.schemas.times import NEVER
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.memory.partition import Memory
from resegment.state.memory.partition import PartitionStore as MemoryStore
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.recovery.replay import LogSource, Progress, replay


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between Redis and the log: the account, what differs, and both values (None: not there)."""

    account: str
    what: str
    in_redis: object
    in_log: object


async def verify_partition(
    number: int,
    registry: DefinitionRegistry,
    stored: Mapping[str, bytes],
    timers: Mapping[str, int],
    upto: int,
    source: LogSource,
    *,
    progress: Progress | None = None,
) -> list[Difference]:
    """Compare one partition of Redis, its states and its timers (ms), with a replay of its log up to the offset `upto`.

    Raises HistoryIncomplete, TopicUnreadable, StoreUnavailable.
    """
    memory = Memory()
    owned = OwnedPartition(number, MemoryStore(memory, number), registry)
    await owned.take("")
    await replay(owned, registry, source, upto, progress)
    differences: list[Difference] = []
    expected = dict(memory.accounts)
    for name, value in stored.items():
        in_log, state = expected.pop(name, None), decode_state(value)
        if timers.get(name) != state.deadline:
            differences.append(Difference(name, "timer", timers.get(name), state.deadline))
        if in_log is None:
            differences.append(Difference(name, "account", state.membership.segment, None))
        else:
            latest = look_again(registry.timeline, name, in_log, owned.position.clock)
            differences += compare_states(name, state, latest)
    for name, value in expected.items():
        differences.append(Difference(name, "account", None, decode_state(value).membership.segment))
    return differences


def compare_states(name: str, in_redis: AccountState, in_log: AccountState) -> list[Difference]:
    """Return the differences between two states of one account.

    A deadline may be earlier than necessary, because a test looks ahead a limited number of boundaries from when it was
    evaluated: nothing is decided there. A sequence number may be higher, because a rebuild never lowers one.
    """
    found: list[Difference] = []
    if in_redis.membership != in_log.membership:
        found.append(Difference(name, "membership", in_redis.membership, in_log.membership))
    if _or_never(in_redis.deadline) > _or_never(in_log.deadline):
        found.append(Difference(name, "deadline", in_redis.deadline, in_log.deadline))
    if in_redis.sequence < in_log.sequence:
        found.append(Difference(name, "sequence", in_redis.sequence, in_log.sequence))
    mine_facts = {(entry.source, entry.id): entry for entry in in_redis.entries}
    their_facts = {(entry.source, entry.id): entry for entry in in_log.entries}
    found += [
        Difference(name, f"fact {key[1]} of {key[0]}", mine_facts.get(key), their_facts.get(key))
        for key in sorted(mine_facts.keys() | their_facts.keys())
        if mine_facts.get(key) != their_facts.get(key)
    ]
    return found


def look_again(timeline: Timeline, name: str, value: bytes, clock: int) -> AccountState:
    """Return the state with the latest deadline that is right at the clock."""
    account = timeline.load(name, value)
    timeline.advance(account, clock)
    timeline.apply_facts(account, (), clock)
    return timeline.close(account)


def _or_never(deadline: int | None) -> int:
    return NEVER if deadline is None else deadline
