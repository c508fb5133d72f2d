"""Guess which adapter fits a file, and write a mapping file to edit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.identity.domains import registrable_domain
from resegment.sources.adapters.dates import Order, read_moment
from resegment.sources.adapters.port import Adapter, Context
from resegment.sources.adapters.records import Record, is_blank, normalize_name
from resegment.sources.adapters.splitting import merge_attributes
from resegment.sources.adapters.tables import snake_case
from resegment.sources.adapters.values import read_count, read_money_range, read_number
from resegment.sources.files.located import WrongFile
from resegment.sources.files.payloads import read_payloads
from resegment.sources.registry import all_adapters

SAMPLE: Final = 25
ENOUGH: Final = 0.4
"""The share of records and columns that an adapter must know."""
FEW: Final = 5
NEARLY_ALL: Final = 0.9
"""The same share of a file with few columns, which may be anything."""
_LEADING: Final = re.compile(r"\s*(\d{1,2})[-/]")
_DATED: Final = re.compile(r"\d[-/.]\d+[-/.]\d|[a-z]{3}", re.IGNORECASE)
_SOMETIME: Final = 1_700_000_000_000
_SUBJECTS: Final = (
    *("subject", "domain", "companydomain", "companydomainname", "website", "companywebsite", "organizationwebsite", "url", "homepageurl"),
    *("email", "workemail", "recipient", "account"),
)  # fmt: skip
_TIMES: Final = (
    *("time", "timestamp", "date", "occurredat", "announceddate", "announcedon", "startdate", "lastmodifieddate", "updatedat"),
    *("lastupdate", "lastupdated", "lastmodified", "updatedon", "modifiedat", "modifiedon", "modifieddate"),
    *("createdat", "createdate", "receivedat", "seenat", "updated", "modified", "lastchanged", "created", "lastactivitydate"),
)  # fmt: skip
_IDS: Final = (
    "id",
    "recordid",
    "recordno",
    "recordnumber",
    "uuid",
    "messageid",
    "eventid",
    "transactionnameurl",
)
_KINDS: Final = (
    ("funding", {"round", "fundingtype", "moneyraised", "investmenttype", "fundingroundtype"}),
    ("intent", {"topic", "topicname", "compositescore", "signalscore", "intentscore"}),
    ("leadership", {"jobtitle", "newtitle", "fullname", "personname"}),
    ("tech", {"technology", "technologyname"}),
    ("strategy", {"quote", "statement"}),
    ("hiring", {"jobposting", "joburl", "joblocation"}),
    ("engagement", {"event", "pageurl", "url", "contextpageurl"}),
)
_BOARD_MARKS: Final = {
    "ashby": frozenset({"joburl", "islisted", "publishedat"}),
    "greenhouse": frozenset({"internaljobid", "firstpublished"}),
    "lever": frozenset({"hostedurl"}),
    "smartrecruiters": frozenset({"releaseddate", "refnumber"}),
    "workable": frozenset({"shortcode", "telecommuting"}),
}
"""Fields that only jobs of that board have."""
_FIELDS: Final = {
    "name": "name", "accountname": "name", "companyname": "name", "organizationname": "name", "industry": "industry", "employees": "employees",
    "numberofemployees": "employees", "headcount": "employees", "employeecount": "employees", "companysize": "employees", "staff": "employees",
    "annualrevenue": "revenue_usd", "revenue": "revenue_usd", "country": "country", "countryregion": "country", "region": "region",
    "technologies": "technologies", "webtechnologies": "technologies", "fundingtype": "round", "investmenttype": "round",
    "moneyraised": "amount", "moneyraisedcurrencyinusd": "amount_usd", "topicname": "topic", "topic": "topic", "compositescore": "score",
    "score": "score", "quote": "statement", "statement": "statement", "jobtitle": "title", "title": "title", "fullname": "person",
    "event": "action", "pageurl": "url", "url": "url", "contextpageurl": "url", "technology": "technology", "location": "location",
}  # fmt: skip


def guess_file(path: str) -> str:
    """Return a mapping file for a file, with the adapter that fits best in a comment. Raises WrongFile."""
    payloads = read_payloads(path)
    sample = [one.value for one in islice(payloads.rows, SAMPLE) if one.refused is None]
    if not any(_columns(sample)):
        raise WrongFile(
            path, "the file has no record to guess from", remedy="Give a file with a header and some rows."
        )
    best, share = find_best(sample)
    lines = []
    if best is not None:
        lines.append(f"# The adapter {best.name} fits: it knows {share:.0%} of the columns.")
        lines.append(f"#   resegment sources convert {best.name} {path}")
        if best.snapshots is not None:
            return "\n".join(
                [*lines, "# It needs no mapping. --domains FILE gives the domain of each board.", ""]
            )
        lines.append("# To read other columns too, edit this mapping and pass it with --map.")
    else:
        lines.append("# No adapter fits. Edit this mapping, then:")
        lines.append(f"#   resegment sources convert csv {path} --map map.yaml")
    rows = [one for value in sample for one in _objects(value)]
    return "\n".join([*lines, *_mapping(rows), ""])


def find_best(sample: list[Any]) -> tuple[Adapter | None, float]:
    """Return the adapter that knows most of the records and of their columns, and the share of columns; None if none fits."""
    best: tuple[float, Adapter] | None = None
    columns = _columns(sample)
    for adapter in all_adapters():
        if adapter.unwrap is not None:
            score = 1.0 if any(_envelope_of(value) == adapter.name for value in sample) else 0.0
        elif adapter.name == "rudderstack" and "rudderid" not in columns:
            continue  # the same calls as Segment's
        else:
            score = _share(adapter, sample) * _coverage(adapter, columns)
        if score >= (ENOUGH if len(columns) > FEW else NEARLY_ALL) and (best is None or score > best[0]):
            best = (score, adapter)
    return (None, 0.0) if best is None else (best[1], best[0])


def find_unknown(path: str, adapter: Adapter) -> list[str]:
    """Return the fields of the first records of a file that the adapter neither maps nor ignores. Raises WrongFile."""
    if adapter.snapshots is not None:
        return []
    sample = [one.value for one in islice(read_payloads(path).rows, SAMPLE) if one.refused is None]
    known = frozenset().union(*(table.taken() for table in adapter.tables))
    return sorted(_columns(sample) - known)


def _share(adapter: Adapter, sample: list[Any]) -> float:
    """Return the share of records that the adapter knows, whether or not they give an event."""
    known = records = 0
    for value in sample:
        for item in adapter.convert(value, Context(at=_SOMETIME)):
            if isinstance(item, dict | RefusedEvent):
                records += 1
                known += isinstance(item, dict) or item.reason not in (
                    "no-record",
                    "unknown-type",
                    "wrong-payload",
                )
    return known / records if records else 0.0


def _coverage(adapter: Adapter, columns: frozenset[str]) -> float:
    if adapter.snapshots is not None:
        return 1.0 if columns & _BOARD_MARKS[adapter.name] else 0.0
    known = frozenset().union(*(table.taken() for table in adapter.tables))
    return len(columns & known) / len(columns) if columns else 0.0


def _columns(sample: list[Any]) -> frozenset[str]:
    rows = [merge_attributes(one, "properties", "attributes") for value in sample for one in _objects(value)]
    return frozenset(
        normalize_name(str(name).lower().removeprefix("property_")) for row in rows for name in row
    )


def _envelope_of(value: Any) -> str | None:
    """Return the adapter of an envelope around a row: of Kafka Connect, Debezium or Singer."""
    if isinstance(value, list):
        return next((name for one in value[:3] if (name := _envelope_of(one))), None)
    if not isinstance(value, Mapping):
        return None
    if value.get("type") in ("RECORD", "SCHEMA", "STATE"):
        return "singer"
    inner = value["payload"] if {"schema", "payload"} == value.keys() else value
    if isinstance(inner, Mapping) and "op" in inner and ("after" in inner or "before" in inner):
        return "debezium"
    if inner is not value:
        return "kafka-connect"
    return "debezium" if {"__op", "__deleted"} & value.keys() else None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if len(value) > 1 and all(isinstance(one, Mapping) for one in value.values()):
            return [inner for one in value.values() for inner in _objects(one)]
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
        named = [column for word in words for column in columns if plain[column] == word]
        reads = _LOOKS.get(part)
        if reads is None:
            found = next(iter(named), None)
        else:  # a column that is named so and reads so, or one that reads so, or one that is named so
            fitting = (
                column for column in (*named, *columns) if column not in chosen and _fits(rows, column, reads)
            )
            found = next(fitting, next(iter(named), None))
        if found is not None and found not in chosen:
            chosen[found] = part
    lines = [f"kind: {kind}"]
    if any(part == "time" for part in chosen.values()):
        column = next(column for column, part in chosen.items() if part == "time")
        if not _is_zoned(rows, column):
            lines.append("zone: UTC  # the zone of times without one")
        order = _order_of(rows, column)
        if order is not None:
            lines.append(f"dates: {order}  # what comes first in 03/04/2026: mdy or dmy")
    else:
        lines.append("# no column looks like a time: pass --at TIME, or map one to time")
    if kind in ("leadership", "hiring", "tech"):
        word = {"leadership": "joined", "hiring": "opened", "tech": "added"}[kind]
        lines.append(f"constants: {{change: {word}}}")
    lines.append("map:")
    for column in columns:
        target = chosen.get(column) or _FIELDS.get(plain[column])
        if target is None:
            lines.append(f"  # {_quote(column)}: {snake_case(column) or 'field'}")
            continue
        type_name = None if column in chosen else _type(rows, column, target, kind)
        value = target if type_name is None else f"{{field: {target}, type: {type_name}}}"
        lines.append(f"  {_quote(column)}: {value}")
    return lines


def _fits(rows: list[Mapping[str, Any]], column: str, reads: Callable[[str], object]) -> bool:
    """Whether most texts of a column can be read so."""
    values = [value for row in rows if not is_blank(value := row.get(column))]
    right = 0
    for value in values:
        if isinstance(value, str):
            with suppress(ValueError, RefusedEvent):
                reads(value)
                right += 1
    return right * 2 > len(values)


def _read_day(text: str) -> None:
    """Read a date that no number could be. Raises ValueError."""
    if not _DATED.search(text):
        raise ValueError("no date")
    read_moment(text, order="mdy")


_LOOKS: Final[dict[str, Callable[[str], object]]] = {"subject": registrable_domain, "time": _read_day}


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


def _order_of(rows: list[Mapping[str, Any]], column: str) -> Order | None:
    """Return what comes first in the dates of a column; None if each date reads the same either way."""
    values = [value for row in rows if (value := Record(row).find(column)) is not None]
    if not any(_is_ambiguous(value) for value in values):
        return None
    leading = [int(found[1]) for value in values if (found := _LEADING.match(str(value)))]
    return "dmy" if any(number > 12 for number in leading) else "mdy"


def _is_ambiguous(value: Any) -> bool:
    try:
        return read_moment(value, order="mdy") != read_moment(value, order="dmy")
    except ValueError:
        return False


def _type(rows: list[Mapping[str, Any]], column: str, target: str, kind: str) -> str | None:
    """Return the type that a mapping must name for a column; None if the field's own type will do."""
    values = [row[column] for row in rows if column in row and not is_blank(row[column])]
    if target in ("employees", "round", "revenue_usd", "amount", "amount_usd") or not values:
        return None
    if target == "title" and kind in ("leadership", "hiring"):
        return "leader" if kind == "leadership" else "job"
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
