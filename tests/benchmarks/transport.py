"""What a message costs until an agent has it: stock faust by `async for` and by `take`, and the batched transport.

Run it as a script on a Kafka that nothing else uses; it prints a Markdown table. Each way runs in a process of its own,
in turns. CPU time counts from the first message on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import faust
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from resegment.agents.batch import Message
from resegment.benchmarks.loading import publish_all
from resegment.benchmarks.participant import Stopwatch
from resegment.streams.consumer.application import take_unpacked
from resegment.streams.transport.app import BatchedApp
from resegment.streams.transport.binding import bind
from resegment.streams.transport.chunk import Chunk
from resegment.streams.transport.config import ConsumerConfig

BYTES: Final = 370
PARTITIONS: Final = 4
WAYS: Final = {
    "stock faust, `async for`": ("one", 20),
    "stock faust, `take(1000)`": ("take", 20),
    "batched, aiokafka's own unpacking": ("batched", 1),
    "batched, this project's unpacking": ("unpacked", 1),
}
"""By the way: its name, and that it gets so small a part of the messages."""


async def consume(way: str, bootstrap: str, topic: str, count: int) -> None:
    """Take so many messages, and print what that took."""
    watch, done = Stopwatch(), 0
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def count_messages(number: int) -> None:
        nonlocal done
        if not done:
            watch.start()
        done += number
        if done >= count and not finished.done():
            finished.set_result(None)

    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {
            "consumer_auto_offset_reset": "earliest",
            "topic_disable_leader": True,
            "topic_allow_declare": False,
            "web_enabled": False,
            "key_serializer": "raw",
            "value_serializer": "raw",
            "store": "memory://",
            "datadir": folder,
        }
        group = f"{topic}-{way}-{uuid.uuid4().hex[:6]}"
        app = _make(way, group, bootstrap, topic, options, count_messages)
        await app.start()
        await finished
        report = watch.report(done)
        await app.stop()
    print(json.dumps({"cpu": report.cpu_per_million, "per_second": done / report.seconds}))


def _make(
    way: str, group: str, bootstrap: str, topic: str, options: dict[str, Any], take: Callable[[int], None]
) -> faust.App:
    if way in ("one", "take"):
        app = faust.App(group, broker=f"kafka://{bootstrap}", **options)

        async def each(stream: Any) -> None:
            async for _ in stream:
                take(1)

        async def several(stream: Any) -> None:
            async for some in stream.take(1000, within=0.1):
                take(len(some))

        app.agent(app.topic(topic))(each if way == "one" else several)
        return app
    config = ConsumerConfig(take=take_unpacked) if way == "unpacked" else ConsumerConfig()
    batched = BatchedApp(group, consumer_config=config, broker=f"aiokafka-batched://{bootstrap}", **options)

    async def handle(chunk: Chunk) -> None:
        take(len(chunk.records))

    fail: Callable[[BaseException], Awaitable[None] | None] = lambda error: sys.exit(repr(error))  # noqa: E731
    bind(batched, [topic], handle, name="agent", on_fatal=fail)
    return batched


async def main() -> None:
    """Load a topic, let each way take it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT")
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    topic = f"bench-transport-{uuid.uuid4().hex[:6]}"
    admin = KafkaAdminClient(bootstrap_servers=options.kafka)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    try:
        await publish_all(
            options.kafka,
            (Message(topic, str(one).encode(), b"x" * BYTES) for one in range(options.messages)),
        )
        found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
        for _ in range(options.rounds):
            for name, (way, part) in WAYS.items():
                count = options.messages // part
                own = [sys.executable, __file__, "--one", way, options.kafka, topic, str(count)]
                done = await asyncio.to_thread(
                    subprocess.run, own, check=True, capture_output=True, timeout=300
                )
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    finally:
        admin.delete_topics([topic])
        admin.close()
    print("| way | CPU of a message, us | messages a second |")
    print("| --- | --- | --- |")
    for name, runs in found.items():
        costs = ", ".join(f"{one['cpu']:.1f}" for one in runs)
        rates = ", ".join(f"{one['per_second']:,.0f}" for one in runs)
        print(f"| {name} | {costs} | {rates} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        asyncio.run(consume(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
    else:
        asyncio.run(main())
