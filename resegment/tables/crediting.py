"""Credit the outcomes of accounts to their touches, by what the tables have of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from resegment.outcomes.crediting import credit
from resegment.outcomes.frames import Ledgers
from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchVoid
from resegment.tables import statements
from resegment.tables.columns import COLUMNS
from resegment.tables.rows import OUTCOME_FIELDS, TOUCH_FIELDS, Batch, Row
from resegment.tables.transaction import Transaction


def asks_credit(batch: Batch) -> bool:
    """Return whether the rows of a batch may change what outcomes are credited to."""
    if {"outcome", "fct_touch", "touch_void", "touch_key"} & batch.rows.keys():
        return True
    return any(row["cause"] in ("merge", "unmerge") for row in batch.rows.get("segment_event", ()))


def credit_accounts(transaction: Transaction, accounts: Sequence[str], window: timedelta) -> None:
    """Credit the outcomes of accounts, and of those that are one with them now."""
    heirs = find_heirs(dict(transaction.read(statements.MERGED)))
    concerned = find_relatives(accounts, heirs)
    ledgers = Ledgers(
        touches=[_touch(row) for row in _rows(transaction, "fct_touch", concerned)],
        voids=[
            TouchVoid(account=row["account"], at=row["voided_at"], change=row["change_id"])
            for row in _rows(transaction, "touch_void", concerned)
        ],
        keys=[
            TouchKey(
                account=row["account"],
                at=row["known_from"],
                key=row["idempotency_key"],
                touch=row["touch"],
            )
            for row in _rows(transaction, "touch_key", concerned)
        ],
        facts=[_fact(row) for row in _rows(transaction, "outcome", concerned)],
    )
    if not ledgers.facts:
        return
    _, outcomes = credit(ledgers, window, heirs)
    names = ("account", "source", "record", "touch", "credited_by", "reason")
    found = {
        (account, source, record): rest
        for account, source, record, *rest in outcomes.select(*names).iter_rows()
    }
    latest: dict[tuple[str, str, str], OutcomeFact] = {}
    for one in sorted(ledgers.facts, key=lambda fact: (fact.recorded, fact.id)):
        latest[heirs.get(one.account, one.account), one.source, one.record] = one
    rows = []
    for one in ledgers.facts:
        key = (heirs.get(one.account, one.account), one.source, one.record)
        values = found.get(key) if latest[key] is one else None  # an older revision, under another name
        rows.append((one.account, one.source, one.record, *(values or (None, None, None))))
    transaction.run(statements.CREDIT, [list(column) for column in zip(*rows, strict=True)])


def find_heirs(merged: Mapping[str, str]) -> dict[str, str]:
    """Return the account that each merged one belongs to in the end."""
    heirs = {}
    for alias, account in merged.items():
        seen = {alias}
        heir = account
        while heir in merged and heir not in seen:
            seen.add(heir)
            heir = merged[heir]
        heirs[alias] = heir
    return heirs


def find_relatives(accounts: Iterable[str], heirs: Mapping[str, str]) -> list[str]:
    """Return the accounts, and all that are one with them now."""
    wanted = {heirs.get(one, one) for one in accounts}
    return sorted({*accounts, *wanted, *(alias for alias, heir in heirs.items() if heir in wanted)})


def _rows(transaction: Transaction, table: str, accounts: Sequence[str]) -> list[Row]:
    names = list(COLUMNS[table])
    found = transaction.read(statements.select_rows(table, transaction.spell), [list(accounts)])
    return [dict(zip(names, values, strict=True)) for values in found]


def _touch(row: Row) -> Touch:
    return Touch(
        account=row["account"],
        **{name: row[name] for name in TOUCH_FIELDS},
        at=row["touched_at"],
        change=row["change_id"],
    )


def _fact(row: Row) -> OutcomeFact:
    return OutcomeFact(
        **{name: row[name] for name in OUTCOME_FIELDS},
        at=row["happened_at"],
        recorded=row["known_at"],
        retracted=row["is_retracted"],
        opened_at=row["opened_at"],
        key=row["idempotency_key"],
    )
