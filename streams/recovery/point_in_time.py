"""Restore an account as it was at an instant, from its facts in the log of `signals`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from resegment.agents.batch import Batch, is_readable
from resegment.errors import FatalError
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.state import AccountState, Membership
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.versions.timeline import Timeline
from resegment.streams.ahead import AheadRecords, leave_out
from resegment.streams.kafka.topic_reader import reading

Known = tuple[int, Fact]
"""A fact and the instant (ms) at which it became known: the partition's clock at its record."""


class HistoryLost(FatalError):
    """The log of `signals` does not lead to the account's present state: part of its history is missing."""

    def __init__(self, account: str) -> None:
        super().__init__(
            f"the log does not have the whole history of {account}",
            remedy="Only now and later can be explained: leave --at out, or give recorded events with --events.",
        )
        self.account = account


async def rewind(
    timeline: Timeline,
    name: str,
    state: AccountState,
    until: int,
    *,
    bootstrap: str,
    topic: str,
    partition: int,
    security: Mapping[str, Any] | None = None,
    ahead: AheadRecords | None = None,
) -> Account:
    """Return the account at `until` (ms), from the records of its partition of `signals` that were not `ahead`.

    Raises HistoryLost where they do not lead to its present `state`, and TopicUnreadable.
    """
    known = await _read_known(name, bootstrap, topic, partition, security, ahead)
    now = relearn(timeline, name, known, last_touched(state))
    if not leads_to(now.state.membership, state.membership):
        raise HistoryLost(name)
    return relearn(timeline, name, known, until)


def leads_to(found: Membership, stored: Membership) -> bool:
    """Return whether a membership is the stored one. A state of an earlier release does not have every exit."""
    return (found.segment, found.entered) == (stored.segment, stored.entered) and (
        stored.left.items() <= found.left.items()
    )


def relearn(timeline: Timeline, name: str, known: Iterable[Known], until: int) -> Account:
    """Return the account after the facts known up to and including `until` (ms), in the order of the log."""
    account = timeline.open(name)
    for at, together in groupby(known, key=itemgetter(0)):
        if at > until:
            break
        timeline.advance(account, at - 1)
        timeline.apply_facts(account, [fact for _, fact in together], at)
    if account.state.membership.segment is not None:
        timeline.advance(account, until)
    return account


def last_touched(state: AccountState) -> int:
    """Return the instant (ms) of the latest fact or change of a state: from there on it can be evaluated as it is."""
    return max([state.at, *(entry.known for entry in state.entries)])


async def _read_known(
    name: str,
    bootstrap: str,
    topic: str,
    partition: int,
    security: Mapping[str, Any] | None,
    ahead: AheadRecords | None,
) -> list[Known]:
    key, clock = name.encode(), 0
    known: list[Known] = []
    async with reading(bootstrap, topic, [partition], security=security) as reader:
        async for records in reader.to_end():
            for record in await leave_out(ahead, Batch(topic, partition, records)):
                clock = max(clock, record.timestamp)
                if record.key == key and is_readable(record) and (fact := _decode(record.value)) is not None:
                    known.append((clock, fact))
    return known


def _decode(value: bytes | None) -> Fact | None:
    try:
        return None if value is None else decode_fact(value)
    except msgspec.DecodeError:  # a dead letter: the segmenter set it aside too
        return None
