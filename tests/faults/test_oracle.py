"""The oracle of the faults sees what it is there for."""

from __future__ import annotations

import orjson
import pytest

from resegment.agents.batch import Message
from resegment.schemas.partitioning import partition_of
from resegment.state.redis.keys import PartitionKeys
from resegment.streams.kafka.publisher import KafkaPublisher
from tests.faults.conftest import Arena
from tests.faults.scenario import PARTITIONS, Scenario

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]


async def test_the_oracle_sees_what_is_lost_made_up_and_doubled(arena: Arena) -> None:
    run = Scenario(arena.kafka, arena.redis, arena.folder, {}, one_in=100)
    await run.start()
    await run.send(2000)
    await run.drained()
    await run.finish()
    assert not any((await run.judge()).counts)

    first = (await run.records(run.topics.segment_changes.name))[0]
    event = orjson.loads(first.value)
    account = event["data"]["account"]
    async with KafkaPublisher(run.kafka) as publisher:
        again = {**event, "data": {**event["data"], "to": "elsewhere"}}
        beyond = {**event, "id": "made-up", "data": {**event["data"], "sequence_number": 99}}
        swapped = [
            {
                "id": f"late-{number}",
                "data": {**event["data"], "account": "late.example", "sequence_number": number},
            }
            for number in (2, 1)
        ]
        await publisher.publish(
            [
                Message(run.topics.segment_changes.name, first.key, orjson.dumps(one))
                for one in (again, beyond, *swapped)
            ]
        )
    keys = PartitionKeys.of(run.prefix, partition_of(account.encode(), PARTITIONS))
    await run.client.hdel(keys.accounts, account)
    await run.client.xadd(keys.outbox, {"p": b"", "n": 1})
    found = await run.judge()
    await run.client.aclose()
    assert all(found.counts), found
    assert found.gaps == 2, "one number left out, and one that came too late"
