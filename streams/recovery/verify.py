"""Compare what Redis has of a partition with a replay of its log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from resegment.agents.partition import OwnedPartition
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState, Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.retention import Retention
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
    clock = owned.position.clock
    retention = Retention(registry.timeline.at(clock).engine.program)
    cooldowns = find_cooldowns(registry.timeline)
    differences: list[Difference] = []
    expected = dict(memory.accounts)
    for name, value in stored.items():
        in_log, state = expected.pop(name, None), decode_state(value)
        if timers.get(name) != state.deadline:
            differences.append(Difference(name, "timer", timers.get(name), state.deadline))
        if in_log is None:
            differences.append(Difference(name, "account", state.membership.segment, None))
        else:
            latest = look_again(registry.timeline, name, in_log, clock)
            differences += compare_states(
                name, state, latest, lambda one: keep(one, retention, clock), cooldowns
            )
    for name, value in expected.items():
        differences.append(Difference(name, "account", None, decode_state(value).membership.segment))
    return differences


def find_cooldowns(timeline: Timeline) -> frozenset[str]:
    """Return the names of the segments that have a cooldown in any version."""
    segments = [one for era in timeline.eras for one in era.engine.program.segments]
    return frozenset(one.name for one in segments if one.hold.cooldown)


def keep(entry: Entry, retention: Retention, clock: int) -> Entry | None:
    """Return what counts of a fact for the version in force; None for one that no test can count again.

    An account keeps also what versions before or after that read.
    """
    if retention.is_spent(entry, clock):
        return None
    fields = retention.fields[entry.kind]
    data = {name: value for name, value in (entry.data or {}).items() if name in fields}
    raw = {name: value for name, value in (entry.raw or {}).items() if name in fields}
    return replace(entry, data=data or None, raw=raw or None)


def compare_states(
    name: str,
    in_redis: AccountState,
    in_log: AccountState,
    kept: Callable[[Entry], Entry | None] = lambda one: one,
    cooldowns: Collection[str] | None = None,
) -> list[Difference]:
    """Return the differences between two states of one account.

    A deadline may be earlier than necessary, because a test looks ahead a limited number of boundaries from when it was
    evaluated: nothing is decided there. A sequence number may be higher, because a rebuild never lowers one. Of segments
    that are not in `cooldowns`, a state of an earlier release does not say when the account left them.
    """
    found: list[Difference] = []
    member = in_log.membership
    if cooldowns is not None:
        known = {*cooldowns, *in_redis.membership.left}
        member = replace(member, left={name: at for name, at in member.left.items() if name in known})
    if in_redis.membership != member:
        found.append(Difference(name, "membership", in_redis.membership, in_log.membership))
    if _or_never(in_redis.deadline) > _or_never(in_log.deadline):
        found.append(Difference(name, "deadline", in_redis.deadline, in_log.deadline))
    if in_redis.sequence < in_log.sequence:
        found.append(Difference(name, "sequence", in_redis.sequence, in_log.sequence))
    mine_facts = {(entry.source, entry.id): one for entry in in_redis.entries if (one := kept(entry))}
    their_facts = {(entry.source, entry.id): one for entry in in_log.entries if (one := kept(entry))}
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
