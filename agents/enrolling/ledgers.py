"""Arrange what a batch adds to the ledgers of accounts, and what it makes them forget."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from resegment.schemas.outcomes.ledger import LedgerItem, LoggedItem, encode_ledger, without_outcomes
from resegment.schemas.outcomes.touch import TouchesForgotten
from resegment.state.partition_store import PartitionStore


class Ledgers(NamedTuple):
    """What is appended to the ledger of each account, and what replaces one."""

    appended: Sequence[tuple[str, bytes]]
    replaced: Sequence[tuple[str, bytes]]


async def arrange_ledgers(
    store: PartitionStore, told: Mapping[str, Sequence[LoggedItem]], relearned: Collection[str]
) -> Ledgers:
    """Return what to write. Of `relearned` accounts only the outcomes count that are told. Raises StoreUnavailable."""
    appended: list[tuple[str, bytes]] = []
    replaced: list[tuple[str, bytes]] = []
    for name in dict.fromkeys((*told, *relearned)):
        items = told.get(name, ())
        latest = [place for place, one in enumerate(items) if isinstance(one, TouchesForgotten)]
        kept: list[LedgerItem] = [
            one for one in items[latest[-1] + 1 if latest else 0 :] if isinstance(one, LedgerItem)
        ]
        if latest:
            replaced.append((name, encode_ledger(kept)))
        elif name in relearned:
            (held,) = await store.read_ledgers([name])
            replaced.append((name, encode_ledger([*without_outcomes(held), *kept])))
        else:
            appended.append((name, encode_ledger(kept)))
    return Ledgers(appended, replaced)
