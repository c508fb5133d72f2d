"""Write fields to companies in HubSpot, in batches, and leave out properties that are not there any more."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from resegment.sinks.hubspot.requests import batch, find_missing_properties, is_one_of, search, tell
from resegment.sinks.port import Answer, Call, RecordFields, RecordResult, look, repeat

Results = Generator[Call, Answer, dict[str, RecordResult]]


def write_companies(
    records: Sequence[RecordFields], unique: str | None
) -> Generator[Call, Answer, tuple[RecordResult, ...]]:
    """Write the fields of companies. `unique`: the property with unique values that has the domain, if there is one."""
    if unique is not None:
        found = yield from _write(records, {one.account: one.account for one in records}, unique, frozenset())
    else:
        ids = yield from _find_ids([one.account for one in records])
        if isinstance(ids, str):
            return tuple(RecordResult(one.account, "refused", ids) for one in records)
        known = [one for one in records if one.account in ids]
        found = yield from _write(known, ids, None, frozenset())
    return tuple(
        found.get(
            one.account, RecordResult(one.account, "missing", "HubSpot has no company with that domain")
        )
        for one in records
    )


def _find_ids(accounts: Sequence[str]) -> Generator[Call, Answer, dict[str, str] | str]:
    """Return the ids of companies by domain, or what HubSpot says against the search."""
    ids: dict[str, str] = {}
    after = "0"
    while True:
        answer = yield look(
            search("companies", [[is_one_of("domain", accounts)]], ["domain"], after), expects="results"
        )
        if not answer.ok:
            return f"companies cannot be searched: {tell(answer)}"
        for one in answer.rows("results"):
            domain = Answer(200, one).get("properties", "domain")
            if isinstance(domain, str) and one.get("id"):
                number = str(one["id"])
                before = ids.get(domain.lower(), number)
                ids[domain.lower()] = min(before, number, key=lambda text: (len(text), text))
        after = str(answer.get("paging", "next", "after", default=""))
        if not after:
            return ids


def _write(
    records: Sequence[RecordFields], ids: Mapping[str, str], unique: str | None, dropped: frozenset[str]
) -> Results:
    """Write records whose ids are known; if HubSpot refuses them together, by halves."""
    inputs = [_input(one, ids[one.account], unique, dropped) for one in records]
    kept = [one for one in inputs if one["properties"]]
    given = tuple(sorted(dropped))
    if not kept:
        return {one.account: RecordResult(one.account, "written", "", given) for one in records}
    answer = yield repeat(batch("companies", "update" if unique is None else "upsert", kept))
    if answer.ok:
        return _read(records, ids, answer, given)
    missing = find_missing_properties(answer) - dropped
    named = {name for one in records for name in one.fields} & missing
    if named:
        return (yield from _write(records, ids, unique, dropped | named))
    if len(records) == 1:
        account = records[0].account
        if answer.verdict == "gone":
            return {account: RecordResult(account, "missing", "the company was deleted in HubSpot", given)}
        return {account: RecordResult(account, "refused", tell(answer), given)}
    half = len(records) // 2
    first = yield from _write(records[:half], ids, unique, dropped)
    second = yield from _write(records[half:], ids, unique, dropped)
    return first | second


def _input(record: RecordFields, number: str, unique: str | None, dropped: frozenset[str]) -> dict[str, Any]:
    fields = {name: value or "" for name, value in record.fields.items() if name not in dropped}
    one: dict[str, Any] = {"id": number, "properties": fields}
    if unique is not None:
        one["idProperty"] = unique
    return one


def _read(
    records: Sequence[RecordFields], ids: Mapping[str, str], answer: Answer, dropped: tuple[str, ...]
) -> dict[str, RecordResult]:
    """Return what became of each record: an answer 207 names those that failed, by their ids."""
    failed: dict[str, str] = {}
    for error in answer.rows("errors"):
        for number in _ids_of(error):
            failed[number] = tell(Answer(0, error))
    written = {str(one.get("id")) for one in answer.rows("results")}
    partly = answer.status == 207 or bool(answer.rows("errors"))
    found = {}
    for one in records:
        number = ids[one.account]
        if number in failed:
            found[one.account] = RecordResult(one.account, "refused", failed[number], dropped)
        elif partly and number not in written and len(written) < len(records) and not _is_domain(number):
            found[one.account] = RecordResult(one.account, "refused", "HubSpot did not write it", dropped)
        else:
            found[one.account] = RecordResult(one.account, "written", "", dropped)
    return found


def _ids_of(error: Mapping[str, Any]) -> list[str]:
    context = error.get("context")
    if not isinstance(context, dict):
        return []
    found: list[str] = []
    for name in ("ids", "id", "objectId", "objectIds"):
        given = context.get(name)
        found += [str(one) for one in (given if isinstance(given, list) else [given]) if one is not None]
    return found


def _is_domain(number: str) -> bool:
    return not number.isdigit()
