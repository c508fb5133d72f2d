"""`resegment plan` from recorded events, as somebody at a shell meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from resegment.cli import build
from resegment.console.definition.contracts import schema

SEGMENTS = """
version: 1
segments:
  - name: large
    when: {employees: {gte: 100}}
    play: talk
    route: {workflow: calls}
  - name: hiring-now
    when:
      all:
        - {event: hiring, where: {change: opened}, within: 90d}
        - {employees: {gte: 10}}
    play: talk
    route: {workflow: hiring}
fallback: {name: not-now, play: talk, route: {workflow: nurture}}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
"""
RAISED = SEGMENTS.replace("{gte: 100}", "{gte: 200}")
REFORMATTED = """
# the same, in another style
fallback: {route: {workflow: nurture}, name: not-now, play: talk}
plays: {talk: {channels: {primary: email}, message: {proof_points: [c], value_prop: b, pain: a}}}
version: 1
segments:
- {when: {employees: {gte: 100}}, name: large, play: talk, route: {workflow: calls}}
- name: hiring-now
  route: &hiring
    workflow: hiring
  play: "talk"
  when: {all: [{employees: {gte: 10}}, {event: hiring, within: 90d, where: {change: opened}}]}
"""


def event(kind: str, subject: str, day: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{kind}-{subject}-{day}",
        "source": "/test",
        "type": f"gtm.{kind}.v1",
        "subject": subject,
        "time": f"{day}T00:00:00Z",
        "data": data,
    }


EVENTS = [
    event("firmographic", "a.com", "2026-01-01", employees=150),
    event("firmographic", "b.com", "2026-01-01", employees=500),
    event("firmographic", "c.com", "2026-01-02", employees=20),
    event("hiring", "c.com", "2026-01-03", change="opened"),
    event("firmographic", "d.com", "2026-01-04", employees=150),
    event("hiring", "d.com", "2026-01-05", change="opened"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("old", SEGMENTS), ("raised", RAISED), ("reformatted", REFORMATTED)):
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in EVENTS))
    return tmp_path


def run(folder: Path, new: str, *arguments: str) -> tuple[int, str, str]:
    line = ["plan", str(folder / new), "-s", str(folder / "old.yaml"), "-e", str(folder / "events.jsonl")]
    result = CliRunner().invoke(build(), [*line, *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_file_that_only_looks_different_is_no_change(folder: Path) -> None:
    code, output, _ = run(folder, "reformatted.yaml")
    assert code == 0
    assert "Nothing changes" in output


def test_a_change_exits_with_3_and_names_who_moves(folder: Path) -> None:
    code, output, _ = run(folder, "raised.yaml")
    assert code == 3
    assert "2 of 4 accounts move (50.0%)." in output
    assert "employees at least 100 → 200" in output


def test_json_keeps_the_contract_and_lists_every_move(folder: Path) -> None:
    code, output, _ = run(folder, "raised.yaml", "--json")
    plan = json.loads(output)
    assert code == 3
    assert not list(Draft202012Validator(schema("plan")).iter_errors(plan))
    assert plan["moves"] == [
        {"account": "a.com", "from": "large", "to": "not-now"},
        {"account": "d.com", "from": "large", "to": "hiring-now"},
    ]
    assert plan["at"] == "2026-01-05T00:00:00.001Z"
    assert {one["name"]: (one["before"], one["after"]) for one in plan["sizes"]} == {
        "large": (3, 1),
        "hiring-now": (1, 2),
        "not-now": (0, 1),
    }


def test_facts_of_the_instant_itself_count(folder: Path) -> None:
    _, before, _ = run(folder, "raised.yaml", "--json", "--at", "2026-01-04 23:59:59")
    _, at, _ = run(folder, "raised.yaml", "--json", "--at", "2026-01-05")
    moved = [{one["account"]: one["to"] for one in json.loads(text)["moves"]} for text in (before, at)]
    assert moved == [{"a.com": "not-now", "d.com": "not-now"}, {"a.com": "not-now", "d.com": "hiring-now"}]


@pytest.mark.parametrize("option", ["--html", "--html=-"])
def test_a_page_goes_to_standard_output(folder: Path, option: str) -> None:
    code, output, _ = run(folder, "raised.yaml", option)
    assert code == 3
    assert output.startswith("<!doctype html>")
    assert output.rstrip().endswith("</html>")


def test_a_page_goes_to_a_file_beside_what_is_printed(folder: Path) -> None:
    page = folder / "plan.html"
    code, output, errors = run(folder, "raised.yaml", "--html", str(page), "--json")
    assert code == 3
    assert f"saved {page}" in errors.replace("\n", "")
    assert json.loads(output)["hash"] in page.read_text()


def test_markdown_is_printed_alone(folder: Path) -> None:
    _, output, _ = run(folder, "raised.yaml", "--markdown")
    assert output.startswith("### Plan `")
    assert "| large | 3 | 1 | -2 |" in output
    assert "+0" not in output


def test_a_saved_plan_is_shown_again_as_it_was(folder: Path) -> None:
    saved = folder / "plan.json"
    _, output, notes = run(folder, "raised.yaml", "--json", "--out", str(saved))
    assert "can be shown, not applied" in notes
    shown = CliRunner().invoke(build(), ["plan", "--show", str(saved), "--json"])
    assert (shown.exit_code, shown.stdout) == (3, output)


def test_a_saved_plan_in_place_of_a_segments_file_is_told_how_it_is_shown(folder: Path) -> None:
    saved = folder / "plan.json"
    run(folder, "raised.yaml", "--json", "--out", str(saved))
    shown = CliRunner().invoke(build(), ["plan", str(saved)])
    assert shown.exit_code == 2
    assert "--show" in shown.output


def test_a_wrong_file_exits_with_2_and_all_its_errors(folder: Path) -> None:
    (folder / "raised.yaml").write_text(SEGMENTS.replace("play: talk", "play: nobody"))
    code, _, errors = run(folder, "raised.yaml")
    assert code == 2
    assert errors.count("nobody") >= 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--json", "--markdown"], "choose one of --json, --markdown and --html"),
        (["--route", "all", "--route", "large"], "all stands alone"),
        (["--route", "tiny"], "--route names tiny, and the file has no segment of that name"),
    ],
)
def test_wrong_usage_exits_with_2(folder: Path, arguments: list[str], problem: str) -> None:
    code, _, errors = run(folder, "raised.yaml", *arguments)
    assert code == 2
    assert problem in " ".join(errors.replace("│", " ").split())


def test_recorded_events_need_the_file_in_force(folder: Path) -> None:
    line = ["plan", str(folder / "raised.yaml"), "-e", str(folder / "events.jsonl")]
    result = CliRunner().invoke(build(), line)
    assert result.exit_code == 2
    assert "--events requires --segments" in result.stderr
