"""What a mapping file says, and how its errors are located."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.errors import RefusedEvent
from resegment.schemas.times import format_instant
from resegment.sources.adapters.mapping import WrongMapping, build_adapter, read_mapping
from resegment.sources.adapters.port import Context
from resegment.sources.conversion import Source, convert_files
from resegment.sources.registry import find_adapter
from tests.unit.sources.adapting import Converted, sort_out

MAPPING = """
kind: firmographic
zone: Europe/Berlin
dates: dmy
map:
  Nr: id
  Firma Web: subject
  Stand: time
  Mitarbeiter: employees
  Umsatz: {field: revenue_usd, type: money}
  Tools: {field: technologies, split: "/"}
  Status: {field: status, values: {Aktiv: active, 1: paused}, other: unknown}
  NAICS: naics
constants: {list: partners}
"""
ROW = {"Nr": "7", "Firma Web": "www.acme.com", "Stand": "03.04.2026 10:00", "Mitarbeiter": "1,200", "Umsatz": "$1.5M", "Tools": "HubSpot/Slack", "Status": "aktiv", "NAICS": "054151"}  # fmt: skip


def convert(text: str, payload: Any, base: str | None = None, **context: Any) -> Converted:
    mapped = read_mapping(text.encode(), "map.yaml")
    adapter = build_adapter(mapped, None if base is None else find_adapter(base))
    return sort_out(adapter.convert(payload, mapped.apply(Context(**context))))


def errors(text: str) -> str:
    with pytest.raises(WrongMapping) as error:
        read_mapping(text.encode(), "map.yaml")
    return str(error.value)


def test_columns_become_fields_with_types_zones_values_and_constants() -> None:
    fact = convert(MAPPING, ROW).only()
    assert fact.account == "acme.com"
    assert fact.data == {
        "list": "partners",
        "employees": 1200,
        "revenue_usd": 1500000,
        "technologies": ["hubspot", "slack"],
        "status": "active",
        "naics": "054151",
    }
    assert format_instant(fact.time) == "2026-04-03T08:00:00Z"
    assert fact.record == "7:2026-04-03T08:00:00Z"


def test_a_wrong_cell_costs_itself_and_a_wrong_time_its_row() -> None:
    found = convert(MAPPING, [{**ROW, "Mitarbeiter": "viele"}, {**ROW, "Stand": "gestern"}])
    assert "employees" not in found.only().data
    assert found.remarks == [("wrong-cell", "Mitarbeiter")]
    assert found.refused == [("wrong-time", "Stand")]


@pytest.mark.parametrize(
    ("text", "row", "field", "words"),
    [
        (MAPPING, {**ROW, "Stand": ""}, "Stand", "(looked for Stand)"),
        ("kind: firmographic\nmap: {Web: subject, Staff: employees}", {"Web": "acme.com", "Staff": 5}, "time", "when it was so: pass --at"),
    ],
)  # fmt: skip
def test_a_row_without_a_time_names_only_columns_of_the_mapping(
    text: str, row: dict[str, Any], field: str, words: str
) -> None:
    adapter = build_adapter(read_mapping(text.encode(), "map.yaml"), None)
    (refused,) = (one for one in adapter.convert(row, Context()) if isinstance(one, RefusedEvent))
    assert (refused.reason, refused.field) == ("no-time", field)
    assert words in str(refused)
    assert "__" not in str(refused)


def test_an_empty_cell_is_absent_or_clears_the_attribute() -> None:
    row = {**ROW, "Mitarbeiter": ""}
    assert "employees" not in convert(MAPPING, row).only().data
    assert convert(MAPPING + "empty: null\n", row).only().data["employees"] is None


def test_rows_without_an_id_have_one_from_what_they_say() -> None:
    text = "kind: strategy\nmap: {domain: subject, date: time, quote: statement}\n"
    rows = [{"domain": "acme.com", "date": "2026-01-01", "quote": one} for one in ("a", "b", "a")]
    ids = [one.record for one in convert(text, rows).facts]
    assert ids[0] == ids[2] != ids[1]


def test_a_column_may_have_the_kind_and_another_the_operation() -> None:
    text = "map: {what: {field: kind, values: {round: funding}}, web: subject, at: time, nr: record, gone: op, type: round}\n"
    rows = [
        {"what": "round", "web": "acme.com", "at": "2026-01-01", "nr": 1, "type": "Seed"},
        {"what": "gtm.funding.v1", "web": "acme.com", "at": "2026-01-02", "nr": 1, "gone": True},
        {"what": "party", "web": "acme.com", "at": "2026-01-02", "nr": 2},
    ]
    found = convert(text, rows)
    assert [(one.kind, one.op, one.record) for one in found.facts] == [
        ("funding", "assert", "1"),
        ("funding", "retract", "1"),
    ]
    assert found.facts[0].data["round"] == "seed"
    assert found.refused == [("unknown-kind", "what")]


def test_one_column_may_give_several_parts_and_several_columns_one() -> None:
    text = "kind: engagement\nmap: {mail: [subject, person], at: time, n: id, page: url, link: url}\nconstants: {action: page_view}\n"
    fact = convert(
        text, {"mail": "jo@acme.com", "at": "2026-01-01", "n": 1, "page": "", "link": "https://x"}
    ).only()
    assert (fact.account, fact.data["person"], fact.data["url"]) == ("acme.com", "jo@acme.com", "https://x")


def test_a_mapping_adds_columns_to_an_adapter() -> None:
    text = "map: {ICP Tier: tier, Team Size: {field: employees, type: count}}\n"
    text = f"kind: firmographic\n{text}"
    row = {
        "Record ID": "1",
        "Company Domain Name": "acme.com",
        "Last Modified Date": "2026-01-01",
        "ICP Tier": "A",
        "Team Size": "11-50",
        "Industry": "Retail",
    }
    fact = convert(text, row, base="hubspot").only()
    assert fact.source == "/hubspot"
    assert fact.data["tier"] == "A"
    assert (fact.data["employees_min"], fact.data["industry"]) == (11, "Retail")


def test_a_mapping_says_what_the_rows_of_a_change_stream_are() -> None:
    text = "kind: tech\nmap: {id: record, site: subject, tool: technology}\nconstants: {change: added}\n"
    changes = [
        {
            "op": "c",
            "before": None,
            "after": {"id": 5, "site": "acme.com", "tool": "Slack"},
            "ts_ms": 1767225600000,
        },
        {"op": "d", "before": {"id": 5, "site": "acme.com"}, "after": None, "ts_ms": 1767312000000},
    ]
    made, gone = convert(text, changes, base="debezium").facts
    assert (made.op, made.data["technology"], gone.op) == ("assert", "slack", "retract")
    assert made.record == gone.record
    assert gone.recorded > made.recorded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "kind: firmographic\nmap:\n  A: {field: employees, type: mony}\n",
            ["map.yaml:3:", "did you mean money?"],
        ),
        ("kind: firmografic\nmap: {A: subject}\n", ["map.yaml:1:", "did you mean firmographic?"]),
        (
            "kind: funding\nmpa: {A: subject}\n",
            ["map.yaml:2:1", "did you mean map?", "no columns are mapped"],
        ),
        ("map: {A: subject}\n", ["kind is missing"]),
        ("kind: funding\nzone: Mars/Base\nmap: {A: subject}\n", ["map.yaml:2:", "is no time zone"]),
        ("kind: funding\nmap:\n  A: 5\n", ["map.yaml:3:", "expected the name of a field"]),
        ("kind: funding\nmap: {A: {field: round, values: 3}}\n", ["values is a map"]),
        ("- a\n", ["a mapping file is a map"]),
        ("kind: [\n", ["map.yaml"]),
        ("kind: funding\ndates: ymd\nmap: {A: subject}\n", ["map.yaml:2:", "did you mean mdy?"]),
    ],
)
def test_an_error_says_where_and_what_was_meant(text: str, words: list[str]) -> None:
    message = errors(text)
    for word in words:
        assert word in message


def test_all_errors_of_a_file_are_told_at_once() -> None:
    assert (
        errors("kind: fundin\nzone: Mars\ndates: ymd\nmap: {A: {field: x, type: y}}\n").count("error:") == 4
    )


@given(
    st.text(max_size=80)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(
                    ["map", "kind", "zone", "A", "field", "type", "values", "constants", "id", "split"]
                ),
                inner,
                max_size=4,
            )
            | st.lists(inner, max_size=2)
        ),
        max_leaves=10,
    ).map(json.dumps)
)
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_mapping_or_an_error(text: str) -> None:
    try:
        mapped = read_mapping(text.encode("utf-8", "surrogatepass"), "map.yaml")
    except WrongMapping:
        return
    list(build_adapter(mapped).convert(ROW))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet", "csv.gz"])
def test_the_same_rows_in_any_file_give_the_same_events(tmp_path: Path, suffix: str) -> None:
    rows = [ROW, {**ROW, "Nr": "8"}]
    table = pl.DataFrame(rows)
    file = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        table.write_parquet(file)
    elif suffix == "json":
        file.write_text(json.dumps(rows, indent=1))
    elif suffix == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        text = table.write_csv(separator="\t" if suffix == "tsv" else ",").encode()
        file.write_bytes(gzip.compress(text) if suffix == "csv.gz" else text)
    mapped = read_mapping(MAPPING.encode(), "map.yaml")
    source = Source(build_adapter(mapped), mapped.apply(Context()))
    found = sort_out(item for _, _, item in convert_files([str(file)], source))
    assert found.facts == convert(MAPPING, rows).facts


def test_keys_that_nothing_reads_and_other_wrong_values_are_errors_at_once() -> None:
    text = "kind: firmographic\nsnapshot: maybe\ntext: [NAICS]\nmap: {Web: subject}\n"
    found = errors(text)
    assert "map.yaml:2:11: error: snapshot: snapshot is true or false" in found
    assert "map.yaml:3:1: error: text: 'text' is no known key" in found
