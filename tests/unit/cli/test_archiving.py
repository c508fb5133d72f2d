"""An archive that fails in any way stops nothing else: `status` says it, and it is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from resegment.cli import archiving as composition
from resegment.cli.archiving import archiving
from resegment.metrics import Metrics
from resegment.settings import Settings


class Reports:
    """Where reports are kept."""

    def __init__(self) -> None:
        self.problems: list[str | None] = []

    async def set(self, _: str, value: bytes) -> None:
        self.problems.append(orjson.loads(value).get("problem"))

    async def aclose(self) -> None:
        """Do nothing."""


async def test_an_archiver_that_fails_unexpectedly_is_reported_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reports, works, metrics, failing = Reports(), asyncio.Event(), Metrics(), list[float | None]()
    told = metrics.registry.get_sample_value
    failures: list[Exception] = [KeyError("no such column"), RuntimeError("no such file system")]

    class Failing:
        def __init__(self, *_: Any) -> None:
            """Take anything."""

        async def run(self, stop: asyncio.Event, report: Callable[..., Any]) -> dict[str, Any]:
            if failures:
                raise failures.pop(0)
            failing.append(told("resegment_archive_failing"))
            await report({})
            failing.append(told("resegment_archive_failing"))
            works.set()
            await stop.wait()
            return {}

    monkeypatch.setattr(composition, "Archiver", Failing)
    monkeypatch.setattr(composition, "connect_redis", lambda *_: reports)
    monkeypatch.setattr(composition, "TRIED_EVERY", 0.001)
    async with (
        asyncio.timeout(60),
        archiving(Settings(), str(tmp_path), bootstrap="", redis_url="", metrics=metrics),
    ):
        await works.wait()
    assert reports.problems == [
        "it failed: KeyError: the message is left out, because it may quote data",
        "it failed: RuntimeError: no such file system",
        None,
    ]
    assert failing == [1, 0]
