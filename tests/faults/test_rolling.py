"""A rolling upgrade: workers of an earlier version and of this one side by side, one after another, and back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.conftest import Arena
from tests.faults.scenario import COMMAND, ROOT, Scenario

BACK = 60
"""How many commits ago the earlier version is, if there is neither UPGRADE_FROM nor a tag."""
WORKERS = 3


def git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()


def find_earlier() -> str:
    """Return the commit of the earlier version. Skip where this checkout has none."""
    for words in (("describe", "--tags", "--abbrev=0", "HEAD~1"), ("rev-parse", "--verify", f"HEAD~{BACK}")):
        with suppress(subprocess.CalledProcessError):
            return git(*words)
    pytest.skip("this checkout has no earlier version: set UPGRADE_FROM to a commit")


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[Path]:
    """The code of the earlier version, in a checkout of its own."""
    tree, commit = tmp_path / "earlier", os.environ.get("UPGRADE_FROM") or find_earlier()
    git("worktree", "add", "--detach", str(tree), commit)
    try:
        found = subprocess.run(
            [
                sys.executable,
                "-P",
                "-c",
                "import resegment.streams.worker.worker as one; print(one.__file__)",
            ],
            env=os.environ | {"PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        assert found.stdout.startswith(str(tree)), "the earlier version would not run"
        yield tree
    finally:
        git("worktree", "remove", "--force", str(tree))


@pytest.mark.faults
async def test_workers_are_replaced_one_after_another_and_nothing_is_lost(
    arena: Arena, earlier: Path
) -> None:
    async def harm(run: Scenario) -> int:
        for _ in range(WORKERS - 1):
            await run.start()
        replaced = 0
        for turn, tree in enumerate((None, earlier, None)):  # forward, back, and forward again
            run.tree = tree
            for place, worker in enumerate(list(run.live)):
                await run.reached(150 + 300 * turn + 80 * place)
                assert await run.stop(worker) == 0
                await run.start()
                replaced += 1
        return replaced

    await arena.play(
        "a rolling upgrade, back and forward again",
        harm,
        least=3 * WORKERS,
        worker=COMMAND,
        tree=earlier,
    )
