"""`resegment learn` and `resegment experiments` on the synthetic year, as somebody at a shell meets them."""

from __future__ import annotations

import gzip
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from resegment.cli import build

ROOT = Path(__file__).parents[3]
YEAR = ROOT / "examples" / "outcomes-year"
SEGMENTS = YEAR / "segments.yaml"
TOUCHED = ["--events", str(YEAR / "outcomes.jsonl.gz"), "--commands", str(YEAR / "commands.jsonl.gz")]
FACTS = ["--events", str(ROOT / "examples" / "yc")]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(), list(arguments), env={"COLUMNS": "100"})
    return result.exit_code, result.stdout, result.stderr


@cache
def learned(*arguments: str) -> Any:
    code, output, errors = run(
        "learn", "--segments", str(SEGMENTS), *FACTS, *TOUCHED, "--resamples", "40", "--json", *arguments
    )
    assert code == 0, errors
    return json.loads(output)


def show(name: str, *arguments: str) -> Any:
    code, output, errors = run(
        "experiments", "show", name, "--segments", str(SEGMENTS), *TOUCHED, "--json", *arguments
    )
    assert code == 0, errors
    return json.loads(output)


def test_the_terms_of_the_stated_model_are_learned_from_the_year() -> None:
    found = {one["text"]: one["points"] for one in learned("--metric", "reply")["terms"]}

    assert found["{hiring: true}"] == 10
    assert found["{employees: {gte: 50}}"] > 0
    assert found["{industry: [b2b_software, consumer, healthcare]}"] < 0
    assert not {"{industry: fintech}", "{top_company: true}"} & found.keys()


def test_the_score_in_force_stands_beside_the_learned_one_and_is_checked_on_the_same_touches() -> None:
    made = learned("--metric", "reply")

    assert made["score"] == "fit"
    assert {one["text"]: one["in_force"] for one in made["compared"]}["{industry: fintech}"] == 6
    assert [one["name"] for one in made["check"]["in_force"]] == ["fit"]
    assert made["check"]["points_auc"]["value"] > made["check"]["in_force"][0]["auc"]["value"]
    assert made["tested_by"] == ["{fit: {gte: 7}}"]


def test_what_is_printed_goes_into_the_file_and_through_lint_and_plan(tmp_path: Path) -> None:
    trait = yaml.safe_load(learned("--metric", "reply")["yaml"])["traits"]["fit"]
    file = yaml.safe_load(SEGMENTS.read_text("utf-8"))
    file["traits"]["fit"] = trait
    changed = tmp_path / "segments.yaml"
    changed.write_text(yaml.safe_dump(file, sort_keys=False))

    assert run("lint", "--strict", str(changed))[0] == 0
    assert run("test", str(changed))[0] == 0
    code, output, _ = run("plan", str(changed), "--segments", str(SEGMENTS), *FACTS)
    assert code == 3
    assert "accounts move" in output


def test_people_see_terms_odds_calibration_and_warnings(tmp_path: Path) -> None:
    trait = tmp_path / "fit.yaml"
    code, output, errors = run(
        *("learn", "--segments", str(SEGMENTS), *FACTS, *TOUCHED, "--metric", "reply", "--resamples", "40"),
        *("--output", str(trait)),
    )
    assert code == 0
    for part in (
        "Score fit",
        "×3.43",
        "On later touches",
        "Calibration: slope",
        "! mixed: the touches are of 4 segments",
    ):
        assert part in output
    assert "The file tests {fit: {gte: 7}}" in output
    assert trait.read_text() in output
    assert "wrote" in errors
    assert max(map(len, output.splitlines())) <= 100


