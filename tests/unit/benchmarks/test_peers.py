"""Peers are compared in turns, and a figure counts only if the output is what was expected."""

import asyncio
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from resegment import benchmarks
from resegment.benchmarks.checking import Verdict
from resegment.benchmarks.events import make_events
from resegment.benchmarks.peers import environment
from resegment.benchmarks.peers.comparison import Compared, Peer, _make_few, expect_moves, judge
from resegment.benchmarks.peers.environment import PeerNotInstalled, find_python, folder_of
from resegment.benchmarks.report import render_peers
from resegment.benchmarks.rules import apply
from resegment.benchmarks.run import Figures

QUIX = Path(benchmarks.__file__).with_name("peers") / "quix.py"
RIGHT = Verdict(changes=3, missing=0, unexpected=0, misplaced=0)


def figures(worker: float, verdict: Verdict = RIGHT) -> Figures:
    return Figures("by hand", 100, 1_000.0, worker, 4.0, None, 100.0, verdict)


def test_what_is_expected_is_each_change_of_the_rules_once() -> None:
    events = list(make_events(50, 1_000))
    moved = expect_moves(events)
    assert set(moved.values()) == {1}
    assert len({account for account, *_ in moved}) == 50
    assert {event for _, _, _, event in moved} <= {orjson.loads(one.value)["id"] for one in events}


def test_a_change_that_is_missing_twice_there_or_different_is_counted() -> None:
    expected = Counter({("a", None, "x", "1"): 1, ("a", "x", "y", "2"): 1})
    assert judge(expected, expected).is_right
    found = Counter({("a", None, "x", "1"): 2, ("a", "x", "z", "2"): 1})
    assert judge(found, expected) == Verdict(changes=3, missing=1, unexpected=2, misplaced=0)


def test_stock_faust_gets_fewer_events_of_the_same_kinds() -> None:
    few = _make_few(50_000, 500_000, 10_000)
    assert 9_990 <= len(few) <= 10_000
    assert sum(b"firmographic" in one.value for one in few) == 909
    assert len(_make_few(10, 20, 10_000)) == 30
    assert _make_few(10, 20, 0) == []


def test_a_participant_with_a_wrong_output_has_no_figure() -> None:
    wrong = Verdict(changes=2, missing=1, unexpected=0, misplaced=0)
    compared = Compared(
        10,
        100,
        [
            Peer("by hand", "at least once", [figures(10.0), figures(12.0)]),
            Peer("other", "none", [figures(77.0), figures(77.0, wrong)]),
        ],
        ["third: not there"],
        [0.5, 0.7],
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render_peers(compared))
    shown = console.export_text()
    assert "…" not in shown
    assert "10.0, 12.0" in shown
    assert "77" not in shown
    assert "1 missing" in shown
    assert "by up to 20%" in shown
    assert "left out: third: not there" in shown
    assert not compared.is_right
    assert compared.noise == pytest.approx(0.2)


def test_the_second_round_counts_as_much_as_the_first() -> None:
    assert Peer("a", "", [figures(10.0), figures(30.0)]).worker == 20.0


def test_quix_finds_the_rules_without_this_project() -> None:
    code = (
        "import importlib.util, sys, types, json\n"
        "fake = types.ModuleType('quixstreams'); fake.Application = object; sys.modules['quixstreams'] = fake\n"
        f"spec = importlib.util.spec_from_file_location('quix', {str(QUIX)!r})\n"
        "quix = importlib.util.module_from_spec(spec); spec.loader.exec_module(quix)\n"
        "print(json.dumps(quix._load_rules()(None, json.loads(sys.stdin.read()))[1]))\n"
        "assert not any(name.startswith('resegment') for name in sys.modules)\n"
    )
    event = next(make_events(1, 1))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], input=event.value, capture_output=True, check=True
    )
    assert json.loads(ran.stdout) == apply(None, orjson.loads(event.value))[1]


class Commands:
    """Stands for the programs that are run: notes them, and fails where it is told to."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.ran: list[str] = []

    async def __call__(self, program: Path, *arguments: str) -> str | None:
        line = " ".join(arguments)
        self.ran.append(line)
        if "venv" in arguments:
            python = Path(arguments[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        return "no route to the registry" if self.failing and self.failing in line else None


def test_an_environment_is_made_once_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, said = Commands(), list[str]()
    monkeypatch.setattr(environment, "_run", commands)
    folder = tmp_path / "cache" / "peer"
    made = [asyncio.run(find_python("quixstreams==3.28.1", said.append, folder)) for _ in range(2)]
    assert made == [folder / "bin" / "python"] * 2
    assert sum("pip install" in line for line in commands.ran) == 1
    assert said == [f"installing quixstreams==3.28.1 in {folder}"]


def test_an_environment_that_cannot_be_made_says_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_run", Commands("pip install"))
    with pytest.raises(PeerNotInstalled) as raised:
        asyncio.run(find_python("quixstreams==3.28.1", lambda _: None, tmp_path / "peer"))
    assert "no route to the registry" in raised.value.message
    assert f"{tmp_path / 'peer'}/bin/pip install quixstreams==3.28.1" in str(raised.value.remedy)
    assert not (tmp_path / "peer").exists()


def test_each_release_and_each_python_has_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"
    assert folder_of("quixstreams==3.28.1") == Path(f"/cache/resegment/peers/quixstreams-3.28.1-{version}")


def test_a_program_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    python: Any = Path(sys.executable)
    assert asyncio.run(environment._run(python, "-c", "pass")) is None
    assert asyncio.run(environment._run(python, "-c", "raise SystemExit('no room')")) == "no room"
    assert "No such file" in str(asyncio.run(environment._run(tmp_path / "none")))
