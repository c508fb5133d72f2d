"""Write fields to accounts in Salesforce, in batches, and leave out fields that are not there any more."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from resegment.sinks.port import Answer, Call, RecordFields, RecordResult, Request, repeat
from resegment.sinks.salesforce.requests import GONE, Api, find_missing_fields, tell, tell_errors

Results = Generator[Call, Answer, dict[str, RecordResult]]


def write_accounts(
    api: Api, records: Sequence[RecordFields], key: str | None
) -> Generator[Call, Answer, tuple[RecordResult, ...]]:
    """Write the fields of accounts, found by their website, or by the field `key`."""
    ids = yield from api.find_accounts([one.account for one in records], key)
    if isinstance(ids, str):
        return tuple(RecordResult(one.account, "refused", ids) for one in records)
    known = [one for one in records if one.account in ids]
    found = yield from _write(api, known, ids, frozenset())
    return tuple(
        found.get(
            one.account, RecordResult(one.account, "missing", "Salesforce has no account with that domain")
        )
        for one in records
    )


def _write(
    api: Api, records: Sequence[RecordFields], ids: Mapping[str, str], dropped: frozenset[str]
) -> Results:
    given = tuple(sorted(dropped))
    rows: list[dict[str, Any]] = []
    for one in records:
        fields = {name: value for name, value in one.fields.items() if name not in dropped}
        if fields:
            rows.append({"attributes": {"type": "Account"}, "id": ids[one.account], **fields})
    if not rows:
        return {one.account: RecordResult(one.account, "written", "", given) for one in records}
    body = {"allOrNone": False, "records": rows}
    answer = yield repeat(Request("PATCH", f"{api.base}/composite/sobjects", body=body))
    named = {name for one in records for name in one.fields} & (find_missing_fields(answer) - dropped)
    if named:
        return (yield from _write(api, records, ids, dropped | named))
    if not answer.ok:
        return {one.account: RecordResult(one.account, "refused", tell(answer), given) for one in records}
    return _read(records, ids, answer, given)


def _read(
    records: Sequence[RecordFields], ids: Mapping[str, str], answer: Answer, dropped: tuple[str, ...]
) -> dict[str, RecordResult]:
    """Return what became of each record: the answer has one row for each that was sent, in the same order."""
    sent = [one for one in records if set(one.fields) - set(dropped)]
    rows = answer.rows()
    found = {one.account: RecordResult(one.account, "written", "", dropped) for one in records}
    for number, one in enumerate(sent):
        row = rows[number] if number < len(rows) else {}
        if row.get("success") is True:
            continue
        errors = Answer(200, row).rows("errors")
        gone = any(str(each.get("statusCode")) in GONE for each in errors)
        why = f"the account {ids[one.account]} was deleted in Salesforce" if gone else tell_errors(row)
        found[one.account] = RecordResult(one.account, "missing" if gone else "refused", why, dropped)
    return found
