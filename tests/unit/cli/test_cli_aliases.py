"""Commands take an alias wherever they take an account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.cli.operations.session import read_accounts
from resegment.identity.aliases import use_aliases

SEGMENTS = """
version: 1
segments:
  - {name: named, hypothesis: h, when: {account: [acme.io]}, play: p, route: {workflow: w1}}
  - {name: listed, hypothesis: h, when: {account: {in_file: list.txt}}, play: p, route: {workflow: w2}}
  - {name: hiring, hypothesis: h, when: {event: hiring, count: {gte: 2}}, play: p, route: {workflow: w3}}
fallback: {name: rest, play: p, route: {workflow: w4}}
plays:
  p: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}
tests:
  - name: a test may name an alias
    given:
      account: acme.io
      events: [{event: hiring, change: opened, ago: 10d}]
    expect: named
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "segments.yaml").write_text(SEGMENTS)
    (tmp_path / "list.txt").write_text("listed.io\n")
    aliases = {"acme.io": "acme.com", "listed.io": "listed.com", "hiring.io": "hiring.com"}
    (tmp_path / "aliases.json").write_text(json.dumps(aliases))
    subjects = ["jo@acme.io", "https://acme.com", "listed.com", "hiring.io", "hiring.com"]
    lines = [
        {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "/test",
            "type": "gtm.hiring.v1",
            "subject": subject,
            "time": f"2026-01-0{number}T00:00:00Z",
            "data": {"change": "opened", "function": "sales"},
        }
        for number, subject in enumerate(subjects, 1)
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setenv("RESEGMENT_ALIASES", str(tmp_path / "aliases.json"))
    yield tmp_path
    use_aliases({})


def run(folder: Path, command: str, *arguments: str, events: bool = True) -> Any:
    given = [command, *arguments, "-s", str(folder / "segments.yaml")]
    if events:
        given += ["-e", str(folder / "events.jsonl")]
    return CliRunner().invoke(build(), given)


def test_a_backtest_folds_aliases_into_their_accounts(folder: Path) -> None:
    result = run(folder, "backtest", "--accounts", "--until", "2026-02-01")
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert {one["account"]: one["segment"] for one in found} == {
        "acme.com": "named",
        "listed.com": "listed",
        "hiring.com": "hiring",
    }


@pytest.mark.parametrize("name", ["acme.io", "acme.com", "jo@acme.io"])
def test_an_explanation_finds_the_account_by_its_alias(folder: Path, name: str) -> None:
    result = run(folder, "explain", name, "--at", "2026-02-01", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["account"], found["segment"]) == ("acme.com", "named")


def test_a_brief_finds_the_account_by_its_alias(folder: Path) -> None:
    by_alias, by_name = (run(folder, "play", name, "--at", "2026-02-01") for name in ("acme.io", "acme.com"))
    assert "acme.com" in by_name.output
    assert by_alias.output == by_name.output


def test_a_test_of_the_file_may_name_an_alias(folder: Path) -> None:
    result = CliRunner().invoke(build(), ["test", str(folder / "segments.yaml")])
    assert result.exit_code == 0, result.output


def test_an_account_that_is_named_twice_is_one(folder: Path) -> None:
    CliRunner().invoke(build(), ["lint", str(folder / "segments.yaml")])
    assert read_accounts(["acme.io", "https://acme.com", "other.com"]) == ["acme.com", "other.com"]


def test_a_wrong_table_ends_the_command_with_its_remedy(folder: Path) -> None:
    (folder / "aliases.json").write_text("[]")
    result = run(folder, "explain", "acme.io")
    assert result.exit_code == 2
    assert "aliases.json: not an object of strings" in result.stderr
