"""The console stops in time, whatever still waits for a server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

WAITING = """
import os, signal, time
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace

from resegment.cli.access import entrance
from resegment.cli.operations import session
from resegment.cli.runtime import console
from resegment.settings import Settings
from resegment.streams import shutdown
from resegment.streams.kafka import partition_counts
from resegment.streams.kafka.topics import Topics

def count(*_, **__):
    print("asks", flush=True)
    time.sleep(60)

@asynccontextmanager
async def open_session(_):
    yield SimpleNamespace(
        client=None, bootstrap="away:9092", topics=Topics("p"), security={}, settings=SETTINGS, keys=None,
        reader=SimpleNamespace(partitions=1, prefix="p", now=None), held={}, prefix="p",
    )

async def check_login(_):
    pass

SETTINGS = Settings(http_port=0)
shutdown.Stopping = partial(shutdown.Stopping, 0.5)
partition_counts.TopicLooks.count = count
session.open_session, entrance.check_login = open_session, check_login
entrance.open_operations = lambda *_: None
import asyncio
asyncio.run(console._run(SETTINGS, None))
"""


def test_a_console_whose_kafka_does_not_answer_is_gone_in_time() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "asks" in process.stdout.readline()
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=50)
        assert process.returncode == 0, errors
        assert time.monotonic() - begun < 45, errors
