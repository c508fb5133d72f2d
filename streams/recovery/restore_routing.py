"""Restore the router's state from the changes and commands that are still in Kafka."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from resegment.agents.batch import Message, is_readable
from resegment.agents.dead_letters import is_for_one_endpoint
from resegment.agents.partition import position_after
from resegment.agents.router import Owned
from resegment.routing.change import decode_change
from resegment.routing.family import own_gates, tell_relatives
from resegment.routing.policy import Policies
from resegment.routing.restore import PublishedCommand, Trail, decode_published_command, restore
from resegment.schemas.change import Restrictions
from resegment.schemas.definitions.in_force import InForce, encode_in_force
from resegment.schemas.outcomes.ledger import LedgerItem, decode_ledger, encode_ledger, remember
from resegment.schemas.routing import DefinitionSwitched, RoutedState
from resegment.schemas.state import AccountState
from resegment.schemas.times import parse_instant
from resegment.streams.kafka.group_offsets import read_committed_offsets
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.message_factory import tell
from resegment.streams.outcomes.logged import read_logged
from resegment.streams.recovery.replay import LogSource, chunks

States = Callable[[Sequence[str]], Awaitable[Sequence[AccountState | None]]]
"""Reads the segmenter's states of accounts."""


async def restore_partition(
    owned: Owned,
    policies: Policies,
    in_force: DefinitionSwitched | None,
    source: LogSource,
    group: str,
    states: States,
    *,
    log: str,
) -> None:
    """Fill an empty partition of the router, and send no command.

    It continues at the group's committed offsets: what was not routed before the loss is routed after it, by the
    mode. `in_force` is the latest switch to another version, None before the first. `log` names this incarnation of the
    topic of changes. Raises TopicUnreadable, StoreUnavailable.
    """
    number, topics = owned.number, source.topics
    read = [TopicPartition(one.name, number) for one in (topics.segment_changes, topics.routing_events)]
    committed = await read_committed_offsets(source.bootstrap, group, read, security=source.security)
    upto, side = (committed[tp] for tp in read)
    policy = policies.at(0 if in_force is None else in_force.version)
    changes, last = await _read_changes(source, number, upto)
    said = await _read_said(source, number, changes)
    clock = max((one.latest.decided_at for one in changes.values() if one.latest is not None), default=0)
    await owned.take(log)
    for names in chunks(sorted(changes.keys() | said.keys())):
        accounts = await owned.accounts(names)
        sizes: dict[str, int] = {}
        messages: list[Message] = []
        found = await states(names)
        for (name, account), state in zip(accounts.items(), found, strict=True):
            trail = changes.get(name, Trail())
            active_gates = None if state is None else state.active_gates
            restrictions = (
                None if state is None else Restrictions(state.do_not_contact, state.lost_until, state.parent)
            )
            trail, commands, gone = _remember(trail, said.get(name, ()), state)
            if gone is not None and trail.latest is None:
                account.state = gone
                continue
            account.state = restore(trail, commands, policies, policy, clock, active_gates, restrictions)
            if gone is not None:
                account.state.forgotten, account.state.forgets = gone.forgotten, gone.forgets
            account.deadline = account.state.deadline or account.deadline
            if policy.family and restrictions is not None:
                own = own_gates(account.state, policy.family)
                events = tell_relatives(name, account.state, (), own, restrictions.parent, clock)
                messages += [tell(source.topics.routing_events.name, one) for one in events]
            sizes[account.state.decision] = sizes.get(account.state.decision, 0) + 1
        await owned.commit(
            owned.position, owned.collect(accounts.values()), messages, sizes=sorted(sizes.items())
        )
    definition = encode_in_force(InForce(in_force, None if in_force is None else 0))
    position = replace(owned.position, clock=clock, side=side, definition=definition)
    if last is not None:
        position = position_after(position, last, clock)
    await restore_ledgers(owned, source)
    await owned.commit(position, owned.collect())


def _remember(
    trail: Trail, said: Sequence[PublishedCommand], state: AccountState | None
) -> tuple[Trail, Sequence[PublishedCommand], RoutedState | None]:
    """Return what counts of an account's changes and commands, and where it was forgotten, the state that this left."""
    identity = None if state is None else state.identity
    if state is None or identity is None or not identity.forgets:
        return trail, said, None
    until = identity.until
    gone = RoutedState(forgets=identity.forgets)
    if until >= 0:
        said = [one for one in said if parse_instant(one.cause["effective_at"]) > until]
        if trail.latest is None or trail.latest.target.effective_at <= until:
            number = state.sequence if trail.latest is None else trail.latest.target.sequence
            return Trail(), said, RoutedState(forgotten=number, forgets=identity.forgets)
        gone.forgotten = trail.latest.target.sequence - 1
    return trail, said, gone


async def restore_ledgers(owned: Owned, source: LogSource) -> None:
    """Add the touches and outcomes that the log has and the ledgers of a partition's accounts lack.

    Raises as `restore_partition` does.
    """
    items: defaultdict[str, list[LedgerItem]] = defaultdict(list)
    async for account, item in read_logged(source, [owned.number]):
        remember(items[account], item)
    for names in chunks(sorted(items)):
        held = zip(names, await owned.store.read_ledgers(names), strict=True)
        known = {name: {*decode_ledger(value)} for name, value in held if value is not None}
        lacking = {
            name: [one for one in dict.fromkeys(items[name]) if one not in known.get(name, ())]
            for name in names
        }
        ledgers = [(name, encode_ledger(found)) for name, found in lacking.items() if found]
        if ledgers:
            await owned.commit(owned.position, owned.collect(), ledgers=ledgers)


async def _read_changes(
    source: LogSource, number: int, upto: int
) -> tuple[dict[str, Trail], ConsumerRecord | None]:
    """Return the changes of each account before an offset, and the last record."""
    trails: defaultdict[str, Trail] = defaultdict(Trail)
    last: ConsumerRecord | None = None
    async for record, opened in _records(source, source.topics.segment_changes.name, number):
        if record.offset >= upto:
            break
        last = record
        if not is_readable(opened) or is_for_one_endpoint(record):
            continue
        try:
            change = decode_change(opened.value or b"")
        except ValueError:  # a dead letter: the router set it aside too
            continue
        trails[change.account].take(change)
    return dict(trails), last


async def _read_said(
    source: LogSource, number: int, changes: Mapping[str, Trail]
) -> dict[str, list[PublishedCommand]]:
    """Return the commands of each account, without those of a change that is still to be routed."""
    said: dict[str, list[PublishedCommand]] = {}
    async for record, opened in _records(source, source.topics.workflow_commands.name, number):
        if not is_readable(opened):
            continue
        try:
            one = decode_published_command(opened.value or b"")
        except ValueError:  # no command
            continue
        if record.key != one.account.encode():  # not the router's: it may belong to another partition
            continue
        latest = changes.get(one.account, Trail()).latest
        if latest is None or one.cause["sequence_number"] <= latest.target.sequence:
            said.setdefault(one.account, []).append(one)
    return said


async def _records(source: LogSource, topic: str, number: int) -> Any:
    """Yield the records of a partition, each with what it says: a position has the hash of the sealed one."""
    async with reading(source.bootstrap, topic, [number], security=source.security) as reader:
        async for records in reader.to_end():
            for pair in zip(records, await source.opener.open(records), strict=True):
                yield pair
