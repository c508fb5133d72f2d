"""`resegment stale` from files, as somebody at a shell meets it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from tests.unit.segmentation.outlook.test_staleness import FILE, event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "segments.yaml").write_text(json.dumps(FILE))
    events = [
        event("a.com", 5, "firmographic", employees=500, industry="software"),
        event("b.com", 190, "firmographic", employees=500),
        event("c.com", 199, "funding", round="seed"),
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    files = ["--segments", str(folder / "segments.yaml"), "--events", str(folder / "events.jsonl")]
    result = CliRunner().invoke(build(), ["stale", *files, *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_report_ranks_accounts_by_what_could_be_won_or_lost(folder: Path) -> None:
    code, output, _ = run(folder, "--json")
    assert code == 0
    made = json.loads(output)
    assert (made["at"], made["older_seconds"]) == ("1970-07-19T00:00:00Z", 180 * 86_400)
    assert [(one["account"], one["could_win"], one["could_fall_to"]) for one in made["requests"]] == [
        ("b.com", "big", None),
        ("c.com", "big", None),
        ("a.com", None, "out"),
    ]


def test_an_age_and_a_segment_choose_the_accounts(folder: Path) -> None:
    code, output, _ = run(folder, "--json", "--older", "365d", "--segment", "big", "--limit", "1")
    assert code == 0
    made = json.loads(output)
    assert [one["account"] for one in made["requests"]] == ["b.com"]
    assert made["stale"] == 2


def test_people_get_tables_that_fit_into_eighty_columns(folder: Path) -> None:
    code, output, _ = run(folder)
    assert code == 0
    assert "3 accounts of 3 with tested attributes that are unknown or older than 180 d." in output
    assert "industry = software" in output
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments", [["--older", "soon"], ["--publish"], ["--limit", "0"], ["--segment", "nosuch"]]
)
def test_wrong_use_is_refused(folder: Path, arguments: list[str]) -> None:
    code, _, error = run(folder, *arguments)
    assert code == 2
    assert arguments[0].lstrip("-") in error
