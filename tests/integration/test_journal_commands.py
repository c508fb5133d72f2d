"""What needs the log works on an embedded instance that was stopped and started again."""

from __future__ import annotations

import json
from pathlib import Path

from tests.trial import SEGMENTS, Trial

OLD = """        - {status: active}
        - {event: hiring, where: {change: opened}, within: 90d}"""
NEW = """        - {event: hiring, where: {title: {contains: executive 1}}, within: 4000d}"""


async def test_a_version_that_reads_other_facts_is_applied_after_a_restart(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "instance", 600, partitions=2)
    other = tmp_path / "other.yaml"
    text = SEGMENTS.read_text()
    assert OLD in text
    other.write_text(text.replace(OLD, NEW))
    try:
        await trial.start()
        await trial.feed(600, patience=60.0)
        await trial.settled()
        assert {one["segment"] for one in await trial.accounts()} == {"established", "not-now"}
        await trial.stop()
        await trial.start()

        code, output, error = await trial.run("apply", str(other), "--yes")
        assert code == 0, output + error
        segments = {one["account"]: one["segment"] for one in await trial.accounts()}
        assert set(segments.values()) >= {"hiring-now", "not-now"}  # the facts were out of the old window
        code, output, error = await trial.run("verify")
        assert code == 0, output + error

        await trial.stop()
        await trial.start()
        code, output, _ = await trial.run("history", "--json")
        assert code == 0
        assert len([json.loads(line) for line in output.splitlines()]) == 2
        assert {one["account"]: one["segment"] for one in await trial.accounts()} == segments
        await trial.stop()
    finally:
        trial.kill()
