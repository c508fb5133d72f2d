"""What is read from files of events, and how what cannot be used is told."""

import gzip
import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.schemas.fact import Fact
from resegment.sources.files.located import MissingFile, WrongFile
from resegment.sources.files.reader import Refusals, UnknownFormat, decode_events, read_events

EXAMPLES = Path(__file__).parents[3] / "examples"
HEAD = "id,source,type,subject,time,data.name\n"


def event(number: int = 1, kind: str = "hiring", **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/test",
        "type": f"gtm.{kind}.v1",
        "subject": "https://www.Acme.com/about",
        "time": "2026-01-02T00:00:00Z",
        "data": data or {"function": "sales"},
    }


def lines(*events: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


def facts(path: Path | str, form: str | None = None) -> tuple[list[Fact], Refusals]:
    refusals = Refusals()
    return list(decode_events(read_events(str(path), form), refusals)), refusals


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "A.JSONL"])
def test_json_lines_are_known_by_their_suffix(tmp_path: Path, name: str) -> None:
    found, refusals = facts(write(tmp_path / name, lines(event(1), event(2))))
    assert [(one.id, one.account) for one in found] == [("e1", "acme.com"), ("e2", "acme.com")]
    assert not refusals.total


def test_gzipped_lines_give_the_same_facts_as_plain_ones(tmp_path: Path) -> None:
    plain = lines(event(1), event(2))
    packed = write(tmp_path / "a.jsonl.gz", gzip.compress(plain, mtime=0))
    assert facts(packed)[0] == facts(write(tmp_path / "a.jsonl", plain))[0]


def test_standard_input_is_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines(event(1)))))
    assert [one.id for one in facts("-")[0]] == ["e1"]


