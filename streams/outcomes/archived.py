"""Read touches and outcomes from an archive, or from the log itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

from resegment.outcomes.dataset import WINDOW, Dataset
from resegment.outcomes.frames import Ledgers
from resegment.schemas.outcomes.ledger import LedgerItem, remember
from resegment.streams.outcomes.logged import read_logged
from resegment.streams.recovery.replay import LogSource


async def read_dataset_log(
    source: LogSource, *, window: timedelta = WINDOW, accounts: Mapping[str, str] | None = None
) -> Dataset:
    """Return the data set of a log, or of an archive if `source` has one. Nothing is missing in it for lack of room.

    `accounts` says by alias which account it was merged into. Raises TopicUnreadable, and what an archive raises.
    """
    found: defaultdict[str, list[LedgerItem]] = defaultdict(list)
    async for account, item in read_logged(source):
        remember(found[account], item)
    ledgers = Ledgers()
    for items in found.values():
        ledgers.take(items)
    return Dataset.of(ledgers, window=window, accounts=accounts)
