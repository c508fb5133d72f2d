"""The job as a plain agent on stock faust: an event at a time, GET and SET, send, with the defaults but for the session."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

import faust
import orjson
from redis.asyncio import Redis

from resegment.benchmarks.participant import Stopwatch, Task, read_task, say_ready, tell
from resegment.benchmarks.rules import apply


async def run(task: Task) -> None:
    """Do all events, and tell what that took."""
    with tempfile.TemporaryDirectory() as folder:
        app = faust.App(
            task.prefix,
            broker=f"kafka://{task.bootstrap}",
            value_serializer="raw",
            key_serializer="raw",
            consumer_auto_offset_reset="earliest",
            topic_disable_leader=True,
            broker_session_timeout=6.0,  # the embedded broker answers the first join after half of it
            broker_heartbeat_interval=2.0,
            web_enabled=False,
            datadir=folder,
        )
        store = Redis.from_url(task.redis_url)
        changes = app.topic(f"{task.prefix}.segment-changes")
        prefix = f"{task.prefix}:".encode()
        finished = asyncio.get_running_loop().create_future()

        async def work(stream: Any) -> None:
            watch, done = Stopwatch(), 0
            async for happened in stream.events():
                if not done:
                    say_ready()
                    watch.start()
                if happened.key is None:  # a tick
                    continue
                key = prefix + happened.key
                raw = await store.get(key)
                state, change = apply(
                    None if raw is None else orjson.loads(raw), orjson.loads(happened.value)
                )
                await store.set(key, orjson.dumps(state))
                if change is not None:
                    await changes.send(key=happened.key, value=orjson.dumps(change))
                done += 1
                if done == task.events:
                    finished.set_result(watch.report(done))

        app.agent(app.topic(task.source))(work)
        await app.start()
        tell(await finished)
        await app.stop()
        await store.aclose()


if __name__ == "__main__":
    asyncio.run(run(read_task()))
