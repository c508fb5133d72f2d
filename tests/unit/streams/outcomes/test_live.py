"""Reading from Redis: accounts that were merged are one, wherever their ledgers are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from resegment.schemas.outcomes.ledger import LedgerItem, encode_ledger
from resegment.state.redis.reader import BrokenState
from resegment.streams.outcomes.live import read_account_dataset, read_dataset
from tests.unit.outcomes.test_crediting import outcome, touch


class Kept:
    """Stands in for the reader of a prefix."""

    def __init__(self, ledgers: dict[str, list[LedgerItem]]) -> None:
        self.values = {name: encode_ledger(items) for name, items in ledgers.items()}

    async def ledgers_of(self, accounts: Sequence[str]) -> list[bytes | None]:
        return [self.values.get(name) for name in accounts]

    async def ledgers(self) -> AsyncIterator[dict[bytes, bytes]]:
        for name, value in self.values.items():
            yield {name.encode(): value}
            yield {name.encode(): value}  # a scan may give an account twice


def kept() -> Any:
    """An alias with a touch; after its merge an outcome that was sent to it reached the account that it is part of."""
    passed = outcome("late", 9, account="old.com", key="k1")
    return Kept(
        {
            "old.com": [touch("k1", 1, account="old.com"), outcome("early", 2, account="old.com")],
            "new.com": [touch("k2", 5, account="new.com"), passed, outcome("own", 9, account="new.com")],
            "b.com": [outcome("else", 9, account="b.com")],
        }
    )


async def test_merged_accounts_share_their_touches_and_outcomes() -> None:
    found = await read_dataset(kept(), accounts={"old.com": "new.com"})
    assert dict(found.outcomes.select("record", "touch").iter_rows()) == {
        "early": "k1",
        "late": "k1",
        "own": "k2",
        "else": None,
    }
    assert found.touches.height == 2


@pytest.mark.parametrize(
    ("name", "accounts", "records"),
    [
        ("new.com", {"old.com": "new.com"}, {"early", "late", "own"}),
        ("new.com", {}, {"own"}),
        ("old.com", {}, {"early", "late"}),
        ("b.com", {}, {"else"}),
    ],
)
async def test_one_account_has_what_is_its_own_now(
    name: str, accounts: dict[str, str], records: set[str]
) -> None:
    found = await read_account_dataset(
        kept(), name, ["old.com", "new.com", "b.com", "gone.com"], accounts=accounts
    )
    assert {*found.outcomes["record"]} == records


async def test_a_ledger_that_cannot_be_read_names_its_account() -> None:
    broken = kept()
    broken.values["old.com"] = b"\xdd\x00\x00\x00\x01\xc1"
    with pytest.raises(BrokenState, match=r"old\.com"):
        await read_dataset(broken)
