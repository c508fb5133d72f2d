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
    done = 0

    def work(event: dict[str, Any], state: Any) -> dict[str, Any] | None:
        nonlocal done
        if not begun:
            begun.extend((time.process_time(), time.perf_counter()))
        change: dict[str, Any] | None
        kept, change = apply(state.get(STATE), event)
        state.set(STATE, kept)
        done += 1
        if done == task["events"]:
            app.stop()
        return change

    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=task["bootstrap"],
            consumer_group=task["prefix"],
            auto_offset_reset="earliest",
            processing_guarantee=task["guarantee"],
            state_dir=folder,
            commit_every=task["commit_every"],  # 0: every 5 seconds
            loglevel=logging.WARNING,
            # the embedded broker answers the first join after half of it
            consumer_extra_config={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 2_000},
        )
        changes = app.topic(f"{task['prefix']}.segment-changes")
        frame = app.dataframe(app.topic(task["source"]))
        frame = frame.apply(work, stateful=True).filter(lambda change: change is not None)
        frame.to_topic(changes)
        # it returns once the last checkpoint is committed: state, changes and offsets
        app.run(timeout=PATIENCE)
        cpu, seconds = time.process_time() - begun[0], time.perf_counter() - begun[1]
    report = {"events": done, "seconds": seconds, "cpu": cpu, "peak_mb": _peak_mb()}
    sys.stdout.write(json.dumps(report) + "\n")


def _peak_mb() -> float:
    # not what getrusage says where /proc does: that begins with the peak of the process that started this one
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _load_rules() -> Any:
    spec = importlib.util.spec_from_file_location("rules", Path(__file__).parents[1] / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.apply


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
