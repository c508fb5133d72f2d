"""Compare two states of one account: what a store has, and what the log gives."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState, Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.versions.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between Redis and the log: the account, what differs, and both values (None: not there)."""

    account: str
    what: str
    in_redis: object
    in_log: object


def describe_difference(one: Difference) -> str:
    """Return what differs, without the values of facts: a log is read by more people than the accounts are."""
    if one.what == "account":
        return "it is missing in Redis" if one.in_redis is None else "the log does not have it"
    if one.what == "state":
        return f"the state {one.in_redis}"
    if one.what == "membership":
        here, there = getattr(one.in_redis, "segment", None), getattr(one.in_log, "segment", None)
        return (
            f"segment {here} in Redis, {there} by the log"
            if here != there
            else "when it entered or left segments"
        )
    return one.what


class Comparison:
    """Compares accounts at one clock (ms), by the version that judges then."""

    def __init__(self, timeline: Timeline, clock: int) -> None:
        self._timeline, self._clock = timeline, clock
        self._retention = Retention(timeline.at(clock).engine.program)
        self._cooldowns = find_cooldowns(timeline)

    def compare(
        self, name: str, in_redis: bytes, in_log: bytes | None, timer: int | None
    ) -> list[Difference]:
        """Return the differences between what Redis has of an account, with its timer (ms), and what the log gives.

        A deadline that has come and is not decided yet in Redis, and a version that has not judged it yet, are no
        differences.
        """
        try:
            state = decode_state(in_redis)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            return [Difference(name, "state", f"cannot be read: {error}", "a state")]
        found: list[Difference] = []
        if timer != state.deadline:
            found.append(Difference(name, "timer", timer, state.deadline))
        if in_log is None:
            return [*found, Difference(name, "account", state.membership.segment, None)]
        due = state.deadline is not None and state.deadline <= self._clock
        if due or self._timeline.is_version_behind(state.version, self._clock):
            state = self._catch_up(name, state)
        latest = look_again(self._timeline, name, in_log, self._clock)
        return found + compare_states(name, state, latest, self._keep, self._cooldowns)

    def _catch_up(self, name: str, state: AccountState) -> AccountState:
        account = self._timeline.open(name, state)
        self._timeline.advance(account, self._clock)
        return self._timeline.close(account)

    def _keep(self, entry: Entry) -> Entry | None:
        return keep(entry, self._retention, self._clock)


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
    if account.state.membership.segment is not None:
        timeline.advance(account, clock)
        timeline.apply_facts(account, (), clock)
    return timeline.close(account)


def _or_never(deadline: int | None) -> int:
    return NEVER if deadline is None else deadline
