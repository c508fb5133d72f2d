"""A partition is read as it is at one position, while its worker commits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from resegment.state.partition_store import Position
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations import snapshot
from resegment.streams.operations.snapshot import read_snapshot


@dataclass
class Record:
    key: bytes | None


@dataclass
class Partition:
    """A partition whose worker commits one signal after each of the first reads; a state is its account's last offset."""

    commits: int
    signals: list[str] = field(default_factory=lambda: [f"a{number % 5}.com" for number in range(20)])
    offset: int = 10

    def states(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for offset, name in enumerate(self.signals[: self.offset]):
            found[name] = str(offset).encode()
        return found

    def commit(self) -> None:
        if self.commits:
            self.commits -= 1
            self.offset += 1

    # As PrefixReader

    async def position(self, number: int) -> Position | None:
        return Position(offset=self.offset, clock=self.offset) if self.offset else None

    async def raw_states(self, number: int) -> AsyncIterator[tuple[str, bytes]]:
        for name in list(self.states()):
            yield name, self.states()[name]
            self.commit()

    async def states_at(self, number: int, names: Sequence[str]) -> tuple[dict[str, bytes], Position]:
        states, position = self.states(), Position(offset=self.offset, clock=self.offset)
        self.commit()
        return {name: states[name] for name in names if name in states}, position

    # As the log

    async def between(self, number: int, start: int, end: int) -> AsyncIterator[list[Record]]:
        yield [Record(name.encode()) for name in self.signals[start:end]]
        yield [Record(None)]  # a tick


async def read(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> Any:
    @asynccontextmanager
    async def reading(*_: Any, **__: Any) -> AsyncIterator[Partition]:
        yield partition

    monkeypatch.setattr(snapshot, "reading", reading)
    return await read_snapshot(partition, 0, bootstrap="", topics=Topics("x"), security={})  # type: ignore[arg-type]


@pytest.mark.parametrize("commits", range(9))
async def test_all_states_are_of_the_position_that_comes_with_them(
    commits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = Partition(commits)
    found = await read(partition, monkeypatch)
    assert found.position.offset >= 10 + min(commits, 5)  # what came while the accounts were scanned is in it
    partition.offset = found.position.offset
    assert found.states == partition.states()


async def test_a_partition_that_never_was_written_has_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await read(Partition(0, offset=0), monkeypatch) is None
