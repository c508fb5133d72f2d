"""Guess which adapter fits a file, and write a mapping file to edit."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.dates import read_moment
from resegment.sources.adapters.port import Adapter, Context
from resegment.sources.adapters.records import Record, is_blank, normalize_name
from resegment.sources.adapters.tables import snake_case
from resegment.sources.adapters.values import read_count, read_money_range, read_number
from resegment.sources.files.payloads import read_payloads
from resegment.sources.registry import all_adapters

SAMPLE: Final = 25
_SOMETIME: Final = 1_700_000_000_000
_SUBJECTS: Final = (
    *("domain", "companydomain", "companydomainname", "website", "companywebsite", "organizationwebsite", "url", "homepageurl"),
    *("email", "workemail", "recipient", "account"),
)  # fmt: skip
_TIMES: Final = (
    *("time", "timestamp", "date", "occurredat", "announceddate", "announcedon", "startdate", "lastmodifieddate", "updatedat"),
    *("createdat", "createdate", "receivedat", "seenat"),
)  # fmt: skip
_IDS: Final = ("id", "recordid", "uuid", "messageid", "eventid", "transactionnameurl")
_KINDS: Final = (
    ("funding", {"round", "fundingtype", "moneyraised", "investmenttype", "fundingroundtype"}),
    ("intent", {"topic", "topicname", "compositescore", "signalscore", "intentscore"}),
    ("leadership", {"jobtitle", "newtitle", "fullname", "personname"}),
    ("tech", {"technology", "technologyname"}),
    ("strategy", {"quote", "statement"}),
    ("hiring", {"jobposting", "joburl", "joblocation"}),
    ("engagement", {"event", "pageurl", "url", "contextpageurl"}),
)
_FIELDS: Final = {
    "name": "name", "companyname": "name", "organizationname": "name", "industry": "industry", "employees": "employees",
    "numberofemployees": "employees", "headcount": "employees", "employeecount": "employees", "companysize": "employees",
    "annualrevenue": "revenue_usd", "revenue": "revenue_usd", "country": "country", "countryregion": "country", "region": "region",
    "technologies": "technologies", "webtechnologies": "technologies", "fundingtype": "round", "investmenttype": "round",
    "moneyraised": "amount", "moneyraisedcurrencyinusd": "amount_usd", "topicname": "topic", "topic": "topic", "compositescore": "score",
    "score": "score", "quote": "statement", "statement": "statement", "jobtitle": "title", "title": "title", "fullname": "person",
    "event": "action", "pageurl": "url",
}  # fmt: skip


def guess_file(path: str) -> str:
    """Return a mapping file for a file, with the adapter that fits best in a comment. Raises WrongFile."""
    payloads = read_payloads(path)
    sample = [one.value for one in islice(payloads.rows, SAMPLE) if one.refused is None]
    best, share = find_best(sample)
    lines = []
    if best is not None:
        lines.append(f"# The adapter {best.name} fits {share:.0%} of the first {len(sample)} records:")
        lines.append(f"#   resegment sources convert {best.name} {path}")
        lines.append("# To read other columns too, edit this mapping and pass it with --map.")
    else:
        lines.append("# No adapter fits. Edit this mapping, then:")
        lines.append(f"#   resegment sources convert csv {path} --map map.yaml")
    rows = [one for value in sample for one in _objects(value)]
    return "\n".join([*lines, *_mapping(rows), ""])


def find_best(sample: list[Any]) -> tuple[Adapter | None, float]:
    """Return the adapter that makes valid events of most records, and the share; None if none does.

    Of two that do, the one that reads more fields is better.
    """
    best: tuple[float, int, Adapter] | None = None
    for adapter in all_adapters():
        good = fields = records = 0
        for value in sample:
            for item in adapter.convert(value, Context(account="example.com", at=_SOMETIME)):
                if isinstance(item, dict):
                    good += 1
                    records += 1
                    fields += sum(not is_blank(one) for one in item["data"].values()) + (
                        item["subject"] != "example.com"
                    )
                elif isinstance(item, RefusedEvent):
                    records += 1
        share = good / records if records else 0.0
        if share > 0.2 and (best is None or (round(share, 1), fields) > best[:2]):
            best = (round(share, 1), fields, adapter)
    return (None, 0.0) if best is None else (best[2], best[0])


def _objects(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        inner = next(
            (one for one in value.values() if isinstance(one, list) and one and isinstance(one[0], Mapping)),
            None,
        )
        return [value] if inner is None or len(value) > 4 else _objects(inner)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _mapping(rows: list[Mapping[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    plain = {column: normalize_name(column) for column in columns}
    kind = next((kind for kind, words in _KINDS if words & set(plain.values())), "firmographic")
    chosen: dict[str, str] = {}
    for part, words in (("subject", _SUBJECTS), ("time", _TIMES), ("id", _IDS)):
        found = next((column for word in words for column in columns if plain[column] == word), None)
        if found is not None and found not in chosen:
            chosen[found] = part
    lines = [f"kind: {kind}"]
    if any(part == "time" for part in chosen.values()):
        column = next(column for column, part in chosen.items() if part == "time")
        if not _is_zoned(rows, column):
            lines.append("zone: UTC  # the zone of times without one")
    else:
        lines.append("# no column looks like a time: pass --at TIME, or map one to time")
    lines.append("map:")
    for column in columns:
        target = chosen.get(column) or _FIELDS.get(plain[column])
        if target is None:
            lines.append(f"  # {_quote(column)}: {snake_case(column) or 'field'}")
            continue
        type_name = None if column in chosen else _type(rows, column, target)
        value = target if type_name is None else f"{{field: {target}, type: {type_name}}}"
        lines.append(f"  {_quote(column)}: {value}")
    return lines


def _is_zoned(rows: list[Mapping[str, Any]], column: str) -> bool:
    for row in rows:
        value = Record(row).find(column)
        if value is None:
            continue
        try:
            return read_moment(value, order="mdy").zoned
        except ValueError:
            return False
    return True


def _type(rows: list[Mapping[str, Any]], column: str, target: str) -> str | None:
    """Return the type that a mapping must name for a column; None if the field's own type will do."""
    values = [row[column] for row in rows if column in row and not is_blank(row[column])]
    if target in ("employees", "round", "revenue_usd", "amount", "amount_usd") or not values:
        return None
    if target == "technologies":
        return "texts"
    for name, read in (("number", read_number), ("count", read_count), ("money", read_money_range)):
        try:
            for value in values:
                read(value)
        except ValueError:
            continue
        return name
    return None


def _quote(column: str) -> str:
    if (
        column
        and all(one.isalnum() or one in " _-./" for one in column)
        and column[0].isalpha()
        and column == column.strip()
    ):
        return column
    return '"' + column.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
