"""`resegment sources`, and reading a provider's files in other commands."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build

DATA = Path(__file__).parents[2] / "data" / "sources"

SEGMENTS = """
version: 1
segments:
  - {name: big, when: {employees: {gte: 1000}}, play: talk, route: {workflow: w}}
fallback: {name: rest, play: talk, route: {workflow: nurture}}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
"""


def run(*arguments: str) -> tuple[int, list[str], list[str]]:
    result = CliRunner().invoke(build(), list(arguments))
    return result.exit_code, result.stdout.splitlines(), result.stderr.splitlines()


def test_convert_prints_events_and_says_what_it_refuses_where() -> None:
    code, events, refusals = run(
        "sources", "convert", "hubspot", str(DATA / "hubspot-companies.csv"), "--zone", "UTC"
    )
    assert code == 0
    assert [json.loads(line)["subject"] for line in events] == ["example.com", "fabrikam.com", "contoso.com"]
    said = [json.loads(line) for line in refusals]
    assert [(one["line"], one["reason"], one["field"], one["refused"]) for one in said] == [
        (4, "no-account", "domain", True),
        (5, "wrong-cell", "Number of Employees", False),
    ]


@pytest.mark.parametrize("text", ["", "Record ID,Company Domain Name\n"])
def test_a_file_without_records_is_said_to_be_empty(tmp_path: Path, text: str) -> None:
    file = tmp_path / "companies.csv"
    file.write_text(text)
    code, events, remarks = run("sources", "convert", "hubspot", str(file))
    assert (code, events) == (1, [])
    said = [json.loads(line) for line in remarks]
    assert [(one["file"], one["reason"], one["refused"]) for one in said] == [(str(file), "empty", False)]


def test_convert_exits_with_1_if_nothing_came_out(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"a": 1}')
    code, events, refusals = run("sources", "convert", "hubspot", str(file))
    assert (code, events) == (1, [])
    assert json.loads(refusals[0])["reason"] == "no-record"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch", "a.csv"], "is no known source"),
        (["csv", "a.csv"], "--map"),
        (["hubspot", "missing.csv"], "no such file"),
        (["hubspot", "a.csv", "--zone", "Mars/Base"], "is no time zone"),
        (["lever", "a.json", "--account", "gmail.com"], "mailbox provider"),
        (["lever", "a.json", "--account", "acme"], "it has no dot"),
    ],
)
def test_wrong_use_exits_with_2_and_says_why(arguments: list[str], words: str) -> None:
    code, _, errors = run("sources", "convert", *arguments)
    assert code == 2
    assert words in " ".join(errors)


def test_list_and_show_name_the_adapters() -> None:
    assert any(line.startswith("hubspot ") for line in run("sources", "list")[1])
    assert "data.employees" in "\n".join(run("sources", "show", "hubspot")[1])


def test_a_guess_is_a_mapping_that_converts_the_file(tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text('Company Domain,Employees,Updated At\nacme.com,"1,200",2026-01-02\n')
    code, lines, _ = run("sources", "guess", str(file))
    assert code == 0
    mapping = tmp_path / "map.yaml"
    mapping.write_text("\n".join(lines))
    code, events, _ = run("sources", "convert", "csv", str(file), "--map", str(mapping))
    assert code == 0
    assert json.loads(events[0])["data"] == {"employees": 1200}


def test_a_column_of_the_mapping_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    file, mapping = tmp_path / "leads.csv", tmp_path / "map.yaml"
    file.write_text("Domain,Day,Annual Revenue,Staff\nacme.com,2026-01-02,5,7\n")
    mapping.write_text(
        "kind: firmographic\nmap: {domain: subject, Day: time, Anual Revenue: revenue_usd, Staff: employees}\n"
    )
    code, events, remarks = run("sources", "convert", "csv", str(file), "--map", str(mapping))
    assert (code, len(events)) == (0, 1)
    (said,) = map(json.loads, remarks)
    assert (said["reason"], said["field"], said["refused"]) == ("no-column", "Anual Revenue", False)
    assert "did you mean 'Annual Revenue'?" in said["message"]


def test_backtest_reads_the_files_of_a_source(tmp_path: Path) -> None:
    segments = tmp_path / "segments.yaml"
    segments.write_text(SEGMENTS)
    code, lines, _ = run(
        "backtest", "-s", str(segments), "-e", str(DATA / "hubspot-companies.csv"), "--source", "hubspot", "--accounts"
    )  # fmt: skip
    assert code == 0
    found = {one["account"]: one["segment"] for one in map(json.loads, lines)}
    assert found == {"example.com": "big", "fabrikam.com": "rest", "contoso.com": "rest"}


def test_options_of_a_source_need_one(tmp_path: Path) -> None:
    code, _, errors = run("backtest", "-s", "s.yaml", "-e", "x.jsonl", "--zone", "UTC")
    assert code == 2
    assert "--source" in " ".join(errors)


def test_snapshots_of_a_board_give_what_changed_since_the_last_one(tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")

    def look(day: int, *jobs: int) -> list[tuple[str, str, str]]:
        file = tmp_path / "board.json"
        file.write_text(json.dumps({"jobs": [{"id": one, "title": "Account Executive"} for one in jobs]}))
        at = f"2026-01-0{day}T00:00:00Z"
        _, lines, _ = run(
            "sources", "convert", "greenhouse", str(file), "--account", "acme.com", "--at", at, "--state", state
        )  # fmt: skip
        events = [json.loads(line) for line in lines]
        return [(one["data"]["change"], one["data"]["job"], one["time"][:10]) for one in events]

    assert look(1, 1, 2) == [("opened", "1", "2026-01-01"), ("opened", "2", "2026-01-01")]
    assert look(2, 1) == []
    assert look(3, 1, 3) == [("opened", "3", "2026-01-03"), ("closed", "2", "2026-01-02")]
    assert look(4, 1, 2, 3) == [("reopened", "2", "2026-01-04")]


def test_a_broken_state_is_a_wrong_file(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("{")
    code, _, errors = run(
        "sources", "convert", "greenhouse", str(DATA / "greenhouse-jobs.json"), "--account", "a.com", "--state", str(state)
    )  # fmt: skip
    assert code == 2
    assert "not a state of sources" in " ".join(errors)


def test_the_state_remembers_the_domains_of_ids(tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    deal = tmp_path / "deal.json"
    deal.write_text(
        '{"Id": "006Z", "AccountId": "001A", "StageName": "New", "CreatedDate": "2026-01-01T00:00:00Z"}'
    )
    assert run("sources", "convert", "salesforce", str(deal), "--state", state)[0] == 1
    assert (
        run("sources", "convert", "salesforce", str(DATA / "salesforce-query.json"), "--state", state)[0] == 0
    )
    code, lines, _ = run("sources", "convert", "salesforce", str(deal), "--state", state)
    assert code == 0
    assert json.loads(lines[0])["subject"] == "northwind.com"


def test_a_new_adapter_converts_its_payload_and_passes_its_test(tmp_path: Path) -> None:
    code, lines, _ = run("sources", "new", "my-tool", "--folder", str(tmp_path))
    assert code == 0
    assert [Path(line).name for line in lines] == ["my_tool.py", "my_tool.json", "test_my_tool.py"]
    code, events, _ = run("sources", "convert", str(tmp_path / "my_tool.py"), str(tmp_path / "my_tool.json"))
    assert code == 0
    assert json.loads(events[0])["source"] == "/my-tool"
    spec = importlib.util.spec_from_file_location("test_my_tool", tmp_path / "test_my_tool.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.test_the_payload_becomes_events()
    assert run("sources", "new", "my-tool", "--folder", str(tmp_path))[0] == 2
    assert run("sources", "new", "My Tool", "--folder", str(tmp_path))[0] == 2


@pytest.mark.parametrize(
    ("text", "words"), [("x = 1\n", "it has no ADAPTER"), ("1 / 0\n", "ZeroDivisionError")]
)
def test_a_module_without_an_adapter_is_a_wrong_file(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "a.py"
    file.write_text(text)
    code, _, errors = run("sources", "convert", str(file), "x.json")
    assert code == 2
    assert words in " ".join(errors)


def test_backtest_tells_what_was_left_out_and_how_often(tmp_path: Path) -> None:
    segments = tmp_path / "segments.yaml"
    segments.write_text(SEGMENTS)
    file = tmp_path / "a.csv"
    rows = "".join(f"{number},a{number}.com,many,Retail,2026-01-01\n" for number in range(9))
    file.write_text("Record ID,Company Domain Name,Number of Employees,Industry,Last Modified Date\n" + rows)
    code, _, errors = run("backtest", "-s", str(segments), "-e", str(file), "--source", "hubspot")
    assert code == 0
    assert sum("wrong-cell" in line for line in errors) == 5
    assert any("and 4 more remarks" in line for line in errors)


def test_a_file_is_counted_and_fields_that_are_not_known_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Domain,Topic Name,Composite Score,Date,Phase of Moon\nacme.com,CRM,70,2026-01-01,full\n")
    code, lines, _ = run("sources", "test", "bombora", str(file))
    assert code == 0
    assert lines[0] == "events: 1 about 1 account"
    assert lines[-1] == "fields that it does not know: phaseofmoon"
