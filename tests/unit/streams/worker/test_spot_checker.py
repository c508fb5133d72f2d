"""A slice that can't be checked is said, turn after turn: silence would mean that accounts are as the log gives them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from resegment.errors import FatalError
from resegment.metrics import Metrics
from resegment.streams.spot_checks import SpotCheck, find_blocked, read_spot_checks, tell_promise
from resegment.streams.worker.loops import spot_checker
from resegment.streams.worker.loops.spot_checker import SpotChecker
from resegment.streams.worker.slice_check import AccountSlice, NotNow, SliceFound

PREFIX = "resegment"


class Kept:
    """What Redis keeps of spot checks."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.written = asyncio.Event()

    async def hset(self, _: str, field: str, value: bytes) -> None:
        self.values[field.encode()] = value
        self.written.set()

    async def hgetall(self, _: str) -> dict[bytes, bytes]:
        return self.values


class Partitions:
    """One owned partition."""

    live = SimpleNamespace(number=0, fence=1, position=None)

    def __iter__(self) -> Iterator[Any]:
        return iter([self.live])

    def get(self, _: int) -> Any:
        return self.live


class Reader:
    """A prefix with accounts for two slices."""

    prefix = PREFIX

    async def count(self, _: int) -> int:
        return spot_checker.SLICE + 1


async def follow(monkeypatch: pytest.MonkeyPatch, turns: list[Exception | None]) -> list[SpotCheck]:
    """Check the first slice with these outcomes, and the second one well; return what was kept after each round."""
    kept, outcomes, found = Kept(), iter(turns), list[SpotCheck]()
    over = asyncio.Event()

    class Check:
        def __init__(self, _: int, some: AccountSlice, *__: Any, **___: Any) -> None:
            self._number = some.number

        async def run(self) -> SliceFound:
            if self._number == 0:
                outcome = next(outcomes, over)
                if outcome is over:
                    over.set()
                elif isinstance(outcome, Exception):
                    raise outcome
            elif kept.values:
                found.append((await read_spot_checks(client, PREFIX))[0])
            return SliceFound(checked=1)

    client: Any = kept
    source: Any = SimpleNamespace(has_whole=lambda _: True)
    partitions: Any = Partitions()
    reader: Any = Reader()
    monkeypatch.setattr(spot_checker, "SliceCheck", Check)
    monkeypatch.setattr(spot_checker, "ATTEMPTS", 1)
    monkeypatch.setattr(spot_checker, "AGAIN_AFTER", 0)
    registry: Any = None
    checker = SpotChecker(registry, partitions, client, reader, source, Metrics(), within=0.01)
    async with asyncio.timeout(60):
        running = asyncio.create_task(checker.run())
        await over.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return found


async def test_a_slice_that_fails_at_two_turns_is_said_until_it_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fails: list[Exception | None] = [FatalError("the log is torn", remedy="none"), ValueError("no such fact")]
    found = await follow(monkeypatch, [None, *fails, None, None])
    assert [one.blocked for one in found[1:4]] == [
        None,
        "the check failed: ValueError('no such fact')",
        None,
    ]
    assert {one.blocked for one in found[4:]} <= {None}
    blocked = {0: found[2]}
    assert find_blocked(blocked)
    assert tell_promise(blocked) is None


async def test_a_slice_that_waits_for_a_switch_at_one_turn_is_no_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await follow(monkeypatch, [None, NotNow("a switch"), None, NotNow("a switch"), None])
    assert [one.blocked for one in found] == [None] * len(found)
    assert len(found) >= 4


async def test_it_is_known_since_when_every_account_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]

    def passing() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(spot_checker, "time", SimpleNamespace(time=passing, monotonic=time.monotonic))
    found = await follow(monkeypatch, [None] * 6)
    whole = [one for one in found if one.oldest is not None]
    assert found[0].oldest is None, "only one of the slices was checked"
    assert len(whole) >= 3
    assert all(one.oldest < one.at for one in whole if one.oldest is not None)
    assert [one.oldest for one in whole] == sorted(one.oldest or 0 for one in whole)
    assert len({one.oldest for one in whole}) > 1, "it moves on with each round"


async def test_a_partition_that_has_grown_is_checked_in_more_slices_than_were_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = list[AccountSlice]()
    over = asyncio.Event()

    class Growing(Reader):
        accounts = 1

        async def count(self, _: int) -> int:
            planned, self.accounts = self.accounts, 10 * spot_checker.SLICE
            return planned

    class Check:
        def __init__(self, _: int, some: AccountSlice, *__: Any, **___: Any) -> None:
            checked.append(some)
            if len(checked) == 3:
                over.set()

        async def run(self) -> SliceFound:
            return SliceFound(checked=1)

    client: Any = Kept()
    source: Any = SimpleNamespace(has_whole=lambda _: True)
    partitions: Any = Partitions()
    reader: Any = Growing()
    registry: Any = None
    monkeypatch.setattr(spot_checker, "SliceCheck", Check)
    checker = SpotChecker(registry, partitions, client, reader, source, Metrics(), within=0.01)
    async with asyncio.timeout(60):
        running = asyncio.create_task(checker.run())
        await over.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [one.of for one in checked[:3]] == [10] * 3
