"""`resegment backtest` shares its work among processes, and its output is that of a plain replay, byte for byte."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.cli.connection import read_limits
from resegment.cli.replaying import backtest as module
from resegment.cli.replaying import reading
from resegment.console.terminal import encode_line
from resegment.identity.aliases import use_aliases
from resegment.identity.resolution import resolve_event
from resegment.schemas.change import SegmentChange
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.evaluation.engine import net_changes
from resegment.segmentation.inspection.backtest import backtest
from resegment.segmentation.versions.chain import follow
from resegment.sources.segments import load_definition

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

KINDS = ("hiring", "funding", "firmographic", "tech", "leadership")
SEGMENTS = """
version: 1
attributes:
  arr: number
privacy: {drop: [secret]}
same: {funding: {within: 30d, amount: 20%}}
traits:
  growth: {growth: employees, over: 90d}
segments:
  - name: growing
    when: {all: [{technologies: {has_any: [gong]}}, {growth: {gte: 0.2}}, {employees: {gte: 1, known_within: 60d}}]}
    hold: {min_dwell: 3d, cooldown: 10d}
    play: talk
    route: {workflow: growing}
  - name: funded
    when: {all: [{event: funding, within: 40d, count: {gte: 2}}, {not: {event: leadership, within: 20d}}]}
    play: talk
    route: {workflow: funded}
  - name: hiring-now
    when: {any: [{event: hiring, where: {change: opened}, within: 30d}, {arr: {eq: 7}}]}
    play: talk
    route: {workflow: hiring}
