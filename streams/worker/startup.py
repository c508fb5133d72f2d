"""What a worker checks and creates before it reads anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from resegment.settings import Settings
from resegment.state.redis.client import check_eviction
from resegment.streams.kafka import admin
from resegment.streams.kafka.connectivity import check_access
from resegment.streams.kafka.security import KafkaSecurity
from resegment.streams.kafka.topic_reader import has_records
from resegment.streams.kafka.topics import Topics
from resegment.streams.owners_mark import mark_owners
from resegment.streams.partition_marks import is_rebuilding
from resegment.streams.prefix import Rebuilding, StateLost, agree, is_known, read_prefix

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def prepare_prefix(
    settings: Settings,
    client: Redis,
    topics: Topics,
    *,
    bootstrap: str,
    security: KafkaSecurity,
) -> None:
    """Agree with the other workers on the prefix, and create its topics.

    Raises EvictionEnabled, OwnersLost, PrefixDiffers, Rebuilding, StateLost, KafkaRefused, TopicsUnavailable, StoreUnavailable.
    """
    kafka = security.clients()

    async def agree_on_prefix() -> None:
        await agree(
            client,
            settings.prefix,
            partitions=settings.partitions,
            clock=settings.clock,
        )

    held = await read_held(client, settings.prefix)
    if settings.kafka is not None:
        await check_access(bootstrap, kafka)
    if held:
        await agree_on_prefix()  # a worker that differs is refused before any topic is created
    await asyncio.to_thread(
        admin.create_topics,
        bootstrap,
        topics,
        partitions=settings.partitions,
        replication=settings.replication,
        retention={one.name: settings.retention for one in topics if one.retention is not None},
        in_use=bool(held),
        **kafka,
    )
    if not held:
        # Write nothing before it is certain that nothing was lost: the next start would take it for state.
        if await has_records(bootstrap, topics.signals.name, security=kafka):
            if not await read_held(client, settings.prefix):
                raise StateLost(settings.prefix)
        await agree_on_prefix()
    await mark_owners(client, settings.prefix, await read_held(client, settings.prefix))
    await check_eviction(client)


async def read_held(client: Redis, prefix: str) -> dict[str, str]:
    """Return what Redis has of the prefix. Raises Rebuilding while a rebuild fills it."""
    held = await read_prefix(client, prefix)
    if is_rebuilding(held):
        raise Rebuilding(prefix)
    return held if is_known(held) else {}
