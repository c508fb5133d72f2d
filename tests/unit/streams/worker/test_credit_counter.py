from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from resegment.metrics import Metrics
from resegment.outcomes.frames import Ledgers
from resegment.schemas.outcomes.ledger import Dropped, LedgerItem, encode_ledger
from resegment.schemas.outcomes.touch import TouchesForgotten
from resegment.state.partition_store import Position
from resegment.streams.outcomes.counts import Credits, PartitionCredits
from resegment.streams.worker.loops import credit_counter
from resegment.streams.worker.loops.credit_counter import CreditCounter
from tests.unit.outcomes.test_crediting import outcome, touch

ITEMS: list[LedgerItem] = [
    Dropped(account="a.com", count=2),
    touch("k1", 1),
    touch("h", 2, account="b.com", arm="holdout"),
    outcome("r", 2, key="k1"),
    outcome("q", 3, "meeting_booked"),
    outcome("p", 4, key="k9"),
    outcome("n", 3, account="c.com"),
]


class Prefix:
    """Stands in for Redis: ledgers by partition, and the hash of counts."""

    prefix = "p"

    def __init__(self) -> None:
        self.ledgers_of: dict[int, dict[bytes, bytes]] = {}
        self.commits: dict[int, int] = {}
        self.kept: dict[str, bytes] = {}
        self.reads = 0

    async def position(self, number: int, stage: str) -> Position | None:
        assert stage == "router"
        return Position(commit=self.commits[number]) if number in self.commits else None

    async def ledgers(self, number: int) -> AsyncIterator[dict[bytes, bytes]]:
        self.reads += 1
        yield self.ledgers_of[number]
        yield self.ledgers_of[number]  # a scan may give an account twice

    async def now(self) -> int:
        return 7

    async def hset(self, _: str, field: str, value: bytes) -> None:
        self.kept[field] = value


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr(credit_counter, "RESTS", 0)
    prefix, metrics, owned = Prefix(), Metrics(), SimpleNamespace(numbers=[0, 1])
    parts: Any = (owned, prefix, prefix, metrics)
    return SimpleNamespace(
        prefix=prefix, metrics=metrics, owned=owned, counter=CreditCounter(*parts, timedelta(days=90))
    )


def value(world: SimpleNamespace, name: str, **labels: str) -> float | None:
    return world.metrics.registry.get_sample_value(name, labels)


async def test_what_is_credited_and_what_is_not_is_counted(world: SimpleNamespace) -> None:
    world.prefix.ledgers_of[0] = {b"a.com": encode_ledger(ITEMS)}
    world.prefix.commits[0] = 1
    await world.counter.look()
    assert msgspec.json.decode(world.prefix.kept["0"], type=PartitionCredits) == PartitionCredits(
        at=7,
        touches={"enrolled": 1, "holdout": 1},
        credited={"key": 1, "last-touch": 1},
        uncredited={"no-touch": 1, "unknown-key": 1},
        dropped=2,
    )
    assert value(world, "resegment_outcomes", credit="key") == 1
    assert value(world, "resegment_outcomes", credit="unknown-key") == 1
    assert value(world, "resegment_touches", arm="holdout") == 1
    assert value(world, "resegment_outcomes_dropped") == 2