def test_a_byte_order_mark_and_blank_lines_are_no_events(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + lines(event(1)) + b"\n  \n" + lines(event(2))
    found, refusals = facts(write(tmp_path / "a.jsonl", content))
    assert len(found) == 2
    assert not refusals.total


def test_a_refused_event_is_told_with_file_line_and_reason(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", lines(event(1)) + b"\n{broken\n" + lines(event(3, remote="yes")))
    found, refusals = facts(file)
    assert [one.id for one in found] == ["e1"]
    assert dict(refusals.counts) == {"not-json": 1, "wrong-type": 1}
    first, second = map(str, refusals.examples)
    assert first.startswith(f"{file}:3: not-json: ")
    assert second.startswith(f"{file}:4: wrong-type: data.remote: ")


def test_many_refused_events_are_all_counted_and_few_are_kept(tmp_path: Path) -> None:
    _, refusals = facts(write(tmp_path / "a.jsonl", b"no json\n" * 500))
    assert refusals.total == 500
    assert len(refusals.examples) == 10


def test_a_csv_row_is_an_event_whose_cells_take_the_types_of_the_contract(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv",
        "id,source,type,subject,time,data.employees,data.industry,data.technologies,data.active,data.zip\n"
        '1,/crm,gtm.firmographic.v1,acme.com,2026-01-02T00:00:00Z,250,12,"hubspot; snowflake",true,01234\n'
        "2,/crm,gtm.firmographic.v1,acme.com,2026-01-03T00:00:00Z,,,,,\n"
        '3,/crm,gtm.firmographic.v1,acme.com,2026-01-04T00:00:00Z,1.5,,"[""dbt""]",,\n',
    )
    found, refusals = facts(file)
    assert found[0].data == {
        "employees": 250,
        "industry": "12",
        "technologies": ["hubspot", "snowflake"],
        "active": "true",
        "zip": "01234",
    }
    assert found[1].data == {"employees": 1.5, "technologies": ["dbt"]}
    assert [str(one) for one in refusals.examples] == [
        f"{file}:3: wrong-type: data: an event that asserts a fact needs data"
    ]


def test_csv_cells_of_your_own_attributes_take_the_types_of_the_segments_file(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv",
        "id,source,type,subject,time,data.seats,data.regions,data.plan\n"
        "1,/crm,gtm.firmographic.v1,acme.com,2026-01-02T00:00:00Z,12,eu; us,7\n"
        "2,/crm,gtm.hiring.v1,acme.com,2026-01-02T00:00:00Z,12,eu; us,7\n",
    )

    events = read_events(str(file), types={"seats": "number", "regions": "collection"})
    typed, other = decode_events(events, Refusals())

    assert typed.data == {"seats": 12, "regions": ["eu", "us"], "plan": "7"}
    assert other.data == {"seats": "12", "regions": "eu; us", "plan": "7"}


def test_a_csv_column_of_json_holds_the_whole_data(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv",
        "id,source,type,subject,time,op,recordedtime,data\n"
        '1,/crm,gtm.firmographic.v1,acme.com,2026-01-02T00:00:00Z,,2026-01-05T00:00:00Z,"{""industry"": null}"\n'
        "1b,/crm,gtm.firmographic.v1,acme.com,2026-01-02T00:00:00Z,retract,,\n"
        "2,/crm,gtm.firmographic.v1,acme.com,2026-01-02T00:00:00Z,,,{broken\n",
    )
    found, refusals = facts(file)
    assert found[0].data == {"industry": None}
    assert found[0].recorded - found[0].time == 3 * 86_400_000
    assert found[1].op == "retract"
    assert [(one.line, one.field) for one in refusals.examples] == [(4, "data")]


def test_a_csv_row_is_told_by_the_line_on_which_it_begins(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv",
        "id,source,type,subject,time,data.statement\n"
        '1,/x,gtm.strategy.v1,acme.com,2026-01-02T00:00:00Z,"two\nlines"\n'
        "2,/x,gtm.strategy.v1,acme.com,yesterday,words\n"
        "3,/x,gtm.strategy.v1,acme.com,2026-01-02T00:00:00Z,words,more\n",
    )
    found, refusals = facts(file)
    assert found[0].data == {"statement": "two\nlines"}
    assert [(one.line, one.reason) for one in refusals.examples] == [(4, "wrong-envelope"), (5, "wrong-row")]


def test_a_number_that_is_none_is_refused_and_not_guessed(tmp_path: Path) -> None:
    head = "id,source,type,subject,time,data.employees\n"
    row = "1,/x,gtm.firmographic.v1,acme.com,2026-01-02T00:00:00Z,{}\n"
    for cell in ("nan", "about 50", "0x10", "1_000"):
        _, refusals = facts(write(tmp_path / "a.csv", head + row.format(cell)))
        assert dict(refusals.counts) == {"wrong-type": 1}


@pytest.mark.parametrize(
    "columns",
    [
        {
            "data": [
                {"employees": 250, "technologies": ["dbt"], "change": None, "function": None},
                {"employees": None, "technologies": None, "change": "opened", "function": "sales"},
            ]
        },
        {
            "data.employees": [250, None],
            "data.technologies": [["dbt"], None],
            "data.change": [None, "opened"],
            "data.function": [None, "sales"],
        },
        {
            "data": [
                '{"employees": 250, "technologies": ["dbt"]}',
                '{"change": "opened", "function": "sales"}',
            ]
        },
    ],
    ids=["struct", "flat", "json"],
)
def test_parquet_gives_the_same_facts_from_structs_flat_columns_and_json(
    tmp_path: Path, columns: dict[str, Any]
) -> None:
    file = tmp_path / "a.parquet"
    table = {
        "id": ["1", "2"],
        "source": ["/x", "/x"],
        "type": ["gtm.firmographic.v1", "gtm.hiring.v1"],
        "subject": ["acme.com", "acme.com"],
        "time": [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, 4, 5, 6, 789_000, tzinfo=UTC)],
        **columns,
    }
    pl.DataFrame(table).write_parquet(file)
    found, refusals = facts(file)
    assert not refusals.total
    assert [one.data for one in found] == [
        {"employees": 250, "technologies": ["dbt"]},
        {"change": "opened", "function": "sales"},
    ]
    assert found[1].time == 1_767_413_106_789


@pytest.mark.parametrize("indent", [None, 2])
def test_the_events_of_a_json_list_are_read(tmp_path: Path, indent: int | None) -> None:
    content = json.dumps([event(1), event(2)], indent=indent)
    found, refusals = facts(write(tmp_path / "a.json", content))
    assert [one.id for one in found] == ["e1", "e2"]
    assert not refusals.total


def test_an_event_with_the_id_of_an_earlier_one_and_other_data_is_counted(tmp_path: Path) -> None:
    same, other = event(1, function="sales"), event(1, function="marketing")
    _, refusals = facts(write(tmp_path / "a.jsonl", lines(same, same, other, other)))
    assert refusals.same_ids == {"/test": 2}


def test_a_table_of_another_tool_is_refused_with_the_command_that_finds_its_source(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "Company Domain Name,Record ID\na.com,1\n")
    with pytest.raises(WrongFile) as error:
        facts(file)
    assert f"resegment sources guess {file}" in str(error.value.remedy)


def test_a_table_without_a_column_that_events_need_is_told_at_its_header(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "id,source,type,time\n1,2,3,4\n")
    with pytest.raises(WrongFile, match=r"a\.csv:1: these columns are missing: subject"):
        facts(file)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl.gz", b"this is not gzip", "broken|cannot be read"),
        ("a.jsonl.gz", gzip.compress(lines(event()) * 9, mtime=0)[:-12], "broken gzip"),
        ("a.json", b'[\n{"id": 1}\n', "the JSON list is broken"),
        ("a.parquet", b"this is not parquet", "not Parquet"),
        ("a.csv", b"id,source,type,subject,time,\xff\n", "not UTF-8"),
        ("a.csv", b'"id,source,type,subject,time\n', "not CSV"),
        ("a.csv", b"PK\x03\x04xlsx", "an Excel workbook"),
        ("a.jsonl", gzip.compress(b"{}", mtime=0), "gzip"),
        ("a.csv", (HEAD + "x").encode("utf-16")[:-1], "not text in utf-16"),
        ("a.jsonl", "{}".encode("utf-16")[:-1], "not text in utf-16"),
        ("a.csv", b"id,id,source,type,subject,time\n", "two columns id"),
        ("a.csv", b"", "columns are missing"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    file = write(tmp_path / name, content)
    with pytest.raises(WrongFile, match=problem) as caught:
        facts(file)
    assert caught.value.file == str(file)


def test_a_path_that_cannot_be_used_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_events(str(tmp_path / "nothing.jsonl"))
    with pytest.raises(UnknownFormat):
        read_events(str(write(tmp_path / "a.xlsx", b"")))
    with pytest.raises(UnknownFormat):
        read_events(str(write(tmp_path / "a.parquet.gz", b"")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongFile, match="no file in the folder"):
        read_events(str(tmp_path / "empty"))
    with pytest.raises(WrongFile, match="needs a folder"):
        read_events(str(write(tmp_path / "a.jsonl", b"")), "yc")


def test_a_named_format_wins_over_the_suffix(tmp_path: Path) -> None:
    assert len(facts(write(tmp_path / "feed.txt", lines(event())), "jsonl")[0]) == 1


def test_a_folder_gives_the_events_of_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", lines(event(2)))
    write(tmp_path / "a.jsonl.gz", gzip.compress(lines(event(1))))
    write(tmp_path / "README.md", "not an event")
    assert [one.id for one in facts(tmp_path)[0]] == ["e1", "e2"]


def test_the_folder_of_the_directory_is_read_by_its_adapter() -> None:
    found, refusals = facts(EXAMPLES / "yc")
    assert len(found) == 19_962
    assert not refusals.total


def row(number: int, name: str) -> str:
    return f"{number},/crm,gtm.firmographic.v1,acme.com,2026-01-02T00:00:00Z,{name}\n"


@pytest.mark.parametrize(
    ("cell", "line", "reason", "message"),
    [
        ('"Acme" Group', 3, "wrong-row", "write a quote twice"),
        ('"Acme', 3, "wrong-row", "write a quote twice"),
        ("y" * 300_000, 3, "too-large", "at most"),
        ('"' + "y" * 1_100_000 + '"', 3, "too-large", "at most"),
        ('"' + "y\n" * 600_000, 3, "too-large", "quote left open"),
        ("M\udcfcller", 3, "wrong-row", "not UTF-8"),
    ],
    ids=["quotes inside", "quote left open", "large", "too large for a row", "open and large", "latin-1"],
)
def test_one_bad_cell_refuses_its_row_and_never_the_file(
    tmp_path: Path, cell: str, line: int, reason: str, message: str
) -> None:
    text = HEAD + row(1, "Acme") + row(2, cell) + row(3, '"Acme, Inc."') + row(4, '"two\nlines"')
    found, refusals = facts(write(tmp_path / "a.csv", text.encode("utf-8", "surrogateescape")))
    assert [(one.id, one.data["name"]) for one in found] == [
        ("1", "Acme"),
        ("3", "Acme, Inc."),
        ("4", "two\nlines"),
    ]
    first = refusals.examples[0]
    assert (first.line, first.reason) == (line, reason)
    assert message in first.message


def test_a_cell_may_be_as_large_as_an_event(tmp_path: Path) -> None:
    found, refusals = facts(write(tmp_path / "a.csv", HEAD + row(1, "y" * 140_000)))
    assert len(found[0].data["name"]) == 140_000
    assert not refusals.total


@pytest.mark.parametrize(("delimiter", "first"), [(";", ""), ("\t", ""), ("|", ""), (";", "sep=;\n")])
def test_a_table_may_be_separated_as_spreadsheets_do_it(tmp_path: Path, delimiter: str, first: str) -> None:
    text = first + (HEAD + row(1, "Acme")).replace(",", delimiter)
    found, refusals = facts(write(tmp_path / "a.csv", text))
    assert [(one.id, one.data) for one in found] == [("1", {"name": "Acme"})]
    assert not refusals.total


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_table_and_lines_may_be_in_utf_16(tmp_path: Path, encoding: str) -> None:
    text = HEAD + row(1, "Åcme")
    assert facts(write(tmp_path / "a.csv", text.encode(encoding)))[0][0].data == {"name": "Åcme"}
    pretty = json.dumps(event(7))
    assert [one.id for one in facts(write(tmp_path / "a.jsonl", pretty.encode(encoding)))[0]] == ["e7"]


def test_half_a_character_in_utf_16_refuses_its_row(tmp_path: Path) -> None:
    text = (HEAD + row(1, "Ac\udc12me") + row(2, "Acme") + "one cell \udc12\n").encode(
        "utf-16", "surrogatepass"
    )
    found, refusals = facts(write(tmp_path / "a.csv", text))
    assert [one.id for one in found] == ["2"]
    assert [(one.line, one.reason) for one in refusals.examples] == [(2, "wrong-row"), (4, "wrong-row")]


def test_pretty_printed_events_are_read_among_others(tmp_path: Path) -> None:
    texts = [json.dumps(event(1), indent=2), "{", json.dumps(event(2)), json.dumps(event(3), indent=4)]
    found, refusals = facts(write(tmp_path / "a.json", "\n".join(texts)))
    assert [one.id for one in found] == ["e1", "e2", "e3"]
    assert [(one.line, one.reason) for one in refusals.examples] == [(12, "not-json")]


def test_what_looks_like_a_pretty_printed_event_and_has_no_end_is_refused_line_by_line(
    tmp_path: Path,
) -> None:
    _, refusals = facts(write(tmp_path / "a.json", "{\n" + ' "x": 1,\n' * 200_000))
    assert refusals.total == 200_001


def table(**columns: Any) -> dict[str, Any]:
    count = len(next(iter(columns.values())))
    return {
        "id": [str(number) for number in range(count)],
        "source": ["/x"] * count,
        "type": ["gtm.firmographic.v1"] * count,
        "subject": ["acme.com"] * count,
        "time": ["2026-01-02T00:00:00Z"] * count,
        **columns,
    }


def test_bytes_in_parquet_are_text_or_refuse_their_row(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    cells = {"data.industry": [b"saas", b"\xff\xfe", b"retail"], "subject": [b"acme.com"] * 3}
    pl.DataFrame(table(**cells)).write_parquet(file)
    found, refusals = facts(file)
    assert [one.data["industry"] for one in found] == ["saas", "retail"]
    assert [one.account for one in found] == ["acme.com"] * 2
    assert [(one.line, one.reason, one.field) for one in refusals.examples] == [
        (2, "wrong-row", "data.industry")
    ]


def test_nan_in_parquet_is_absent_and_erases_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    nan = float("nan")
    cells = {"data.employees": [60.0, nan, float("inf")], "data.industry": ["saas"] * 3}
    pl.DataFrame(table(**cells)).write_parquet(file)
    found, refusals = facts(file)
    assert [one.data for one in found] == [{"employees": 60.0, "industry": "saas"}, {"industry": "saas"}]
    assert [(one.line, one.field) for one in refusals.examples] == [(3, "data.employees")]
    pl.DataFrame(table(data=[{"employees": nan, "industry": "saas"}])).write_parquet(file)
    assert facts(file)[0][0].data == {"industry": "saas"}


def test_a_value_that_json_cannot_hold_refuses_its_row_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    lengths = pl.Series([1, None], dtype=pl.Duration("ms"))
    pl.DataFrame(table(**{"data.x": lengths, "data.industry": ["a", "b"]})).write_parquet(file)
    found, refusals = facts(file)
    assert [one.data for one in found] == [{"industry": "b"}]
    assert "timedelta" in refusals.examples[0].message


def test_a_line_without_an_end_is_refused_and_the_next_one_is_read(tmp_path: Path) -> None:
    huge = json.dumps(event(1, note="y" * 3_000_000)).encode()
    found, refusals = facts(write(tmp_path / "a.jsonl", huge + b"\n" + lines(event(2))))
    assert [one.id for one in found] == ["e2"]
    assert [(one.line, one.reason) for one in refusals.examples] == [(1, "too-large")]
    assert "at most" in refusals.examples[0].message


@pytest.mark.parametrize("dtype", [pl.Datetime("us"), pl.Datetime("ms", "UTC"), pl.Date])
def test_a_time_that_is_out_of_range_refuses_its_row_alone(tmp_path: Path, dtype: Any) -> None:
    file = tmp_path / "a.parquet"
    days = pl.Series([20_000, 2**30, 20_001])
    when = days.cast(pl.Int32).cast(dtype) if dtype == pl.Date else (days * 2**31).cast(dtype)
    pl.DataFrame(table(**{"data.founded": when, "data.industry": ["a", "b", "c"]})).write_parquet(file)
    found, refusals = facts(file)
    assert [one.data["industry"] for one in found] == ["a", "c"]
    assert [(one.line, one.reason, one.field) for one in refusals.examples] == [
        (2, "wrong-row", "data.founded")
    ]


GOOD = (HEAD + row(1, "Acme") + row(2, '"two\nlines"') + row(3, "Zeta")).encode()


@given(
    at=st.integers(0, len(GOOD)),
    cut=st.integers(0, 40),
    put=st.binary(max_size=40) | st.sampled_from([b'"', b"\0", b"\r", b'"",\n"', b"\xff\xfe", b";", b"\n\n"]),
)
def test_whatever_is_in_a_table_the_reader_gives_rows_or_an_error_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, put: bytes
) -> None:
    file = write(tmp_path_factory.getbasetemp() / "fuzz.csv", GOOD[:at] + put + GOOD[at + cut :])
    with suppress(WrongFile):
        found, refusals = facts(file)
        assert len(found) + refusals.total <= 4 + put.count(b"\n") + put.count(b"\r") + 1


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([b"{", b"}", b"  }", b"[", b"{}", b"\xef\xbb\xbf{"]))
)
def test_whatever_is_in_a_file_of_lines_each_is_an_event_or_refused(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes]
) -> None:
    file = write(tmp_path_factory.getbasetemp() / "fuzz.jsonl", b"\n".join([lines(event(1)).strip(), *texts]))
    found, refusals = facts(file)
    assert found[0].id == "e1"
    assert refusals.total <= b"\n".join(texts).count(b"\n") + 1
