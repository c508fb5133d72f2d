"""Restore the router's state from the changes and commands that are still in Kafka."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from resegment.agents.batch import Message, is_readable
from resegment.agents.partition import position_after
from resegment.agents.router import Owned
from resegment.routing.change import RoutedChange, decode_change
from resegment.routing.family import own_gates, tell_relatives
from resegment.routing.policy import Policy
from resegment.routing.restore import PublishedCommand, decode_published_command, restore
from resegment.schemas.change import Restrictions
from resegment.schemas.state import AccountState
from resegment.streams.kafka.group_offsets import read_committed_offsets
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.message_factory import tell
from resegment.streams.recovery.replay import LogSource, chunks

States = Callable[[Sequence[str]], Awaitable[Sequence[AccountState | None]]]
"""Reads the segmenter's states of accounts."""


async def restore_partition(
    owned: Owned, policy: Policy, source: LogSource, group: str, states: States, *, log: str
) -> None:
    """Fill an empty partition of the router, and send no command.

    It continues at the group's committed offsets: what was not routed before the loss is routed after it, by the
    mode. `log` names this incarnation of the topic of changes. Raises TopicUnreadable, StoreUnavailable.
    """
    number, topics = owned.number, source.topics
    read = [TopicPartition(one.name, number) for one in (topics.segment_changes, topics.routing_events)]
    committed = await read_committed_offsets(source.bootstrap, group, read, security=source.security)
    upto, side = (committed[tp] for tp in read)
    changes, last = await _read_changes(source, number, upto)
    said = await _read_said(source, number, changes)
    clock = max((one.decided_at for one in changes.values()), default=0)
    await owned.take(log)
    for names in chunks(sorted(changes.keys() | said.keys())):
        accounts = await owned.accounts(names)
        sizes: dict[str, int] = {}
        messages: list[Message] = []
        found = await states(names)
        for (name, account), state in zip(accounts.items(), found, strict=True):
            change = changes.get(name)
            active_gates = None if state is None else state.active_gates
            restrictions = (
                None if state is None else Restrictions(state.do_not_contact, state.lost_until, state.parent)
            )
            account.state = restore(change, said.get(name, ()), policy, clock, active_gates, restrictions)
            account.deadline = account.state.deadline or account.deadline
            if policy.family and restrictions is not None:
                own = own_gates(account.state, policy.family)
                events = tell_relatives(name, account.state, (), own, restrictions.parent, clock)
                messages += [tell(source.topics.routing_events.name, one) for one in events]
            sizes[account.state.decision] = sizes.get(account.state.decision, 0) + 1
        await owned.commit(owned.position, accounts.values(), messages, sizes=sorted(sizes.items()))
    position = replace(owned.position, clock=clock, side=side)
    if last is not None:
        position = position_after(position, last, clock)
    await owned.commit(position, ())


async def _read_changes(
    source: LogSource, number: int, upto: int
) -> tuple[dict[str, RoutedChange], ConsumerRecord | None]:
    """Return the latest change of each account before an offset, and the last record."""
    latest: dict[str, RoutedChange] = {}
    last: ConsumerRecord | None = None
    async for record in _records(source, source.topics.segment_changes.name, number):
        if record.offset >= upto:
            break
        last = record
        if not is_readable(record):
            continue
        try:
            change = decode_change(record.value or b"")
        except ValueError:  # a dead letter: the router set it aside too
            continue
        before = latest.get(change.account)
        if before is None or before.target.sequence < change.target.sequence:
            latest[change.account] = change
    return latest, last


async def _read_said(
    source: LogSource, number: int, changes: Mapping[str, RoutedChange]
) -> dict[str, list[PublishedCommand]]:
    """Return the commands of each account, without those of a change that is still to be routed."""
    said: dict[str, list[PublishedCommand]] = {}
    async for record in _records(source, source.topics.workflow_commands.name, number):
        if not is_readable(record):
            continue
        try:
            one = decode_published_command(record.value or b"")
        except ValueError:  # no command
            continue
        if record.key != one.account.encode():  # not the router's: it may belong to another partition
            continue
        change = changes.get(one.account)
        if change is None or one.cause["sequence_number"] <= change.target.sequence:
            said.setdefault(one.account, []).append(one)
    return said


async def _records(source: LogSource, topic: str, number: int) -> Any:
    async with reading(source.bootstrap, topic, [number], security=source.security) as reader:
        async for records in reader.to_end():
            for record in records:
                yield record