def test_where_nothing_is_known_to_matter_no_score_is_proposed(tmp_path: Path) -> None:
    trait = tmp_path / "fit.yaml"
    code, output, _ = run(
        *(
            "learn",
            "--segments",
            str(SEGMENTS),
            *FACTS,
            *TOUCHED,
            "--metric",
            "opportunity",
            "--resamples",
            "40",
        ),
        *("--output", str(trait)),
    )
    assert code == 0
    assert "Nothing in the file is known to tell who comes to opportunity." in output
    assert "traits:" not in output
    assert not trait.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--events", "x.jsonl"], 2, "--segments, --events and --commands"),
        (["--segments", str(SEGMENTS)], 2, "--segments and --format read recorded events"),
        (
            ["--segments", str(SEGMENTS), *TOUCHED, "--score", "growth_1y"],
            2,
            "is a trait of the file, and no score",
        ),
        (["--segments", str(SEGMENTS), *TOUCHED, "--segment", "nosuch"], 2, "nosuch"),
        (["--segments", str(SEGMENTS), *TOUCHED, "--at", "2024-02-01"], 1, "too few outcomes to learn from"),
    ],
)
def test_what_cannot_be_learned_is_said(arguments: list[str], code: int, told: str) -> None:
    found, _, errors = run("learn", *arguments)
    assert found in (code, 2)
    assert told in errors


def test_an_experiment_is_read_once_its_planned_touches_are_old_enough() -> None:
    made = show("does-writing-help")

    assert made["state"] == "read"
    assert made["matured"] == made["declared"]["planned"] == 380
    assert sum(one["touches"] for one in made["variants"]) == 380
    assert made["comparison"]["verdict"] == "no-difference"
    assert 0 < made["comparison"]["high"] < made["declared"]["difference"]
    assert show("does-writing-help", "--at", "2024-12-01")["comparison"] == made["comparison"]


def test_before_its_horizon_an_experiment_says_how_far_it_is_and_nothing_else() -> None:
    made = show("hello-or-peer", "--at", "2024-05-01")

    assert (made["state"], made["comparison"]) == ("not-yet", None)
    assert [one["came"] for one in made["variants"]] == [None, None]
    code, output, _ = run(
        *(
            "experiments",
            "show",
            "hello-or-peer",
            "--segments",
            str(SEGMENTS),
            *TOUCHED,
            "--at",
            "2024-05-01",
        ),
    )
    assert code == 0
    assert "not yet: 637 of 1,764 touches are 14d old, read on about" in output


def test_an_early_look_shows_intervals_that_hold_at_every_look_and_warns() -> None:
    made = show("hello-or-peer", "--at", "2024-05-01", "--early")

    assert made["comparison"]["always_valid"]
    assert made["comparison"]["p_value"] is None
    assert made["comparison"]["high"] - made["comparison"]["low"] > 0.1
    assert any("early look" in one for one in made["warnings"])


def test_an_experiment_that_ends_with_fewer_touches_says_so() -> None:
    made = show("hello-or-peer")

    assert made["state"] == "short"
    assert made["warnings"] == ["the experiment ended with 1,631 of 1,764 planned touches: it finds less"]
    assert made["reached_power"] < 0.8


def test_the_list_has_every_experiment_and_no_result() -> None:
    code, output, _ = run("experiments", "list", "--segments", str(SEGMENTS), *TOUCHED, "--json")
    made = json.loads(output)

    assert code == 0
    assert [one["declared"]["name"] for one in made] == ["does-writing-help", "hello-or-peer"]
    assert all(one["comparison"] is None and one["variants"][0]["came"] is None for one in made)


def test_an_unknown_experiment_is_refused_with_those_that_there_are() -> None:
    code, _, errors = run("experiments", "show", "nosuch", "--segments", str(SEGMENTS), *TOUCHED)
    assert code == 2
    assert "does-writing-help, hello-or-peer" in errors


def test_the_files_of_the_year_are_those_that_its_script_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("make_outcomes", YEAR / "make_outcomes.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written: dict[str, list[bytes]] = {}
    monkeypatch.setattr(script, "write", written.__setitem__)
    script.main()
    for name, lines in written.items():
        assert gzip.decompress((YEAR / name).read_bytes()).splitlines() == lines
    assert set(written) == {"commands.jsonl.gz", "outcomes.jsonl.gz"}
