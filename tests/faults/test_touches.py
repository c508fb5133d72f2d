"""Workers that are killed while accounts are enrolled and outcomes come: each touch and each outcome is kept once."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.embedded.servers import embedded
from resegment.outcomes.dataset import Dataset
from resegment.schemas.outcomes.messages import decode_touch
from resegment.schemas.outcomes.touch import Touch
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.outcomes.archived import read_dataset_log
from resegment.streams.outcomes.live import read_dataset
from resegment.streams.recovery.replay import LogSource
from resegment.streams.recovery.verify import hold_ledgers, verify_ledgers
from tests.oracle.cases import event, segments
from tests.servers.workers import workers

PARTITIONS, ACCOUNTS, KILLS, PATIENCE, PREFIX = 8, 400, 4, 180.0, "touched"


def rounds(dice: random.Random) -> list[list[tuple[str, Any]]]:
    """What happens to the accounts, a part of it between two kills: each moves, and each has outcomes; some are taken back."""
    now, found = time.time_ns() // 1_000_000, []
    for part in range(KILLS + 1):
        events: list[tuple[str, Any]] = []
        for number in range(ACCOUNTS):
            account, name = f"a{number}.com", f"{part}-{number}"
            kind = dice.choice(["funding", "hiring"])
            events.append((kind, event(kind, now, id=f"{kind}-{name}", account=account)))
            action = dice.choice(["replied", "meeting_held", "won"])
            events.append(
                (
                    "outcome",
                    event("outcome", now, id=f"o-{name}", account=account, action=action, known=now - 1000),
                )
            )
            if dice.random() < 0.3:
                back = event(
                    "outcome",
                    now,
                    id=f"x-{name}",
                    account=account,
                    record=f"o-{name}",
                    op="retract",
                    known=now,
                )
                events.append(("outcome", back))
        dice.shuffle(events)
        found.append(events)
    return found


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_killed_workers_keep_each_touch_and_each_outcome_once(tmp_path: Path) -> None:
    dice = random.Random(20)
    file = tmp_path / "segments.json"
    file.write_bytes(orjson.dumps(FILE))
    async with embedded(tmp_path / "servers") as servers, Redis.from_url(servers.redis_url) as client:
        reader, topics = PrefixReader(client, PREFIX, PARTITIONS), Topics(PREFIX)
        source = LogSource(servers.bootstrap, topics, {})
        settings = {
            "kafka": servers.bootstrap, "redis": servers.redis_url, "prefix": PREFIX, "partitions": PARTITIONS,
            "segments": file, "chunk": 50, "session_timeout": 6,
        }  # fmt: skip
        sent = {
            one["id"] for part in rounds(random.Random(20)) for _, one in part if one["id"].startswith("o-")
        }
        taken_back = {
            one["record"]
            for part in rounds(random.Random(20))
            for _, one in part
            if one["id"].startswith("x-")
        }
        async with workers(tmp_path, **settings) as group:
            await group.start()
            await group.start()
            async with KafkaPublisher(servers.bootstrap, idempotent=False) as publisher:
                for number, events in enumerate(rounds(dice)):
                    messages = [
                        Message(topics.of_kind(kind).name, None, orjson.dumps(one)) for kind, one in events
                    ]
                    sending = asyncio.create_task(publisher.publish(messages))
                    if number < KILLS:
                        await asyncio.sleep(dice.random())  # somewhere in the middle of the work
                        await group.kill(dice.choice(group.live))
                        await group.start()
                    await sending
            async with asyncio.timeout(PATIENCE):
                while (found := await read_dataset(reader)).outcomes.height < len(sent - taken_back):
                    group.check()
                    await asyncio.sleep(0.5)
                differences = [
                    one for number in range(PARTITIONS) for one in await settle(number, reader, source)
                ]
            assert differences == []
            found = await read_dataset(reader)
            assert {*found.outcomes["record"]} == sent - taken_back
            assert found.outcomes.height == len(sent - taken_back)
            commands = await values(servers.bootstrap, topics.workflow_commands.name)
            enrolled = {one["idempotency_key"] for one in commands if one["action"] == "enroll"}
            records = {decode_touch(value) for value in await raw(servers.bootstrap, topics.touches.name)}
            assert {one.touch for one in records if isinstance(one, Touch)} == enrolled
            assert {*found.touches["touch"]} == {*Dataset.of(list(records)).touches["touch"]}
            assert found.outcomes.equals((await read_dataset_log(source)).outcomes)


async def settle(number: int, reader: PrefixReader, source: LogSource) -> list[Any]:
    while (held := await hold_ledgers(number, reader, source)) is None:
        await asyncio.sleep(0.2)
    return await verify_ledgers(number, held, source)


async def raw(bootstrap: str, topic: str) -> list[bytes]:
    async with reading(bootstrap, topic) as log:
        return [record.value async for records in log.to_end() for record in records]


async def values(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    return [orjson.loads(value)["data"] for value in await raw(bootstrap, topic)]


FILE: dict[str, Any] = {
    **segments(shared={"event": "funding"}, narrow={"event": "hiring"}),
}
for one in FILE["segments"]:
    one["route"] = {"workflow": f"w-{one['name']}", "on_exit": "stop"}