fallback: {name: not-now, play: talk, route: {workflow: nurture}}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
"""
NEXT = SEGMENTS.replace("privacy: {drop: [secret]}\n", "").replace("within: 30d}, {arr", "within: 15d}, {arr")
SWITCH = "2026-02-15"


def _data(draw: random.Random, kind: str) -> dict[str, Any]:
    given: dict[str, dict[str, Any]] = {
        "hiring": {"change": draw.choice(("opened", "closed")), "function": "sales", "secret": "x"},
        "funding": {"round": "seed", "amount_usd": draw.choice((1, 2, 10**18, 2.5)) * 10},
        "firmographic": {
            "employees": draw.randrange(10, 400), "arr": draw.choice((5, "7", "many", 1e30)),
            "industry": "Software", "technologies": draw.sample(["gong", "outreach", "Excel"], 2),
        },
        "tech": {"change": draw.choice(("added", "removed")), "technology": "gong"},
        "leadership": {"change": "joined", "role": "cro", "person": "Zoë \N{RIGHT-TO-LEFT OVERRIDE}"},
    }  # fmt: skip
    return given[kind]


def make_events(seed: int, count: int) -> list[bytes]:
    """Events of a few accounts: out of order, repeated, revised, retracted, contradicting, and some refused."""
    draw = random.Random(seed)
    lines: list[bytes] = []
    for number in range(count):
        kind = draw.choice(KINDS)
        time = parse_instant("2026-01-01T00:00:00Z") + draw.randrange(90 * 24) * 3_600_000
        event = {
            "specversion": "1.0",
            "id": f"e{draw.randrange(number + 1) if draw.random() < 0.1 else number}",
            "source": f"/feed-{draw.randrange(3)}",
            "type": f"gtm.{kind}.v1",
            "subject": f"https://www.acct-{int(9 * draw.random() ** 2)}.com/x",
            "time": format_instant(time),
            "data": _data(draw, kind),
        }
        if draw.random() < 0.3:
            event["recordedtime"] = format_instant(time + draw.randrange(5) * 86_400_000)
        if draw.random() < 0.1:
            event |= {"record": f"e{draw.randrange(number + 1)}", "op": draw.choice(("assert", "retract"))}
        if draw.random() < 0.03:
            event |= draw.choice([{"subject": "nowhere"}, {"type": "gtm.none.v1"}, {"time": "soon"}])
        lines.append(orjson.dumps(event))
    lines.insert(count // 2, b"not an event")
    return lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "segments.yaml").write_text(SEGMENTS)
    (tmp_path / "next.yaml").write_text(NEXT)
    lines = make_events(7, 400)
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines[:250]))
    (tmp_path / "more.jsonl").write_bytes(b"\n".join(lines[250:]))
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, bytes, str]:
    files = ["--events", str(folder / "events.jsonl"), str(folder / "more.jsonl")]
    segments = ["--segments", str(folder / "segments.yaml")]
    result = CliRunner().invoke(build(), ["backtest", *arguments, *segments, *files])
    return result.exit_code, result.stdout_bytes, result.stderr


def describe(change: SegmentChange) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(change)
    plain["effective_at"] = format_instant(change.effective_at)
    plain["decided_at"] = format_instant(change.decided_at)
    plain["lost_until"] = format_instant(change.lost_until) if change.lost_until else None
    first = ("account", "from", "to", "effective_at", "sequence_number", "cause", "reason")
    return {**{name: plain[name] for name in first}, **plain}


def replay_plainly(folder: Path, switches: Sequence[tuple[int, str]] = ()) -> bytes:
    """What the command prints, from the events decoded one by one and replayed in one list."""
    first = load_definition(str(folder / "segments.yaml"))
    later = [(at, load_definition(str(folder / name))) for at, name in switches]
    timeline = follow(first, later, read_limits())
    facts = []
    for name in ("events.jsonl", "more.jsonl"):
        for line in (folder / name).read_bytes().split(b"\n"):
            try:
                facts.append(timeline.receive(resolve_event(decode_event(line))))
            except Exception:  # noqa: BLE001, S112  # refused
                continue
    rows = [
        (one.effective_at, one.account, one.sequence_number, encode_line(describe(one)))
        for _, changes in backtest(timeline, facts)
        for one in net_changes(changes)
    ]
    return b"".join(line for *_, line in sorted(rows))


@pytest.mark.parametrize("switches", [(), ((SWITCH, "next.yaml"),)], ids=["one version", "a switch"])
def test_the_output_is_that_of_a_plain_replay(folder: Path, switches: Sequence[tuple[str, str]]) -> None:
    options = [text for at, name in switches for text in ("--switch", f"{at}={folder / name}")]
    times = [(parse_instant(f"{at}T00:00:00Z"), name) for at, name in switches]
    code, output, _ = run(folder, *options)
    assert code == 0
    assert output == replay_plainly(folder, times)
    assert len(output.splitlines()) > 40


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--accounts",),
        ("--at", "2026-02-20"),
        ("--until", "2026-02-01"),
        ("--summary", "--json"),
        ("--switch", f"{SWITCH}=next.yaml"),
    ],
    ids=lambda options: " ".join(options) or "changes",
)
def test_any_number_of_processes_prints_the_same(
    folder: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    alone = run(folder, *options)
    # Small parts, so that each process gets several, and an account's events come in several chunks.
    monkeypatch.setattr(reading, "CHUNK", 7)
    monkeypatch.setattr(module, "BATCH", 60)
    shared = [run(folder, *options, "--jobs", jobs) for jobs in ("1", "2", "3")]
    assert shared == [alone] * 3
    assert alone[0] == 0
    assert "events refused" in alone[2]
    assert "with the id of an earlier one" in alone[2]
    assert "values that do not fit the type" in alone[2]


def test_every_process_knows_the_aliases(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "aliases.json").write_text('{"acct-0.com": "acct-1.com", "acct-2.com": "other.com"}')
    monkeypatch.setenv("RESEGMENT_ALIASES", str(folder / "aliases.json"))
    try:
        alone, shared = run(folder), run(folder, "--jobs", "2")
    finally:
        use_aliases({})
    assert shared == alone
    named = {json.loads(line)["account"] for line in alone[1].splitlines()}
    assert "other.com" in named
    assert not {"acct-0.com", "acct-2.com"} & named


def test_refused_events_are_reported_in_the_order_of_the_files(folder: Path) -> None:
    error = run(folder, "--jobs", "2")[2]
    places = [line.split(": ")[0].rsplit(":", 1) for line in error.splitlines() if ".jsonl:" in line]
    assert places == sorted(places, key=lambda place: (Path(place[0]).name, int(place[1])))
    assert len(places) == 10


def test_a_broken_file_ends_the_command_whatever_the_processes(folder: Path) -> None:
    (folder / "more.jsonl").write_bytes(b"[1, 2")
    for jobs in ("1", "2"):
        code, output, error = run(folder, "--jobs", jobs)
        assert (code, output) == (2, b"")
        assert "the JSON list is broken" in error


def test_a_number_of_processes_below_one_is_wrong_usage(folder: Path) -> None:
    assert run(folder, "--jobs", "0")[0] == 2


def test_no_event_at_all_gives_no_line(folder: Path) -> None:
    for name in ("events.jsonl", "more.jsonl"):
        (folder / name).write_bytes(b"")
    assert run(folder, "--jobs", "2") == (0, b"", "")
    assert json.loads(run(folder, "--summary", "--json")[1])["accounts"] == 0
