"""The compiled core and its own source decide, store and say the same, byte by byte; `make test-compiled` runs this."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EVENTS = ("--segments", "examples/segments.yaml", "--events", "examples/synthetic.jsonl.gz")
COMMANDS = {
    "changes": ("backtest", *EVENTS),
    "accounts": ("backtest", *EVENTS, "--accounts"),
    "forecast": ("forecast", *EVENTS, "--json"),
}
NOT_COPIED = ("build", "docs", "integrations", ".*", "__pycache__", f"*{EXTENSION_SUFFIXES[0]}")

pytestmark = pytest.mark.skipif(
    os.environ.get("RESEGMENT_EXPECT_COMPILED") != "1", reason="nothing is compiled here: make test-compiled"
)


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree without its compiled modules, as Python sees it where no compiled wheel fits."""
    tree = tmp_path_factory.mktemp("pure") / "tree"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return tree


def run(tree: Path, *arguments: str | Path) -> bytes:
    done = subprocess.run(
        [sys.executable, "-P", "-m", *arguments],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "100"},
        check=True,
        capture_output=True,
        timeout=200,
    )
    return done.stdout


def live(tree: Path, *files: Path) -> dict[str, Any]:
    run(tree, "tests.contracts.lives", *files)
    return pickle.loads(files[0].read_bytes())  # type: ignore[no-any-return]  # noqa: S301  # the test's own file


def test_both_store_and_publish_the_same_bytes_and_each_reads_what_the_other_stored(
    pure: Path, tmp_path: Path
) -> None:
    compiled = live(ROOT, tmp_path / "compiled")
    interpreted = live(pure, tmp_path / "interpreted")
    assert compiled["core"].endswith(EXTENSION_SUFFIXES[0])
    assert interpreted["core"] == str(pure / "resegment/segmentation/evaluation/fold.py")
    assert sum(len(messages) for _, _, messages in compiled["lives"]) > 100
    assert compiled["lives"] == interpreted["lives"]
    assert sum(len(messages) for messages, _ in compiled["spoiled"]) > 1_000
    assert compiled["spoiled"] == interpreted["spoiled"]
    handed_over = [
        live(ROOT, tmp_path / "handed to compiled", tmp_path / "interpreted"),
        live(pure, tmp_path / "handed to interpreted", tmp_path / "compiled"),
    ]
    assert [one["lives"] for one in handed_over] == [compiled["lives"]] * 2


def test_both_print_the_same_about_recorded_events(pure: Path) -> None:
    for name, command in COMMANDS.items():
        printed = run(ROOT, "resegment", *command)
        assert len(printed) > 500, name
        assert printed == run(pure, "resegment", *command), name
    accounts = [
        line.split(b'"')[3].decode() for line in run(ROOT, "resegment", *COMMANDS["accounts"]).splitlines()
    ]
    for account in accounts[:: len(accounts) // 2]:
        command = ("explain", account, *EVENTS, "--json")
        assert run(ROOT, "resegment", *command) == run(pure, "resegment", *command), account
