"""The job on Quix Streams: state in RocksDB with a changelog, exactly once, with the defaults.

It runs in an environment of its own (`environment.py`), where nothing of this project is installed: it reads its task,
and finds the rules by its own place.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from quixstreams import Application

STATE = "state"
PATIENCE = 120.0
"""Seconds without a message after which the run ends, whatever is missing."""


def run(task: dict[str, Any]) -> None:
    """Do all events, and tell what that took."""
    if task["core"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {task["core"]})
    apply = _load_rules()
    begun: list[float] = []

    def work(event: dict[str, Any], state: Any) -> dict[str, Any] | None:
        if not begun:
            begun.extend((time.process_time(), time.perf_counter()))
        change: dict[str, Any] | None
        kept, change = apply(state.get(STATE), event)
        state.set(STATE, kept)
        return change

    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=task["bootstrap"],
            consumer_group=task["prefix"],
            auto_offset_reset="earliest",
            processing_guarantee=task["guarantee"],
            state_dir=folder,
            loglevel=logging.WARNING,
        )
        changes = app.topic(f"{task['prefix']}.segment-changes")
        frame = app.dataframe(app.topic(task["source"]))
        frame = frame.apply(work, stateful=True).filter(lambda change: change is not None)
        frame.to_topic(changes)
        # it returns once the last checkpoint is committed: state, changes and offsets
        app.run(count=task["events"], timeout=PATIENCE, collect=False)
        cpu, seconds = time.process_time() - begun[0], time.perf_counter() - begun[1]
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    )
    report = {"events": task["events"], "seconds": seconds, "cpu": cpu, "peak_mb": peak}
    sys.stdout.write(json.dumps(report) + "\n")


def _load_rules() -> Any:
    spec = importlib.util.spec_from_file_location("rules", Path(__file__).parents[1] / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.apply


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
