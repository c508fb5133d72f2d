"""How files of any format, encoding and layout are read as payloads."""

from __future__ import annotations

import gzip
import json
import lzma
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.sources.files.located import MissingFile, WrongFile
from resegment.sources.files.payloads import read_payloads

TEXT = "Name,City\nMüller,Köln\nDupont,Orléans\n"
ROWS = [{"Name": "Müller", "City": "Köln"}, {"Name": "Dupont", "City": "Orléans"}]


def read(path: Path, content: bytes, **more: Any) -> list[Any]:
    path.write_bytes(content)
    return [
        row.value if row.refused is None else row.refused.reason
        for row in read_payloads(str(path), **more).rows
    ]


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("cp1252"),
        TEXT.replace("\n", "\r").encode("mac-roman"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", "|").encode(),
        ("sep=;\n" + TEXT.replace(",", ";")).encode(),
        b"\n\n" + TEXT.encode(),
        gzip.compress(TEXT.encode(), mtime=0),
        lzma.compress(TEXT.encode()),
    ],
)  # fmt: skip
def test_a_table_is_read_whatever_its_encoding_line_ends_and_delimiter(
    tmp_path: Path, content: bytes
) -> None:
    assert read(tmp_path / "a.csv", content) == ROWS


def test_another_encoding_can_be_given(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", TEXT.encode("cp850"), encoding="cp850") == ROWS
    with pytest.raises(WrongFile, match="not text in nosuch"):
        read(tmp_path / "a.csv", b"a", encoding="nosuch")


def test_a_broken_row_costs_only_itself(tmp_path: Path) -> None:
    content = b'a,b\n1,2\n"x" y,3\n4,5,6\n7\n8,9\n'
    assert read(tmp_path / "a.csv", content) == [
        {"a": "1", "b": "2"}, "wrong-row", "wrong-row", {"a": "7"}, {"a": "8", "b": "9"},
    ]  # fmt: skip


def test_a_cell_of_more_than_128_kb_is_read(tmp_path: Path) -> None:
    big = "x" * 200_000
    assert read(tmp_path / "a.csv", f"a,b\n{big},1\n".encode()) == [{"a": big, "b": "1"}]


OBJECTS = [{"a": 1, "b": {"c": [1, 2]}}, {"a": 2}]


@pytest.mark.parametrize(
    "content",
    [
        "".join(json.dumps(one) + "\n" for one in OBJECTS),
        "\n" + "".join(json.dumps(one) + "\n\n" for one in OBJECTS),
        "".join(json.dumps(one, indent=2) + "\n" for one in OBJECTS),
        "\ufeff" + "".join(json.dumps(one) + "\r\n" for one in OBJECTS),
    ],
)
def test_objects_are_read_in_any_layout(tmp_path: Path, content: str) -> None:
    assert read(tmp_path / "a.json", content.encode()) == OBJECTS


@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_is_one_payload(tmp_path: Path, indent: int | None) -> None:
    assert read(tmp_path / "a.json", json.dumps(OBJECTS, indent=indent).encode()) == [OBJECTS]
    assert read(tmp_path / "a.json", json.dumps(OBJECTS[0], indent=indent).encode()) == [OBJECTS[0]]


def test_a_broken_line_of_json_costs_only_itself(tmp_path: Path) -> None:
    assert read(tmp_path / "a.jsonl", b'{"a": 1}\n{"a": \n{"a": 2}\n') == [{"a": 1}, "not-json", {"a": 2}]


def test_parquet_has_text_for_bytes_and_nothing_for_nan(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pl.DataFrame(
        {"a": [b"saas", b"x"], "n": [60.0, float("nan")], "t": [datetime(2026, 1, 1, tzinfo=UTC), None]}
    ).write_parquet(file)
    assert [row.value for row in read_payloads(str(file)).rows] == [
        {"a": "saas", "n": 60.0, "t": "2026-01-01T00:00:00+00:00"}, {"a": "x"},
    ]  # fmt: skip


def test_xml_is_objects_and_entities_are_refused(tmp_path: Path) -> None:
    assert read(
        tmp_path / "a.xml", b"<?xml version='1.0'?>\n<r xmlns='urn:x'><a>1</a><b><c>2</c></b><a>3</a></r>"
    ) == [{"r": {"a": ["1", "3"], "b": {"c": "2"}}}]
    assert read(tmp_path / "a.xml", b"<!DOCTYPE r [<!ENTITY x 'y'>]><r>&x;</r>") == ["not-xml"]
    assert read(tmp_path / "a.xml", b"<r><a></r>") == ["not-xml"]


@pytest.mark.parametrize(
    ("content", "words"), [(b"PK\x03\x04x", "Excel"), (b"\x1f\x8bx", "broken"), (b"PAR1", "not Parquet")]
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(WrongFile, match=words):
        read(tmp_path / "a.csv", content)


def test_a_missing_file_is_told() -> None:
    with pytest.raises(MissingFile):
        read_payloads("/nowhere/a.csv")


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\n a1<>/;\t\r', max_size=60).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_payloads_or_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(content)
    try:
        for row in read_payloads(str(file)).rows:
            assert row.line >= 1
    except WrongFile:
        return
