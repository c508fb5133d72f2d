"""`resegment forecast` from files, as somebody at a shell meets it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from tests.unit.cli.test_cli_backtest import SEGMENTS, event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "segments.yaml").write_text(SEGMENTS)
    (tmp_path / "later.yaml").write_text(SEGMENTS.replace("90d", "20d"))
    events = [event(1, "b.com", "2026-01-10"), event(2, "a.com", "2026-01-01")]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    line = ["forecast", "--segments", str(folder / "segments.yaml"), *arguments]
    result = CliRunner().invoke(build(), line)
    return result.exit_code, result.stdout, result.stderr


def test_the_forecast_of_recorded_events_begins_at_the_last_of_them(folder: Path) -> None:
    code, output, _ = run(folder, "--events", str(folder / "events.jsonl"), "--days", "85", "--json")
    assert code == 0
    made = json.loads(output)
    assert (made["at"], made["until"]) == ("2026-01-10T00:00:00Z", "2026-04-05T00:00:00Z")
    assert made["moves"] == [
        {
            "account": "a.com",
            "at": "2026-04-01T00:00:00Z",
            "from": "hiring-now",
            "to": "not-now",
            "definition": None,
        }
    ]


def test_a_switch_to_come_moves_accounts_in_the_forecast(folder: Path) -> None:
    switch = f"2026-01-25={folder / 'later.yaml'}"
    code, output, _ = run(folder, "--events", str(folder / "events.jsonl"), "--switch", switch, "--json")
    assert code == 0
    assert [(one["account"], one["at"], one["definition"]) for one in json.loads(output)["moves"]] == [
        ("a.com", "2026-01-25T00:00:00Z", 2),
        ("b.com", "2026-01-30T00:00:00Z", None),
    ]


def test_people_get_a_chart_that_fits_into_eighty_columns(folder: Path) -> None:
    code, output, _ = run(folder, "--events", str(folder / "events.jsonl"), "--days", "100")
    assert code == 0
    assert "2 moves of 2 accounts from Jan 10, 2026 to Apr 20, 2026" in output
    assert "▆▆" in output
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--segment", "nosuch"], "there is no segment nosuch"),
        (["--days", "0"], "--days"),
        (["--at", "9999-12-31"], "--at"),
    ],
)
def test_wrong_use_is_named(folder: Path, arguments: list[str], problem: str) -> None:
    code, _, error = run(folder, "--events", str(folder / "events.jsonl"), *arguments)
    assert code == 2
    assert problem in error


def test_an_instant_to_begin_at_needs_recorded_events(folder: Path) -> None:
    code, _, error = run(folder, "--at", "2026-01-01")
    assert code == 2
    assert "--events" in error
