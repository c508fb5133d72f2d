"""`resegment backtest` and `resegment explain` from files, as somebody at a shell meets them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resegment.cli import build

EXAMPLES = Path(__file__).parents[3] / "examples"
SEGMENTS = """
version: 1
segments:
  - name: hiring-now
    when: {event: hiring, where: {change: opened}, within: 90d}
    play: talk
    route: {workflow: hiring}
fallback: {name: not-now, play: talk, route: {workflow: nurture}}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
"""


def event(number: int, subject: str, day: str, change: str = "opened") -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/test",
        "type": "gtm.hiring.v1",
        "subject": subject,
        "time": f"{day}T00:00:00Z",
        "data": {"change": change},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "segments.yaml").write_text(SEGMENTS)
    events = [
        event(1, "www.b.com", "2026-01-10"),
        event(2, "a.com", "2026-01-01"),
        event(3, "c.com", "2026-01-05", "closed"),
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    (tmp_path / "more.jsonl").write_text(json.dumps(event(4, "a.com", "2026-03-01")) + "\nbroken\n")
    return tmp_path


def run(folder: Path, *arguments: str, command: str = "backtest") -> tuple[int, str, str]:
    events = [] if "--events" in arguments else ["--events", str(folder / "events.jsonl")]
    line = [command, *arguments, "--segments", str(folder / "segments.yaml"), *events]
    result = CliRunner().invoke(build(), line)
    return result.exit_code, result.stdout, result.stderr


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def moves(output: str) -> list[tuple[str, str | None, str, str]]:
    return [(row["account"], row["from"], row["to"], row["effective_at"]) for row in rows(output)]


def test_the_history_is_in_the_order_of_time_and_then_of_accounts(folder: Path) -> None:
    code, output, error = run(folder)
    assert code == 0
    assert not error
    assert moves(output) == [
        ("a.com", None, "hiring-now", "2026-01-01T00:00:00Z"),
        ("c.com", None, "not-now", "2026-01-05T00:00:00Z"),
        ("b.com", None, "hiring-now", "2026-01-10T00:00:00Z"),
        ("a.com", "hiring-now", "not-now", "2026-04-01T00:00:00Z"),
        ("b.com", "hiring-now", "not-now", "2026-04-10T00:00:00Z"),
    ]


def test_a_change_says_what_made_it_and_why(folder: Path) -> None:
    first, *_, last = rows(run(folder)[1])
    assert first["cause"] == {"events": ["e2"]}
    assert first["reason"]["holds"][0]["facts"] == 1
    assert last["cause"] == {"deadline": "2026-04-10T00:00:00Z"}
    assert last["sequence_number"] == 2
    assert {"id", "also_qualified", "definition_version", "decided_at"} <= first.keys()


def test_until_ends_the_history_and_is_part_of_it(folder: Path) -> None:
    output = run(folder, "--until", "2026-04-01")[1]
    assert moves(output)[-1] == ("a.com", "hiring-now", "not-now", "2026-04-01T00:00:00Z")
    assert len(rows(run(folder, "--until", "2026-03-31T23:59:59.999Z")[1])) == 3


def test_at_says_where_every_known_account_was(folder: Path) -> None:
    assert rows(run(folder, "--at", "2026-01-07")[1]) == [
        {"account": "a.com", "segment": "hiring-now", "since": "2026-01-01T00:00:00Z"},
        {"account": "c.com", "segment": "not-now", "since": "2026-01-05T00:00:00Z"},
    ]


def test_accounts_says_where_every_account_ends(folder: Path) -> None:
    found = rows(run(folder, "--accounts")[1])
    assert [(row["account"], row["segment"]) for row in found] == [
        ("a.com", "not-now"), ("b.com", "not-now"), ("c.com", "not-now"),
    ]  # fmt: skip


def test_at_stands_alone(folder: Path) -> None:
    assert run(folder, "--at", "2026-01-07", "--until", "2026-01-08")[0] == 2


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01", "2026-01-01 25:00"])
def test_a_time_that_is_none_is_wrong_usage(folder: Path, time: str) -> None:
    code, _, error = run(folder, "--until", time)
    assert code == 2
    assert "--until" in error
    assert "2026-01-31 09:00" in error


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-07",
        "2026-01-07 00:00",
        "2026-01-07T00:00",
        "2026-01-07 00:00:00",
        "2026-01-07T01:00:00+01:00",
    ],
)
def test_a_time_may_be_a_day_with_or_without_a_time_in_utc(folder: Path, time: str) -> None:
    assert run(folder, "--at", time) == run(folder, "--at", "2026-01-07T00:00:00Z")


def test_events_may_come_from_several_files_and_more_may_follow(folder: Path) -> None:
    names = [str(folder / "events.jsonl"), str(folder / "more.jsonl")]
    both = run(folder, "--events", names[0], "--events", names[1])[1]
    assert moves(both)[-1] == ("a.com", "hiring-now", "not-now", "2026-05-30T00:00:00Z")
    assert run(folder, "--events", *names)[1] == both


def test_refused_events_are_told_beside_the_history_and_fail_only_when_strict(folder: Path) -> None:
    more = str(folder / "more.jsonl")
    code, output, error = run(folder, "--events", more)
    assert code == 0
    assert [row[0] for row in moves(output)] == ["a.com", "a.com"]
    assert f"{more}:2: not-json: " in error
    assert "1 of 2 events refused: not-json 1" in error
    strict, same, _ = run(folder, "--events", more, "--strict")
    assert (strict, same) == (1, output)


def test_values_that_do_not_fit_their_type_are_counted_beside_the_history(folder: Path) -> None:
    typed = SEGMENTS.replace("version: 1", "version: 1\nattributes: {seats: number, renewal: date}")
    (folder / "segments.yaml").write_text(typed.replace("{event: hiring,", "{seats: 5, event: hiring,"))
    snapshots = [
        {**event(n, "acme.com", "2024-01-01"), "type": "gtm.firmographic.v1", "data": data}
        for n, data in enumerate([{"seats": "5"}, {"seats": "many"}, {"seats": [5], "renewal": "soon"}], 50)
    ]
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in snapshots))

    _, _, errors = run(folder)

    assert "count as absent: seats 2" in errors


def test_the_history_can_be_written_to_a_file(folder: Path) -> None:
    out = folder / "changes.jsonl"
    assert run(folder, "-o", str(out)) == (0, "", "")
    assert out.read_text() == run(folder)[1]


@pytest.mark.parametrize("name", ["missing/changes.jsonl", "segments.yaml/changes.jsonl"])
def test_an_output_that_cannot_be_written_is_told_with_a_remedy_before_the_replay(
    folder: Path, name: str
) -> None:
    code, output, error = run(folder, "-o", str(folder / name), "--events", str(folder / "more.jsonl"))
    assert (code, output) == (2, "")
    assert f"cannot write {folder / name}" in error
    assert "leave --output out" in error
    assert "refused" not in error


def test_the_output_may_be_standard_output_or_a_file_that_was_there(folder: Path) -> None:
    out = folder / "changes.jsonl"
    out.write_text("old " * 10_000)
    assert run(folder, "-o", str(out)) == (0, "", "")
    assert out.read_text() == run(folder, "-o", "-")[1] == run(folder)[1]
    assert run(folder, "-o", str(folder))[0] == 2


def test_the_summary_is_for_people_and_with_json_for_programs(folder: Path) -> None:
    code, output, _ = run(folder, "--summary")
    assert code == 0
    assert "3 accounts, 0 moves" in output
    assert "2 more moves would follow" in output
    found = json.loads(run(folder, "--summary", "--until", "2026-12-31", "--json")[1])
    assert (found["accounts"], found["moves"], found["later"]) == (3, 2, 0)
    assert [(one["name"], one["size"], one["peak"]) for one in found["segments"]] == [
        ("hiring-now", 0, 2),
        ("not-now", 3, 3),
    ]


def test_the_summary_sets_the_size_of_a_segment_beside_its_target(folder: Path) -> None:
    aiming = SEGMENTS.replace("- name: hiring-now", "- name: hiring-now\n    target: 5000")
    (folder / "segments.yaml").write_text(aiming)

    table = run(folder, "--summary")[1].split("How long")[0].splitlines()
    found = json.loads(run(folder, "--summary", "--json")[1])

    assert next(line for line in table if "at end" in line).split()[-1] == "target"
    assert next(line for line in table if line.startswith("hiring-now")).split()[-1] == "5,000"
    assert all(len(line) <= 80 for line in table)
    assert [one["target"] for one in found["segments"]] == [5000, None]


@pytest.mark.parametrize("missing", ["--segments", "--events"])
def test_a_missing_file_ends_with_2_and_says_which(folder: Path, missing: str) -> None:
    line = ["backtest", "--segments", str(folder / "segments.yaml"), "--events", str(folder / "events.jsonl")]
    line[line.index(missing) + 1] = str(folder / "nothing.jsonl")
    result = CliRunner().invoke(build(), line)
    assert result.exit_code == 2
    assert "nothing.jsonl: no such file or folder" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_segments_file_ends_with_2_and_tells_every_error(folder: Path) -> None:
    (folder / "segments.yaml").write_text(
        SEGMENTS.replace("within: 90d", "within: 90x").replace("play: talk", "play: no")
    )
    code, output, error = run(folder)
    assert code == 2
    assert not output
    assert "wrong-duration" in error
    assert "unknown-play" in error


def test_a_folder_of_segments_files_is_merged(folder: Path) -> None:
    head, tail = SEGMENTS.split("fallback:")
    whole = run(folder)[1]
    (folder / "segments.yaml").unlink()
    (folder / "segments.yaml").mkdir()
    (folder / "segments.yaml" / "a.yaml").write_text(head)
    (folder / "segments.yaml" / "b.yml").write_text(f"fallback:{tail}")
    assert [row[:3] for row in moves(run(folder)[1])] == [row[:3] for row in moves(whole)]


def test_packed_and_plain_events_give_the_same_history(folder: Path) -> None:
    packed = folder / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress((folder / "events.jsonl").read_bytes()))
    assert run(folder, "--events", str(packed))[1] == run(folder)[1]


def test_the_examples_can_be_replayed() -> None:
    line = [
        "backtest",
        "-s",
        str(EXAMPLES / "quickstart.yaml"),
        "-e",
        str(EXAMPLES / "yc"),
        "--accounts",
        "--until",
    ]
    result = CliRunner().invoke(build(), [*line, "2025-03-13"])
    assert result.exit_code == 0
    assert not result.stderr
    assert len(rows(result.stdout)) == 6_268


def test_explain_says_why_an_account_is_where_it_is(folder: Path) -> None:
    code, output, _ = run(folder, "https://A.com/", "--at", "2026-01-07", command="explain")
    assert code == 0
    assert "hiring-now" in output
    found = json.loads(run(folder, "a.com", "--at", "2026-01-07", "--json", command="explain")[1])
    assert (found["account"], found["segment"], found["at"]) == (
        "a.com",
        "hiring-now",
        "2026-01-07T00:00:00Z",
    )


def test_explain_stands_at_the_last_event_unless_told(folder: Path) -> None:
    found = json.loads(run(folder, "a.com", "--json", command="explain")[1])
    assert (found["segment"], found["at"]) == ("hiring-now", "2026-01-10T00:00:00Z")


def test_explain_fails_for_an_account_of_which_nothing_is_known(folder: Path) -> None:
    code, _, error = run(folder, "b.com", "--at", "2026-01-07", command="explain")
    assert code == 1
    assert "nothing is known about b.com on Jan 7, 2026" in error


def test_explain_wants_the_domain_of_a_company(folder: Path) -> None:
    assert run(folder, "github.com", command="explain")[0] == 2


def test_another_file_takes_over_at_its_time(folder: Path) -> None:
    renamed = SEGMENTS.replace("hiring-now", "opening").replace("90d", "60d")
    (folder / "new.yaml").write_text("moved: {opening: hiring-now}" + renamed)
    (folder / "last.yaml").write_text(SEGMENTS.replace("hiring-now", "opening").replace("90d", "400d"))
    switches = [f"--switch=2026-06-01={folder / 'last.yaml'}", f"--switch=2026-02-01={folder / 'new.yaml'}"]

    code, output, _ = run(folder, *switches, "--until", "2026-06-30")

    assert code == 0
    assert moves(output)[3:] == [
        ("a.com", "hiring-now", "opening", "2026-02-01T00:00:00Z"),
        ("b.com", "hiring-now", "opening", "2026-02-01T00:00:00Z"),
        ("a.com", "opening", "not-now", "2026-03-02T00:00:00Z"),
        ("b.com", "opening", "not-now", "2026-03-11T00:00:00Z"),
        ("a.com", "not-now", "opening", "2026-06-01T00:00:00Z"),
        ("b.com", "not-now", "opening", "2026-06-01T00:00:00Z"),
    ]
    assert [row["cause"].get("definition") for row in rows(output)[3:]] == [2, 2, None, None, 3, 3]
    assert [row["moved"] for row in rows(output)[3:]] == [True, True, False, False, False, False]
    _, table, _ = run(folder, *switches, "--summary", "--json")
    assert [one["name"] for one in json.loads(table)["segments"]] == ["opening", "not-now", "hiring-now"]


@pytest.mark.parametrize(
    ("switches", "error"),
    [
        (["2026-02-01"], "write --switch 2026-01-31=new.yaml"),
        (["yesterday=segments.yaml"], "is not a time"),
        (["2026-02-01={file}", "2026-02-01T00:00:00Z={file}"], "at the same time"),
    ],
)
def test_a_switch_that_cannot_be_is_refused(folder: Path, switches: list[str], error: str) -> None:
    given = [f"--switch={one.format(file=folder / 'segments.yaml')}" for one in switches]

    code, _, told = run(folder, *given)

    assert code == 2
    assert error in " ".join(told.replace("│", " ").split())
