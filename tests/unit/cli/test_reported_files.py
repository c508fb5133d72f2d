"""Files that other tools were reported to stumble over: what the commands alone make of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from resegment.cli import build

SEGMENTS = """
version: 1
attributes: {naics: text}
segments:
  - {name: code, when: {naics: "541512"}, play: talk, route: {workflow: code}}
  - {name: big, when: {employees: {gte: 50}}, play: talk, route: {workflow: big}}
  - {name: named, when: {industry: {exists: true}}, play: talk, route: {workflow: named}}
fallback: {name: rest, play: talk, route: {workflow: nurture}}
plays:
  talk: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}
"""
HEAD = "id,source,type,subject,time,data.employees,data.naics,data.industry\n"


def row(number: int, account: str, cells: str, time: str = "2026-01-01T00:00:00Z") -> str:
    return f"{number},/x,gtm.firmographic.v1,{account},{time},{cells}\n"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(), list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "s.yaml").write_text(SEGMENTS)
    return tmp_path


def standing(place: Path, content: str | bytes, name: str = "a.csv") -> tuple[dict[str, str], str]:
    """Return the segment of each account after a backtest of a file, and what was said on standard error."""
    file = place / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    code, output, error = run(
        "backtest",
        "-s",
        str(place / "s.yaml"),
        "-e",
        str(file),
        "--accounts",
        "--until",
        "2026-06-01",
        "--json",
    )
    assert code == 0, error
    return {one["account"]: one["segment"] for one in map(json.loads, output.splitlines())}, error


def data(place: Path, content: str | bytes, *options: str, name: str = "a.csv") -> list[dict[str, Any]]:
    file = place / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    code, output, error = run("sources", "convert", "events", str(file), *options)
    assert code == 0, error
    return [json.loads(line)["data"] for line in output.splitlines()]


def test_the_same_id_with_other_data_is_counted_and_warned_of(place: Path) -> None:
    nightly = HEAD + row(1, "a.com", "10,,") + row(1, "a.com", "60,,", "2026-02-01T00:00:00Z")
    found, said = standing(place, nightly)
    assert found == {"a.com": "rest"}
    assert "record" in said
    assert "1" in said


def test_a_null_clears_a_value_and_an_empty_cell_is_absent(place: Path) -> None:
    rows = HEAD + row(1, "a.com", "60,,") + row(2, "a.com", ",,x", "2026-02-01T00:00:00Z")
    assert standing(place, rows)[0] == {"a.com": "big"}
    assert data(place, rows, "--empty-clears")[1]["employees"] is None
    empty = json.dumps(
        {
            "specversion": "1.0", "id": "1", "source": "/x", "type": "gtm.firmographic.v1", "subject": "a.com", "time": "2026-01-01T00:00:00Z",
            "data": {"industry": "", "employees": 5},
        }
    )  # fmt: skip
    assert standing(place, empty + "\n", "d.jsonl")[0] == {"a.com": "rest"}


def test_digits_of_your_own_columns_stay_text(place: Path) -> None:
    rows = HEAD + row(1, "a.com", ",541512,") + row(2, "b.com", ",054151,") + row(3, "c.com", ",12E5,")
    assert [one["naics"] for one in data(place, rows)] == ["541512", "054151", "12E5"]
    assert standing(place, rows)[0] == {"a.com": "code", "b.com": "rest", "c.com": "rest"}


def test_ranges_and_grouped_numbers_are_read_and_a_wrong_cell_costs_only_itself(place: Path) -> None:
    rows = (
        HEAD
        + row(1, "a.com", "51-200,,saas")
        + row(2, "b.com", '"1,200",,saas')
        + row(3, "c.com", "many,,saas")
    )
    assert [one.get("employees") for one in data(place, rows)] == ["51-200", 1200, None]
    assert standing(place, HEAD + row(1, "a.com", "51-200,,") + row(2, "b.com", "10-60,,"))[0] == {
        "a.com": "big",
        "b.com": "rest",
    }


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01",
        "2026-01-01 10:00:00",
        "1767225600000",
        "2026-01-01 10:00:00+00",
        "2026-01-01T10:00:00+0000",
    ],
)
def test_times_of_exports_are_read(place: Path, time: str) -> None:
    assert len(data(place, HEAD + row(1, "a.com", "60,,", time), "--zone", "UTC")) == 1


def test_columns_of_another_tool_are_read_by_a_mapping_that_guess_prints(place: Path) -> None:
    file = place / "leads.csv"
    file.write_text("Account Name,Domain,Staff,Updated\nAcme,acme.com,60,2026-01-01\n")
    code, mapping, _ = run("sources", "guess", str(file))
    assert code == 0
    (place / "map.yaml").write_text(mapping)
    code, output, error = run(
        "sources", "convert", "csv", str(file), "--map", str(place / "map.yaml"), "--zone", "UTC"
    )
    assert code == 0, error
    assert json.loads(output)["subject"] == "acme.com"


@pytest.mark.parametrize("change", [
    lambda text: text.replace(",", ";").encode(), lambda text: text.replace(",", "\t").encode("utf-16"), lambda text: text.replace("\n", "\r").encode(),
    lambda text: b"\xef\xbb\xbf" + text.encode(), lambda text: gzip.compress(text.encode(), mtime=0),
])  # fmt: skip
def test_encodings_delimiters_and_line_ends_do_not_matter(place: Path, change: Any) -> None:
    assert data(place, change(HEAD + row(1, "a.com", "60,,saas")))[0] == {"employees": 60, "industry": "saas"}


def test_text_of_parquet_in_bytes_is_text_and_a_number_that_is_none_is_absent(place: Path) -> None:
    file = place / "p.parquet"
    pl.DataFrame(
        {
            "id": ["1", "2"], "source": ["/x"] * 2, "type": ["gtm.firmographic.v1"] * 2, "subject": ["a.com"] * 2,
            "time": ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"], "data.industry": [b"saas", b"saas"], "data.employees": [60.0, float("nan")],
        }
    ).write_parquet(file)  # fmt: skip
    assert standing(place, file.read_bytes(), "p.parquet")[0] == {"a.com": "big"}
