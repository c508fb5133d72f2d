"""`resegment play` from files, as somebody at a shell meets it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build

EXAMPLES = Path(__file__).parents[3] / "examples"
SEGMENTS = """
version: 1
segments:
  - name: hiring-now
    hypothesis: Whoever hires has a budget.
    when: {all: [{employees: {gte: 5}}, {event: hiring, where: {change: opened}, within: 5d}]}
    play: grow
    route: {workflow: growth}
fallback: {name: not-now, route: {workflow: nurture}}
plays:
  grow:
    message: {pain: "{{ employees }} people and too few hands.", value_prop: Help., proof_points: [It works.]}
    channels: {primary: email}
"""
EVENTS = [
    ("firmographic", "2026-01-05", {"employees": 60, "name": "A Inc."}),
    ("hiring", "2026-01-06", {"change": "opened"}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "segments.yaml").write_text(SEGMENTS)
    events = [
        {
            "specversion": "1.0",
            "id": kind,
            "source": "crawler",
            "type": f"gtm.{kind}.v1",
            "subject": "a.com",
            "time": f"{day}T00:00:00Z",
            "data": data,
        }
        for kind, day, data in EVENTS
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(json.dumps(one) for one in events))
    return tmp_path


def run(folder: Path, *arguments: str, segments: str = "segments.yaml") -> tuple[int, str, str]:
    files = ["--segments", str(folder / segments), "--events", str(folder / "events.jsonl")]
    result = CliRunner().invoke(build(), ["play", *arguments, *files])
    return result.exit_code, result.stdout, result.stderr


def test_a_rep_reads_why_now_and_what_to_say(folder: Path) -> None:
    code, output, error = run(folder, "https://www.A.com/about")
    assert (code, error) == (0, "")
    for text in (
        "a.com  A Inc.",
        "opened a job on Jan 6, 2026 (crawler)",
        "60 people and too few",
    ):
        assert text in output


def test_a_program_reads_json(folder: Path) -> None:
    code, output, _ = run(folder, "a.com", "--json")
    found = json.loads(output)
    assert code == 0
    assert (found["segment"], found["workflow"], found["pain"]) == (
        "hiring-now",
        "growth",
        "60 people and too few hands.",
    )
    assert found["next"]["to"] == "not-now"


def test_another_time_has_another_play(folder: Path) -> None:
    code, output, _ = run(folder, "a.com", "--at", "2026-02-01")
    assert code == 0
    assert "in not-now since Jan 11, 2026" in output
    assert "No play" in output


def test_an_account_of_which_nothing_is_known_fails_with_a_remedy(folder: Path) -> None:
    code, output, error = run(folder, "b.com")
    assert (code, output) == (1, "")
    assert "nothing is known about b.com" in error
    assert "Check the spelling" in error


@pytest.mark.parametrize("arguments", [["github.com"], ["a.com", "--at", "soon"]])
def test_wrong_usage_ends_with_2(folder: Path, arguments: list[str]) -> None:
    assert run(folder, *arguments)[0] == 2


def test_a_template_that_may_fail_is_an_error_of_the_file_with_its_place(folder: Path) -> None:
    (folder / "wrong.yaml").write_text(SEGMENTS.replace("{{ employees }}", "{{ region }}"))
    code, _, error = run(folder, "a.com", segments="wrong.yaml")
    assert code == 2
    assert "wrong.yaml:12:21" in error
    assert "region | default('...')" in error


def test_the_examples_have_plays_to_show() -> None:
    files = ["-s", str(EXAMPLES / "segments.yaml"), "-e", str(EXAMPLES / "synthetic.jsonl.gz")]
    line = ["play", "archform.com", "--at", "2025-04-02", "--json", *files, "-e", str(EXAMPLES / "yc")]
    result = CliRunner().invoke(build(), line)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["pain"].startswith("With $6.1M raised within a year")
    assert "Series A" in found["proof_points"][1]
    assert found["personas"][0]["message"].startswith("What would ArchForm do")
    assert found["problems"] == []


def test_a_brief_is_in_the_locale_of_its_reader_and_json_stays_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_json = run(folder, "a.com", "--json")[1]
    assert "Jan 6, 2026" in run(folder, "a.com")[1]
    monkeypatch.setenv("RESEGMENT_LOCALE", "de_DE")
    code, output, _ = run(folder, "a.com")
    assert code == 0
    assert "06.01.2026" in output
    assert "Jan" not in output
    assert run(folder, "a.com", "--json")[1] == as_json
