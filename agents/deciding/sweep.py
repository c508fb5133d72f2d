"""Switch the accounts that nothing touches to the version in force, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from msgspec.structs import replace as with_changes

from resegment.agents.deciding.applying import Applied
from resegment.agents.deciding.decided import Decided, MessageFactory, Owned
from resegment.agents.deciding.folding import changeover_of, join_folded, read_folded
from resegment.agents.deciding.versions import Versions
from resegment.schemas.change import SegmentChange
from resegment.schemas.definitions.marks import encode_changeover
from resegment.schemas.logs.state_log import decode_head, decode_state
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Decision
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.partition_store import Position

SLICE = 100
"""Accounts in a slice: live events wait for one at most."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a slice came to. `cursor` 0: every account has been looked at."""

    cursor: int
    seen: int = 0
    changes: Sequence[SegmentChange] = ()


def find_due_sweep(position: Position, timeline: Timeline) -> int | None:
    """Return the number of the version to which accounts of the partition have to be switched, None for none."""
    newest = timeline.newest
    if newest.number == timeline.eras[0].number or newest.at > position.clock:
        return None
    changeover = changeover_of(position)
    done = changeover.worked_off
    due = [
        one.number
        for one in timeline.eras[1:]
        if one.works_off and done < one.number and one.at <= position.clock
    ]
    return max(due[-1], changeover.version) if due else None


async def sweep(
    owned: Owned,
    versions: Versions,
    cursor: int,
    number: int,
    *,
    factory: MessageFactory | None,
    limit: int = SLICE,
) -> Swept:
    """Switch one slice of the accounts to version `number`. After the last slice, the partition has worked it off.

    An account that cannot be judged stays behind until its next fact, and a notice says so. Raises PartitionLost and
    StoreUnavailable.
    """
    async with owned.lock:
        if owned.fence is None:
            return Swept(cursor)
        timeline, position = versions.timeline, owned.position
        following, found = await owned.store.scan(cursor, limit)
        decided = Decided(factory, owned.number)
        with owned.all_or_nothing():
            accounts = await _switch_slice(owned, timeline, found, decided)
            if not following:
                done = with_changes(
                    changeover_of(position),
                    worked_off=number,
                    preparing=None,
                    offset=0,
                    ready=False,
                    late=None,
                )
                position = replace(position, definition=encode_changeover(done))
            changes: Sequence[SegmentChange] = ()
            if accounts or not following:
                changes = await decided.commit(owned, position, owned.collect(accounts))
        if not following:
            await owned.store.clear_folded()
        return Swept(following, len(found), changes)


async def _switch_slice(
    owned: Owned, timeline: Timeline, found: Sequence[tuple[str, bytes]], decided: Decided
) -> list[Account]:
    """Switch those of the accounts that are behind, and return them. Those not in memory are not kept there."""
    clock, changeover = owned.position.clock, changeover_of(owned.position)
    cached: dict[str, Account] = {}
    stored: dict[str, bytes] = {}
    for name, value in found:
        account = owned.cached(name)
        if account is None:
            if timeline.is_version_behind(decode_head(value).version, clock):
                stored[name] = value
        elif timeline.is_behind(account, clock):
            cached[name] = account
    await join_folded(owned, timeline, cached, changeover, clock)
    folded = await read_folded(owned, timeline, list(stored), changeover, clock)
    switched = [_switch(owned, timeline, one, (), decided) for one in cached.values()]
    for (name, value), more in zip(stored.items(), folded, strict=True):
        switched.append(_open(owned, timeline, name, value, more, decided))
    return [one for one in switched if one is not None]


def _open(
    owned: Owned, timeline: Timeline, name: str, value: bytes, folded: bytes | None, decided: Decided
) -> Account | None:
    """Switch an account that is not in memory. With nothing folded in for it, it is indexed only once."""
    if folded is not None:
        account = timeline.load(name, value)
        timeline.join_folded(account, decode_state(folded))
        return _switch(owned, timeline, account, (), decided)
    direct = None
    with suppress(Exception):  # what fails fails below too, where a notice says so
        direct = timeline.open_switched(name, decode_state(value), owned.position.clock)
    if direct is None:
        return _switch(owned, timeline, timeline.load(name, value), (), decided)
    return _switch(owned, timeline, *direct, decided)


def _switch(
    owned: Owned, timeline: Timeline, account: Account, before: Sequence[Decision], decided: Decided
) -> Account | None:
    """Judge an account up to the clock, after the decisions `before`; return None, with a notice, where that fails."""
    clock = owned.position.clock
    try:
        decided.add(Applied([*before, *timeline.advance(account, clock, clock)]))
    except Exception as error:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
        owned.drop(account.name)
        owned.notices.messages.append(
            f"partition {owned.number}: {account.name} could not be judged by the new version "
            f"({type(error).__name__}: {error}); it stays where it is until its next fact"
        )
        return None
    return account
