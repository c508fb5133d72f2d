"""How long it takes from an event to the change of segment that it causes, on a stack that is otherwise idle.

    python -P tests/benchmarks/latency.py [--signals 1000] [--every 10] [--kafka HOST:PORT --redis URL | --memory]

Each signal moves another account. Without servers given, embedded ones are started and ended with the script;
with --memory, the broker keeps its log in memory only.
The time runs from the moment when the event is handed to the producer to the moment when a consumer has the change.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from resegment.agents.batch import Message
from resegment.embedded.servers import embedded
from resegment.settings import Settings
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.worker.worker import Worker
from tests.builders import definition_of, raw_event
from tests.oracle.cases import only

PATIENCE = 60.0


async def measure(worker: Worker, bootstrap: str, signals: int, every: float) -> list[float]:
    """Milliseconds of each signal, in no order. `every`: seconds between two."""
    sent: dict[str, float] = {}
    took: dict[str, float] = {}

    async def follow() -> None:
        async with reading(bootstrap, worker.topics.segment_changes.name) as reader:
            ready.set()
            async for records in reader.follow():
                now = time.perf_counter()
                for record in records:
                    account = orjson.loads(record.value)["data"]["account"]
                    if account in sent:
                        took.setdefault(account, (now - sent[account]) * 1000)
                if len(took) == signals:
                    return

    ready = asyncio.Event()
    following = asyncio.create_task(follow())
    await ready.wait()
    async with KafkaPublisher(bootstrap, idempotent=False) as publisher, asyncio.TaskGroup() as sending:
        begin = time.perf_counter()
        for number in range(signals):
            account = f"company-{number}.com"
            message = Message(worker.topics.funding.name, account.encode(), raw_event(subject=account))
            sent[account] = time.perf_counter()
            sending.create_task(publisher.publish([message]))
            await asyncio.sleep(max(0.0, begin + (number + 1) * every - time.perf_counter()))
    await asyncio.wait_for(following, PATIENCE)
    return list(took.values())


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--signals", type=int, default=1000)
    parser.add_argument("--every", type=float, default=10, help="milliseconds")
    parser.add_argument("--kafka")
    parser.add_argument("--redis")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    async with AsyncExitStack() as stack:
        bootstrap, redis_url = given.kafka, given.redis
        if bootstrap is None or redis_url is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            servers = await stack.enter_async_context(embedded(Path(folder), keeps=not given.memory))
            bootstrap, redis_url = servers.bootstrap, servers.redis_url
        settings = Settings(prefix=f"latency-{uuid.uuid4().hex[:8]}", kafka=given.kafka)
        definition = definition_of(only({"event": "funding"}))
        worker = Worker(settings, definition, bootstrap=bootstrap, redis_url=redis_url)
        await stack.enter_async_context(worker.running())
        while not await worker.is_drained():
            await asyncio.sleep(0.1)
        took = sorted(await measure(worker, bootstrap, given.signals, given.every / 1000))
    p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
    print(f"{len(took)} signals: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {took[-1]:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
