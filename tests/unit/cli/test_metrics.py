"""`resegment metrics` over recorded events and commands."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from resegment.cli import build
from resegment.outcomes.measuring.report import metrics_schema

DAYS = 40
EXAMPLES = Path(__file__).parents[3] / "examples"


def event(kind: str, name: str, subject: str, time: str, data: Any) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": name,
            "source": "/tests",
            "type": f"gtm.{kind}.v1",
            "subject": subject,
            "time": time,
            "data": data,
        }
    )


def touch(account: str, segment: str, **more: Any) -> str:
    time = "2026-01-01T00:00:00Z"
    data = {"says": "touch", "account": account, "at": time, "touch": f"t-{account}", "segment": segment}
    data |= {"workflow": "w", "arm": "enrolled", "change": f"c-{account}", **more}
    return event("touch", f"x-{account}", account, time, data)


def reply(account: str, time: str = "2026-01-03T00:00:00Z") -> str:
    return event(
        "outcome", f"e-{account}", account, time, {"action": "replied", "idempotency_key": f"t-{account}"}
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    names = [f"a{number}.com" for number in range(DAYS)]
    others = [f"b{number}.com" for number in range(DAYS)]
    commands, events = tmp_path / "commands.jsonl", tmp_path / "events.jsonl"
    commands.write_text(
        "\n".join([touch(one, "first") for one in names] + [touch(one, "second") for one in others])
    )
    came = [reply(one) for one in names[:30] + others[:6]]
    late = event("outcome", "late", "a0.com", "2026-03-01T00:00:00Z", {"action": "opened"})
    events.write_text("\n".join([*came, late]))
    return "--events", str(events), "--commands", str(commands)


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "140"}).invoke(build(), ["metrics", *arguments])


def test_a_table_says_whether_segments_differ_and_counts_each_rate(files: tuple[str, ...]) -> None:
    result = run(*files)
    assert result.exit_code == 0, result.output
    assert "80 touches of 80 accounts by segment, as of Mar 1, 2026" in result.output
    assert "The segments differ in reply" in result.output
    assert "30/40" in result.output
    assert "75.0%" in result.output
    assert "first above second by 60.0 points" in result.output


def test_json_follows_the_schema(files: tuple[str, ...]) -> None:
    result = run(*files, "--json", "--by", "play")
    printed = json.loads(result.stdout)
    jsonschema.validate(printed, metrics_schema())
    assert printed["by"] == "play"
    assert [one["name"] for one in printed["groups"]] == ["(none)"]


def test_a_time_and_a_window_can_be_chosen(files: tuple[str, ...]) -> None:
    printed = json.loads(run(*files, "--json", "--at", "2026-01-10", "--window", "reply=5d").stdout)
    replies = next(one for one in printed["total"]["rates"] if one["metric"] == "reply")
    assert (replies["k"], replies["n"], replies["window_days"]) == (36, 80, 5)
    assert printed["until"] == "2026-01-10T00:00:00Z"


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [
            f"{name}={value}" for name, value in attrs if name in ("src", "href") or name.startswith("on")
        ]


def test_the_page_loads_nothing_and_no_name_becomes_markup(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    commands, events, page = (tmp_path / name for name in ("commands.jsonl", "events.jsonl", "page.html"))
    touches = [
        touch(f"a{number}.com", bad, owner=f'"><img src=x onerror=1>{number % 2}') for number in range(DAYS)
    ]
    commands.write_text("\n".join(touches))
    events.write_text(
        "\n".join([reply(f"a{number}.com") for number in range(9)] + [reply("z.com", "2026-03-01T00:00:00Z")])
    )
    for by in ("segment", "owner"):
        result = run("--events", str(events), "--commands", str(commands), "--html", str(page), "--by", by)
        assert result.exit_code == 0, result.output
        reader = Reader()
        reader.feed(page.read_text("utf-8"))
        assert {"script", "img", "link", "iframe"}.isdisjoint(reader.tags)
        assert reader.loads == []
        assert {"table", "svg", "figure"} <= set(reader.tags)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--events", "x.jsonl"), "--commands"),
        (("--format", "csv"), "--commands"),
        (("--events", "x.jsonl", "--commands", "y.jsonl", "--archive", "z"), "two different pasts"),
        (("--events", "no-such-file.jsonl", "--commands", "no.jsonl"), "no.jsonl"),
        (("--window", "reply=0"), "no window"),
        (("--window", "joy=3"), "no window"),
        (("--by", "color"), "segment"),
        (("--since", "yesterday"), "is not a time"),
    ],
)
def test_what_cannot_be_measured_is_said(arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_young_touches_make_a_report_that_says_so(tmp_path: Path) -> None:
    commands, events = tmp_path / "commands.jsonl", tmp_path / "events.jsonl"
    commands.write_text(touch("a.com", "first"))
    events.write_text(reply("a.com"))
    result = run("--events", str(events), "--commands", str(commands), "--html", str(tmp_path / "page.html"))
    assert result.exit_code == 0
    assert "No touch is old enough yet" in result.output
    assert "nothing to compare yet" in result.output


def test_exploring_finds_what_separates_outcomes_inside_a_segment() -> None:
    year = EXAMPLES / "outcomes-year"
    given = ("--events", str(year / "outcomes.jsonl.gz"), "--commands", str(year / "commands.jsonl.gz"))
    file = ("--segments", str(year / "segments.yaml"))
    result = run(*given, *file, "--events", str(EXAMPLES / "yc"), "--explore")
    assert "{hiring: true} separates outcomes inside entry-changed" in result.output
    assert "false 87/1,513 (5.8%); true 67/378 (17.7%); difference" in result.output
    assert "p < 0.001 after Holm" in result.output
    refused = run(*given, "--explore")
    assert refused.exit_code == 2
    assert "--segments" in refused.output


def test_a_page_that_cannot_be_written_is_an_error(files: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*files, "--html", str(tmp_path / "none" / "page.html"))
    assert result.exit_code == 2
    assert "cannot write" in result.output


FILE = """
version: 1
segments:
  - {name: first, when: {employees: {gte: 100}}, play: p, route: {workflow: w}}
  - {name: second, when: {employees: {gte: LEAST}}, play: p, route: {workflow: v}}
