"""Restore an account as it was at an instant, from its facts in the log of `signals`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from resegment.agents.batch import Batch
from resegment.agents.deciding.applying import DamagedStep, Known, apply_known, facts_of, read_known
from resegment.errors import FatalError
from resegment.schemas.privacy.opening import FactKeys, OpenFact, as_it_is, leniently, open_with
from resegment.schemas.state import AccountState, Membership
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.versions.timeline import Timeline
from resegment.streams.ahead import AheadRecords, leave_out
from resegment.streams.kafka.topic_reader import reading


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
    keys: FactKeys | None = None,
) -> Account:
    """Return the account at `until` (ms), from the records of its partition of `signals` that were not `ahead`.

    Raises HistoryLost where they do not lead to its present `state`, StoreUnavailable and TopicUnreadable.
    """
    known = await _read_known(name, bootstrap, topic, partition, security, ahead)
    opens = await open_with(keys, facts_of(known))
    now = relearn(timeline, name, known, last_touched(state), opens)
    if not leads_to(now.state.membership, state.membership):
        raise HistoryLost(name)
    return relearn(timeline, name, known, until, opens)


def leads_to(found: Membership, stored: Membership) -> bool:
    """Return whether a membership is the stored one. A state of an earlier release does not have every exit."""
    return (found.segment, found.entered) == (stored.segment, stored.entered) and (
        stored.left.items() <= found.left.items()
    )


def relearn(
    timeline: Timeline, name: str, known: Iterable[Known], until: int, opens: OpenFact = as_it_is
) -> Account:
    """Return the account after the facts known up to and including `until` (ms), in the order of the log."""
    account = timeline.open(name)
    for group in known:
        if group[0] > until:
            break
        timeline.advance(account, group[0] - 1)
        with suppress(DamagedStep):  # it was set aside when it came
            apply_known(timeline, account, [group], group[0], leniently(opens))
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
                if record.key not in (key, None) or (found := read_known(record, clock)) is None:
                    continue
                account, (at, facts, sources) = found
                if account != name:
                    continue
                latest = known[-1] if known else None
                if (
                    latest is not None
                    and latest[0] == at
                    and isinstance(facts, list)
                    and isinstance(latest[1], list)
                ):
                    latest[1].extend(facts)
                    latest[2].extend(sources)
                else:
                    known.append((at, facts, sources))
    return known


def is_forgotten_at(state: AccountState, at: int) -> bool:
    """Return whether nothing is known about an account at `at` (ms) because it, or all of its persons, were forgotten."""
    identity = state.identity
    if identity is None or not identity.forgets:
        return False
    is_empty = state.membership.segment is None and not state.entries
    return identity.forgotten or at <= identity.until or is_empty
