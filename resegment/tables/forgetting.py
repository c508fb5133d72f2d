"""Take the rows of forgotten accounts out of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from resegment.tables.transaction import Transaction

_TABLES: Final = {
    "segment-changes": ("account_segment_current", "account_segment_history", "segment_event", "command"),
    "workflow-commands": ("command",),
    "touches": ("fct_touch", "touch_void", "touch_key"),
    "signals": ("outcome", "command"),
}
"""By topic, what its records made, or records that came before."""


def forget_accounts(transaction: Transaction, topic: str, accounts: Sequence[str]) -> None:
    """Delete what was written of accounts before a record of the topic said that they are forgotten."""
    for table in _TABLES[topic]:
        transaction.run(f"DELETE FROM {table} WHERE account = ANY($1::text[])", [list(accounts)])  # noqa: S608  # names of our own
