"""Read what planning and comparing need of a running prefix, in a server."""

from __future__ import annotations

from collections.abc import Mapping

from resegment.streams.ahead import look_for_ahead_records
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.live.connection import LiveConnection
from resegment.streams.operations.planning import PlannedPrefix


async def read_planned(
    connection: LiveConnection, registry: DefinitionRegistry, held: Mapping[str, str]
) -> PlannedPrefix:
    """Return what planning needs of a prefix, whose record is `held`. Raises StoreUnavailable."""
    one = connection
    return PlannedPrefix(
        client=one.client,
        reader=one.reader,
        registry=registry,
        held=held,
        topics=one.topics,
        bootstrap=one.bootstrap,
        security=one.security,
        ahead=await look_for_ahead_records(one.client, one.prefix, one.clock, one.tolerance),
        facts_per_test=one.facts_per_test,
        forks=False,
    )
