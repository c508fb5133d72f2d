"""A process that has failed is gone soon, whatever still runs in it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

FAILING = """
import asyncio, time
from resegment.cli.runtime import process
from resegment.cli.runtime.signals import ending
from resegment.errors import FatalError

async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def main():
    {keeps_it}
    with ending(0.3):
        await asyncio.sleep(0.1)
        raise FatalError("the log was replaced", remedy="Restart it.")

process.own()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "keeps_it",
    [
        "task = asyncio.create_task(stubborn())",
        "task = asyncio.create_task(asyncio.to_thread(time.sleep, 3600))",
    ],
    ids=["a task that swallows its cancellation", "a thread that waits"],
)
def test_a_failed_process_is_gone_in_time_and_says_why(keeps_it: str) -> None:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", FAILING.format(keeps_it=keeps_it)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "the log was replaced" in done.stderr
    assert "Restart it." in done.stderr
    assert time.monotonic() - begun < 60
