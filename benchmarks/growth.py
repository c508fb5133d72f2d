"""What an event costs as accounts grow, and as they become many: a partition on Redis, beside the loop by hand."""

from __future__ import annotations

import gc
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

import orjson
import redis as sync_redis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.deciding.versions import one_version
from resegment.agents.partition import OwnedPartition
from resegment.agents.relay import relay
from resegment.agents.segmenter import decide_due, segment
from resegment.benchmarks.events import BEGIN, make_events
from resegment.benchmarks.participant import resident_bytes
from resegment.benchmarks.rules import apply
from resegment.benchmarks.run import SEGMENTS
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import encode_fact
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.sources.segments import load_definition
from resegment.state.account_cache import DEFAULT, CacheBudget
from resegment.state.redis.partition import PartitionStore
from resegment.state.redis.whole_prefix import delete_keys
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from resegment.streams.runtime import settle

FACTS: Final = (10, 100, 1_000, 2_000)
ACCOUNTS: Final = (10_000, 100_000, 1_000_000)
VIEWS: Final = str(Path(__file__).with_name("views.yaml"))
DAY: Final = 86_400_000
WINDOW: Final = 30 * DAY
TOGETHER: Final = 100
"""Accounts with many facts; each batch has one event of each."""
BY_HAND_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class Growth:
    """What one event costs on average: microseconds of CPU, bytes that Redis receives, and bytes of its append-only file.

    `memory` and `stored` are bytes of an account in the worker's memory and in Redis; None where nothing is kept there.
    """

    name: str
    accounts: int
    facts: float
    events: int
    cpu: float
    redis: float
    sent: float
    written: float
    memory: float | None
    stored: float


class _Silent:
    """Publishes nothing."""

    async def publish(self, messages: Sequence[Message]) -> None:
        del messages


class _Measured:
    """The CPU time of this process and of Redis, and the bytes that Redis received and wrote, while `with` blocks run."""

    def __init__(self, client: sync_redis.Redis) -> None:
        self._client = client
        self.totals = [0.0] * 4

    def __enter__(self) -> None:
        self._before = self._look()

    def __exit__(self, *_: object) -> None:
        now = zip(self.totals, self._look(), self._before, strict=True)
        self.totals = [total + after - before for total, after, before in now]

    def _look(self) -> tuple[float, float, float, float]:
        info: Any = self._client.info()
        return (
            time.process_time(),
            info["used_cpu_user"] + info["used_cpu_sys"],
            float(info["total_net_input_bytes"]),
            float(info.get("aof_current_size", 0)),
        )

    def row(
        self, name: str, accounts: int, facts: float, events: int, kept: tuple[float | None, float]
    ) -> Growth:
        """Return the averages per event."""
        cpu, redis, sent, written = (total / events for total in self.totals)
        return Growth(name, accounts, facts, events, cpu * 1e6, redis * 1e6, sent, written, *kept)


