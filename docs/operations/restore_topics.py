"""Write topics back from an archive, record by record at the offsets that they had, after Kafka lost them.

    RESEGMENT_KAFKA=kafka:9092 python docs/operations/restore_topics.py /var/lib/resegment/archive

Run it before any worker starts. Topics that have records are left alone. Where offsets are missing (records that were
deleted before they were archived, markers of transactions), the records move up, and Redis cannot continue: run
`resegment rebuild` then.
"""

# ruff: noqa: INP001, T201 -- a script

from __future__ import annotations

import asyncio
import sys

from resegment.agents.batch import Message
from resegment.archive.archive import TOPICS, Archive
from resegment.archive.manifest import Manifest
from resegment.archive.storage import Storage
from resegment.settings import Settings
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import secure_kafka
from resegment.streams.kafka.topic_reader import has_records
from resegment.streams.kafka.topics import Topics

AT_ONCE = 2_000


async def restore(path: str, settings: Settings) -> int:
    """Restore all topics of an archive that are empty; return how many records moved to another offset."""
    archive = Archive.open(Storage(path))
    topics = Topics(archive.prefix)
    security = secure_kafka(settings).clients()
    bootstrap = settings.kafka
    assert bootstrap is not None, "set RESEGMENT_KAFKA"
    retention = {one.name: settings.retention for one in topics if one.retention is not None}
    await asyncio.to_thread(
        create_topics,
        bootstrap,
        topics,
        partitions=archive.partitions,
        replication=settings.replication,
        retention=retention,
        **security,
    )
    moved = 0
    async with KafkaPublisher(bootstrap, security=security) as publisher:
        for name in TOPICS:
            topic = f"{archive.prefix}.{name}"
            manifests = archive.manifests(name)
            if not manifests:
                print(f"{topic}: nothing was archived")
            elif await has_records(bootstrap, topic, security=security):
                print(f"{topic}: it has records, and is left as it is")
            else:
                for manifest in manifests.values():
                    moved += await copy(archive, manifest, topic, publisher)
                print(f"{topic}: restored")
    return moved


async def copy(archive: Archive, manifest: Manifest, topic: str, publisher: KafkaPublisher) -> int:
    """Write one partition; return how many records have another offset than they had."""
    moved = expected = 0
    for records in archive.records(manifest):
        for start in range(0, len(records), AT_ONCE):
            some = records[start : start + AT_ONCE]
            await publisher.publish(
                [
                    Message(topic, one.key, one.value, one.headers, manifest.partition, one.timestamp)
                    for one in some
                ]
            )
        moved += sum(one.offset != place for place, one in enumerate(records, expected))
        expected += len(records)
    return moved


if __name__ == "__main__":
    changed = asyncio.run(restore(sys.argv[1], Settings()))
    if changed:
        print(f"{changed:,} records have another offset than they had: run `resegment rebuild`")