async def test_ledgers_that_are_counted_in_parts_count_as_all_at_once(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    class Watched(Ledgers):
        def take(self, items: Iterable[LedgerItem | TouchesForgotten]) -> None:
            super().take(items)
            held.append(len(self.touches) + len(self.facts))

    ledgers = {
        f"{number}.com".encode(): encode_ledger(
            [
                touch(f"k{number}", 1, account=f"{number}.com"),
                outcome(f"r{number}", 2, account=f"{number}.com", key=f"k{number}"),
            ]
        )
        for number in range(50)
    }
    world.prefix.ledgers_of[0] = ledgers
    world.prefix.commits[0] = 1
    scan = world.prefix.ledgers

    async def some_at_a_time(number: int) -> AsyncIterator[dict[bytes, bytes]]:
        async for found in scan(number):
            for name, ledger in found.items():
                yield {name: ledger}

    monkeypatch.setattr(world.prefix, "ledgers", some_at_a_time)
    monkeypatch.setattr(credit_counter, "Ledgers", Watched)
    monkeypatch.setattr(credit_counter, "TOGETHER", 7)
    await world.counter.look()
    assert msgspec.json.decode(world.prefix.kept["0"], type=PartitionCredits) == PartitionCredits(
        at=7, touches={"enrolled": 50}, credited={"key": 50}
    )
    assert max(held) == 14


async def test_of_a_large_partition_only_the_latest_names_are_in_memory(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = held = 0

    class Name(bytes):
        def __init__(self, _: bytes) -> None:
            nonlocal held, most
            held += 1
            most = max(most, held)

        def __del__(self) -> None:
            nonlocal held
            held -= 1

    async def scan(number: int) -> AsyncIterator[dict[bytes, bytes]]:
        for step in range(100):
            yield {
                Name(f"{number}-{step}-{place}.com".encode()): encode_ledger([Dropped(account="", count=1)])
                for place in range(10)
            }

    monkeypatch.setattr(world.prefix, "ledgers", scan)
    monkeypatch.setattr(credit_counter, "NAMES", 50)
    world.prefix.commits[0] = 1
    await world.counter.look()
    assert msgspec.json.decode(world.prefix.kept["0"], type=PartitionCredits).dropped == 1_000
    assert most <= 50 + 2 * 10


async def test_counts_are_written_before_the_rest_and_not_for_a_partition_that_is_lost_meanwhile(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_at_rest: list[set[str]] = []

    async def rest(_: float) -> None:
        kept_at_rest.append(set(world.prefix.kept))

    async def lose(number: int) -> AsyncIterator[dict[bytes, bytes]]:
        world.owned.numbers = [0]
        yield world.prefix.ledgers_of[number]

    monkeypatch.setattr(credit_counter, "_rest", rest)
    world.prefix.ledgers_of = {number: {b"a.com": encode_ledger(ITEMS)} for number in (0, 1)}
    world.prefix.commits[0] = 1
    await world.counter.look()
    assert kept_at_rest == [{"0"}]
    world.prefix.commits[1] = 1
    monkeypatch.setattr(world.prefix, "ledgers", lose)
    await world.counter.look()
    assert world.prefix.kept.keys() == {"0"}


async def test_a_partition_is_counted_again_only_after_a_commit(world: SimpleNamespace) -> None:
    world.prefix.ledgers_of[0] = {b"a.com": encode_ledger(ITEMS)}
    world.prefix.commits[0] = 1
    await world.counter.look()
    await world.counter.look()
    assert world.prefix.reads == 1
    world.prefix.ledgers_of[0] = {b"a.com": encode_ledger(ITEMS[1:2])}
    world.prefix.commits[0] = 2
    await world.counter.look()
    assert world.prefix.reads == 2
    assert value(world, "resegment_outcomes", credit="key") is None


async def test_a_partition_that_another_worker_owns_is_no_longer_in_the_metrics(
    world: SimpleNamespace,
) -> None:
    world.prefix.ledgers_of[1] = {b"a.com": encode_ledger(ITEMS)}
    world.prefix.commits[1] = 1
    await world.counter.look()
    world.owned.numbers = [0]
    await world.counter.look()
    assert value(world, "resegment_outcomes", credit="key") is None


def test_status_says_how_many_are_credited_to_no_touch() -> None:
    found = Credits(
        {
            0: PartitionCredits(at=9, credited={"key": 5}, uncredited={"window": 1}),
            1: PartitionCredits(at=7, credited={"key": 1}, uncredited={"window": 1, "holdout": 3}, dropped=4),
        }
    )
    assert found.notes == [
        "5 of 11 outcomes are credited to no touch: holdout 3, window 2; `resegment outcomes ACCOUNT` shows those of an account",
        "4 older touches and outcomes are not kept: their accounts have too many",
    ]
    assert found.describe() == {
        "at": "1970-01-01T00:00:00.007Z",
        "touches": {},
        "credited": {"key": 6},
        "uncredited": {"holdout": 3, "window": 2},
        "dropped": 4,
    }
    assert Credits().notes == []
