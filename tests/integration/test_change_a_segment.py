"""docs/change-a-segment.md from the idea to the rollback, on the embedded servers, as the page says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from resegment.cli.connection import read_instance
from tests.walk import ROOT, Step, Walk, steps_of

PAGE = ROOT / "docs" / "change-a-segment.md"
LIVE = "## On a running instance"
DEADLINE = 120.0


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not holds():  # another process works
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.2)


def start(walk: Walk, step: Step) -> subprocess.Popen[bytes]:
    """Run the command that keeps running, with a free HTTP port, until its instance is there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
    command = f"PATH={walk.folder / 'bin'}:$PATH {step.text.strip()} --http-port 0"
    with (walk.folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command.replace("RESEGMENT_CLOCK", "exec env RESEGMENT_CLOCK", 1)],
            cwd=walk.folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    wait_until(lambda: read_instance(walk.folder / ".resegment") is not None or process.poll() is not None)
    assert process.poll() is None, (walk.folder / "up.log").read_text()
    return process


def is_done(walk: Walk, sent: float) -> bool:
    """Whether every account is placed and no record waits, by what workers reported since all was sent."""
    since = time.monotonic() - sent
    status = json.loads(walk.run("resegment status --json"))
    waiting = sum(status["lag"].values()) + sum(one["outbox"] for one in status["partitions"])
    fresh = bool(status["workers"]) and all(one["silent_seconds"] < since for one in status["workers"])
    return status["accounts"] == 6268 and waiting == 0 and fresh


def test_a_change_goes_from_the_idea_to_the_rollback(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    for step in steps_of(PAGE, until=LIVE):
        if step.kind == "diff" or step.text.startswith("cp "):
            walk.take(step)
    first, sent, *others = steps_of(PAGE, since=LIVE)
    process = start(walk, first)
    try:
        walk.take(sent)
        at = time.monotonic()
        wait_until(lambda: is_done(walk, at))
        for step in others:
            walk.take(step)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(DEADLINE)
    assert len(others) >= 7