fallback: {name: rest, play: p, route: {workflow: u}}
plays: {p: {message: {pain: x, value_prop: y, proof_points: [z]}, channels: {primary: email}}}
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A report in which both segments come to the same."""
    commands, events = tmp_path / "commands.jsonl", tmp_path / "events.jsonl"
    names = [f"a{number}.com" for number in range(4_000)]
    commands.write_text(
        "\n".join(touch(one, ("first", "second")[number % 2]) for number, one in enumerate(names))
    )
    last = event("outcome", "last", "a0.com", "2026-12-01T00:00:00Z", {"action": "opened"})
    events.write_text("\n".join([*(reply(one) for one in names[:200]), last]))
    result = run("--events", str(events), "--commands", str(commands), "--json")
    report = tmp_path / "outcomes.json"
    report.write_text(result.stdout)
    return report


def test_lint_warns_of_what_outcomes_say(saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "segments.yaml"
    file.write_text(FILE.replace("LEAST", "10"))
    result = CliRunner(env={"COLUMNS": "400"}).invoke(build(), ["lint", str(file), "--outcomes", str(saved)])
    assert result.exit_code == 0
    assert "[merge]" in result.output
    assert "first and second come to the same" in result.output
    wrong = CliRunner().invoke(build(), ["lint", str(file), "--outcomes", str(file)])
    assert wrong.exit_code == 2
    assert "is no report on outcomes" in wrong.output


def test_a_plan_shows_what_to_expect_of_the_accounts_that_move(saved: Path, tmp_path: Path) -> None:
    old, new, facts = (tmp_path / name for name in ("old.yaml", "new.yaml", "facts.jsonl"))
    old.write_text(FILE.replace("LEAST", "10"))
    new.write_text(FILE.replace("LEAST", "10").replace("gte: 100", "gte: 30"))
    facts.write_text(
        "\n".join(
            event("firmographic", f"f{number}", f"a{number}.com", "2026-01-01T00:00:00Z", {"employees": 50})
            for number in range(20)
        )
    )
    arguments = ["plan", str(new), "--segments", str(old), "--events", str(facts), "--outcomes", str(saved)]
    printed = CliRunner(env={"COLUMNS": "140"}).invoke(build(), arguments)
    assert printed.exit_code == 3
    assert "Outcomes to expect of the accounts that move" in printed.output
    plan = json.loads(CliRunner().invoke(build(), [*arguments, "--json"]).stdout)
    reply_of = next(one for one in plan["expected"] if one["metric"] == "reply")
    assert (reply_of["from"], reply_of["to"], reply_of["accounts"]) == ("second", "first", 20)
    assert reply_of["after"]["expected"] == pytest.approx(1.0, abs=0.01)
    page = CliRunner().invoke(build(), [*arguments, "--html", "-"])
    assert "Outcomes to expect" in page.stdout
