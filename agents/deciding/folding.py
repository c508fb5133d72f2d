"""Give accounts the facts that were folded in from the log, before they switch to the version that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from resegment.agents.partition import OwnedPartition
from resegment.schemas.definitions.marks import Changeover, decode_changeover
from resegment.schemas.logs.state_log import decode_state
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.partition_store import Position


def changeover_of(position: Position) -> Changeover:
    """Return what the partition keeps of switches."""
    changeover = decode_changeover(position.definition)
    if position.clock == 0 and not changeover.origin:
        return replace(changeover, origin=position.log)
    return changeover


def begins_at_its_beginning(position: Position) -> bool:
    """Return whether the log of the partition is the one that it began with, as far as that is known."""
    origin = decode_changeover(position.definition).origin
    return not origin or origin == position.log


async def join_folded(
    owned: OwnedPartition[Account],
    timeline: Timeline,
    accounts: Mapping[str, Account],
    changeover: Changeover,
    clock: int,
) -> None:
    """Give those of the accounts that are about to switch what was folded in for them. Raises StoreUnavailable."""
    if not _is_folded(timeline, changeover, clock):
        return
    number = timeline.newest.number
    behind = [name for name, one in accounts.items() if one.folded is None and one.state.version != number]
    for name, value in zip(behind, await owned.store.read_folded(behind), strict=True):
        if value is not None:
            timeline.join_folded(accounts[name], decode_state(value))


async def read_folded(
    owned: OwnedPartition[Account],
    timeline: Timeline,
    names: Sequence[str],
    changeover: Changeover,
    clock: int,
) -> list[bytes | None]:
    """Return what was folded in for accounts, where the switch that it is for has come. Raises StoreUnavailable."""
    if not _is_folded(timeline, changeover, clock):
        return [None] * len(names)
    return await owned.store.read_folded(names)


def _is_folded(timeline: Timeline, changeover: Changeover, clock: int) -> bool:
    """Return whether accounts switch at this clock to the version that was prepared."""
    preparing, newest = changeover.preparing, timeline.newest
    return preparing is not None and preparing.version == newest.number and newest.at <= clock
