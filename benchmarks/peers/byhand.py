"""The job by hand: consume a thousand, MGET, apply, MSET, produce, flush, commit. At least once, no timers."""

from __future__ import annotations

from typing import Any

import orjson
import redis
from confluent_kafka import Consumer, Producer, TopicPartition

from resegment.benchmarks.participant import Stopwatch, Task, read_task, say_ready, tell
from resegment.benchmarks.rules import apply


def run(task: Task) -> None:
    """Do all events, and tell what that took."""
    consumer = Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.prefix,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # the embedded broker answers the first join after half of it
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 2_000,
        }
    )
    producer = Producer({"bootstrap.servers": task.bootstrap, "linger.ms": 5, "enable.idempotence": True})
    store = redis.Redis.from_url(task.redis_url)
    consumer.subscribe([task.source])
    changes = f"{task.prefix}.segment-changes"
    keys = f"{task.prefix}:".encode()
    messages: list[Any] = []
    while not messages:
        messages = _consume(consumer)
    say_ready()
    watch, done = Stopwatch(), 0
    while True:
        if messages:
            _work(messages, store, producer, consumer, (keys, changes, task.source))
        done += len(messages)
        if done >= (task.events or 0):
            break
        messages = _consume(consumer)
    tell(watch.report(done))
    consumer.close()


def _consume(consumer: Consumer) -> list[Any]:
    return [message for message in consumer.consume(1000, 0.2) if message.value() is not None]  # no ticks


def _work(
    messages: list[Any],
    store: redis.Redis,
    producer: Producer,
    consumer: Consumer,
    names: tuple[bytes, str, str],
) -> None:
    prefix, changes, source = names
    events = [orjson.loads(message.value()) for message in messages]
    keys = list({message.key() for message in messages})
    stored: Any = store.mget([prefix + key for key in keys])
    states = {key: None if raw is None else orjson.loads(raw) for key, raw in zip(keys, stored, strict=True)}
    offsets: dict[int, int] = {}
    for message, event in zip(messages, events, strict=True):
        key = message.key()
        states[key], change = apply(states[key], event)
        if change:
            producer.produce(changes, orjson.dumps(change), key)
        offsets[message.partition()] = message.offset() + 1
    store.mset({prefix + key: orjson.dumps(state) for key, state in states.items()})
    producer.flush()
    consumer.commit(
        offsets=[TopicPartition(source, partition, offset) for partition, offset in offsets.items()],
        asynchronous=True,
    )


if __name__ == "__main__":
    run(read_task())