class Growing:
    """The benchmark on one Redis; `say` is told what is going on."""

    def __init__(self, url: str, client: Redis, say: Callable[[str], None]) -> None:
        self._client, self._say = client, say
        self._redis = sync_redis.Redis.from_url(url)
        with suppress(RedisError):  # a file that Redis rewrites in between says nothing
            self._redis.config_set("auto-aof-rewrite-percentage", 0)

    def close(self) -> None:
        """Close its connection."""
        self._redis.close()

    # Accounts with many facts

    async def by_facts(self) -> list[Growth]:
        """Measure events of accounts that have 10 to 2,000 facts, all in memory."""
        rows: list[Growth] = []
        for facts in FACTS:
            self._say(f"{facts:,} facts per account")
            rows += [self._views_by_hand(facts), await self._views(facts)]
        return rows

    async def _views(self, facts: int) -> Growth:
        rounds = max(200, 2 * facts)  # so that each log is written as a whole at least once
        async with _Worker(self._client, VIEWS, CacheBudget(10**10)) as worker:
            empty = self._used()
            values = _views(facts)
            for _ in range(-(-facts // 20)):
                await worker.feed([one for _ in range(20) for one in next(values)])
            measured = _Measured(self._redis)
            for batches in range(0, rounds, 50):
                batch = [worker.encode(next(values)) for _ in range(min(50, rounds - batches))]
                with measured:
                    for one in batch:
                        await worker.feed_facts(one)
            kept = worker.budget.used / TOGETHER, (self._used() - empty) / TOGETHER
            held = await worker.count_facts()
            return measured.row("segmenter", TOGETHER, held / TOGETHER, rounds * TOGETHER, kept)

    def _views_by_hand(self, facts: int) -> Growth:
        values = _views(facts)
        states: dict[str, dict[str, Any]] = {}
        for _ in range(facts):
            for value in next(values):
                _note_view(states, value)
        prefix, empty = f"growth-{uuid.uuid4().hex[:6]}:", self._used()
        self._redis.mset({prefix + name: orjson.dumps(state) for name, state in states.items()})
        stored = (self._used() - empty) / TOGETHER
        measured = _Measured(self._redis)
        held = sum(len(one["views"]) for one in states.values()) / TOGETHER
        batches = [next(values) for _ in range(BY_HAND_ROUNDS)]
        with measured:
            for batch in batches:
                self._by_hand(prefix, batch, _view_by_hand)
        self._redis.delete(*(prefix + name for name in states))
        return measured.row("by hand", TOGETHER, held, BY_HAND_ROUNDS * TOGETHER, (None, stored))

    def _by_hand(
        self, prefix: str, batch: Sequence[bytes], fold: Callable[[dict[str, Any], bytes], None]
    ) -> None:
        names = list({orjson.loads(value)["subject"] for value in batch})
        found: Any = self._redis.mget([prefix + name for name in names])
        states = {name: orjson.loads(raw) for name, raw in zip(names, found, strict=True) if raw is not None}
        for value in batch:
            fold(states, value)
        self._redis.mset({prefix + name: orjson.dumps(state) for name, state in states.items()})

    # Many accounts

    async def by_accounts(self, most: int, cache_bytes: int = DEFAULT) -> list[Growth]:
        """Measure the throughput benchmark's events, one snapshot and one trigger of each account on average."""
        rows: list[Growth] = []
        for accounts in [one for one in ACCOUNTS if one <= most] or [most]:
            self._say(f"{accounts:,} accounts")
            rows.append(self._many_by_hand(accounts))
            rows.append(await self._many(accounts, cache_bytes))
        return rows

    async def _many(self, accounts: int, cache_bytes: int) -> Growth:
        async with _Worker(self._client, SEGMENTS, CacheBudget(cache_bytes)) as worker:
            empty, before = self._used(), resident_bytes()
            measured = _Measured(self._redis)
            for batch in _batches(_triggers(accounts)):
                facts = worker.encode(batch)
                with measured:
                    await worker.feed_facts(facts)
            gc.collect()
            kept = (resident_bytes() - before) / max(1, len(worker.cached)), (self._used() - empty) / accounts
            return measured.row("segmenter", accounts, 2, 2 * accounts, kept)

    def _many_by_hand(self, accounts: int) -> Growth:
        prefix, empty = f"growth-{uuid.uuid4().hex[:6]}:", self._used()
        measured = _Measured(self._redis)
        for batch in _batches(_triggers(accounts)):
            with measured:
                self._by_hand(prefix, batch, _trigger_by_hand)
        stored = (self._used() - empty) / accounts
        for keys in _batches(self._redis.scan_iter(f"{prefix}*", count=1_000)):
            self._redis.unlink(*keys)
        return measured.row("by hand", accounts, 2, 2 * accounts, (None, stored))

    def _used(self) -> int:
        info: Any = self._redis.info("memory")
        return int(info["used_memory"])


class _Worker:
    """One partition of the segmenter, fed without Kafka."""

    def __init__(self, client: Redis, segments: str, budget: CacheBudget) -> None:
        self.budget = budget
        self._client, self._prefix = client, f"growth-{uuid.uuid4().hex[:6]}"
        definition = load_definition(segments)
        self._versions = one_version(Engine(Program(definition)))
        self._factory = MessageFactory(definition, Topics(self._prefix))
        store = PartitionStore(client, self._prefix, 0)
        self._owned: OwnedPartition[Account] = OwnedPartition(0, store, self._versions, budget=budget)
        self._offset = 0
        self._names: set[str] = set()

    async def __aenter__(self) -> Self:
        self._thresholds = gc.get_threshold()
        settle()
        await self._owned.take("growth")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._owned.forget()
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)
        await delete_keys(self._client, self._prefix)

    @property
    def cached(self) -> Sequence[str]:
        """The accounts in memory."""
        return [name for name in self._names if self._owned.cached(name) is not None]

    async def count_facts(self) -> int:
        """Return how many facts all accounts have."""
        accounts = await self._owned.accounts(self._names)
        return sum(len(one.state.entries) for one in accounts.values())

    def encode(self, values: Iterable[bytes]) -> list[tuple[str, int, bytes]]:
        """Return facts of events as `signals` has them, with their accounts and times."""
        facts = [resolve_event(decode_event(value)) for value in values]
        return [(one.account, one.recorded, encode_fact(one)) for one in facts]

    async def feed(self, values: Sequence[bytes]) -> None:
        """Decide one batch of events."""
        await self.feed_facts(self.encode(values))

    async def feed_facts(self, facts: Sequence[tuple[str, int, bytes]]) -> None:
        """Decide one batch of facts, and what is due after it."""
        records = [
            RecordedMessage(offset, at, account.encode(), value)
            for offset, (account, at, value) in enumerate(facts, self._offset)
        ]
        self._names.update(account for account, _, _ in facts)
        self._offset += len(facts)
        batch = Batch("signals", 0, records)
        await segment(
            batch,
            self._owned,
            self._versions,
            publisher=_Silent(),
            factory=self._factory,
            dead_letters="none",
        )
        while self._owned.due:
            await decide_due(self._owned, self._versions, factory=self._factory)
        while self._owned.outbox.entries:
            await relay(self._owned, publisher=_Silent())


def _batches(values: Iterable[Any], size: int = 1_000) -> Iterator[list[Any]]:
    given = iter(values)
    while batch := list(islice(given, size)):
        yield batch


def _views(facts: int) -> Iterator[list[bytes]]:
    """Yield one page view of each account again and again, so often that 30 days hold so many."""
    pick = random.Random(facts)  # noqa: S311  # the same events each time are what is wanted
    number = 0
    while True:
        at = BEGIN + number * WINDOW // facts
        time = (
            datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        yield [
            orjson.dumps(
                {
                    "specversion": "1.0",
                    "id": f"ev-{number:08d}-{pick.getrandbits(32):08x}",
                    "type": "gtm.engagement.v1",
                    "source": "/signals/web",
                    "subject": f"acct-{account:05d}.example",
                    "time": time,
                    "data": {
                        "action": "page_view",
                        "url": f"https://www.example.org/pages/{pick.getrandbits(48):012x}",
                        "person": f"person-{pick.randrange(50)}@acct-{account:05d}.example",
                    },
                }
            )
            for account in range(TOGETHER)
        ]
        number += 1


def _triggers(accounts: int) -> Iterator[bytes]:
    return (event.value for event in make_events(accounts, accounts))


def _note_view(states: dict[str, dict[str, Any]], value: bytes) -> dict[str, Any]:
    event = orjson.loads(value)
    now = round(datetime.fromisoformat(event["time"]).timestamp() * 1000)
    state = states.setdefault(event["subject"], {"segment": None, "views": []})
    state["views"].append([now, event["data"]["url"], event["data"]["person"], event["id"]])
    return state


def _view_by_hand(states: dict[str, dict[str, Any]], value: bytes) -> None:
    state = _note_view(states, value)
    views = state["views"]
    now = views[-1][0]
    while views[0][0] <= now - WINDOW:
        del views[0]
    pricing = sum("/pricing" in one[1] for one in views)
    state["segment"] = "asks" if pricing >= 3 else "reads" if len(views) >= 5 else "cold"


def _trigger_by_hand(states: dict[str, dict[str, Any]], value: bytes) -> None:
    event = orjson.loads(value)
    states[event["subject"]], _ = apply(states.get(event["subject"]), event)
