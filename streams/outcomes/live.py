"""Read touches and outcomes from Redis: as they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

import msgspec

from resegment.outcomes.dataset import WINDOW, Dataset
from resegment.outcomes.frames import Ledgers
from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.ledger import Dropped, LedgerItem, decode_ledger
from resegment.state.redis.reader import BrokenState, PrefixReader


async def read_dataset(
    reader: PrefixReader, *, window: timedelta = WINDOW, accounts: Mapping[str, str] | None = None
) -> Dataset:
    """Return the data set of a prefix. `accounts` says by alias which account it was merged into.

    Raises StoreUnavailable and BrokenState.
    """
    ledgers = Ledgers()
    async for found in reader.ledgers():
        for name, value in found.items():
            ledgers.take(_decode(name.decode(), value))
    return Dataset.of(ledgers, window=window, accounts=accounts)


async def read_account_dataset(
    reader: PrefixReader,
    account: str,
    related: Collection[str],
    *,
    window: timedelta = WINDOW,
    accounts: Mapping[str, str] | None = None,
    until: int | None = None,
) -> Dataset:
    """Return the data set of one account; `related` are its name and those that were ever merged with it.

    With `until` (ms), it has what was known at that instant, and outcomes are credited as they were then. Raises as `read_dataset` does.
    """
    ledgers = Ledgers()
    for name, value in zip(related, await reader.ledgers_of(list(related)), strict=True):
        if value is not None:
            items = _decode(name, value)
            ledgers.take(items if until is None else known_until(items, until))
    found = Dataset.of(ledgers, window=window, accounts=accounts)
    return found.of_account(account, accounts or {})


def known_until(items: Iterable[LedgerItem], until: int) -> list[LedgerItem]:
    """Return the items that were known at an instant (ms)."""
    return [one for one in items if _known_at(one) <= until]


def _known_at(item: LedgerItem) -> int:
    """Return when (ms) an item became known; what is dropped always was."""
    match item:
        case OutcomeFact(recorded=recorded):
            return recorded
        case Dropped():
            return 0
    return item.at


def _decode(account: str, value: bytes) -> list[LedgerItem]:
    try:
        return decode_ledger(value)
    except msgspec.DecodeError as error:
        raise BrokenState(account, str(error)) from error
