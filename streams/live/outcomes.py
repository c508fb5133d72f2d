"""What came of touches, as pages show it: of the whole prefix, and of one account."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from resegment.errors import ResegmentError
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.options import MeasureOptions
from resegment.outcomes.measuring.report import Report
from resegment.schemas.written import read_share
from resegment.segmentation.definition import Definition
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.live.connection import LiveConnection
from resegment.streams.outcomes.live import read_account_dataset, read_dataset
from resegment.streams.prefix import identities_of, read_prefix


async def read_merged(connection: LiveConnection) -> Mapping[str, str]:
    """Return the account of each one that was merged. Raises StoreUnavailable."""
    return identities_of(await read_prefix(connection.client, connection.prefix))[1]


async def measure_prefix(
    connection: LiveConnection, registry: DefinitionRegistry, by: By, now: int, window: timedelta
) -> Report:
    """Measure all touches as of `now` (ms), in a thread.

    Raises OutcomesExtraMissing where the extra is not installed, StoreUnavailable and BrokenState.
    """
    from resegment.outcomes.measuring.measure import measure  # noqa: PLC0415  # heavy, and an extra

    dataset = await read_dataset(connection.reader, window=window, accounts=await read_merged(connection))
    shares: dict[str, float] = {}
    by_version: dict[str, dict[str, float]] = {}
    for number in sorted(registry.definitions.versions):
        try:
            definition = registry.definitions.definition_of(number)
        except ResegmentError:  # a version that this release cannot read
            continue
        own = _find_shares(definition)
        shares |= own
        by_version[definition.version] = own
    until = datetime.fromtimestamp(now / 1000, UTC)
    options = MeasureOptions(until=until, by=by, shares=shares, version_shares=by_version)
    return await asyncio.to_thread(measure, dataset, options)


def _find_shares(definition: Definition) -> dict[str, float]:
    return {one.name: read_share(one.holdout.share) for one in definition.segments if one.holdout is not None}


async def read_account_outcomes(
    connection: LiveConnection, account: str, window: timedelta, until: int | None = None
) -> Dataset:
    """Return the touches and outcomes of one account, and of those that were merged into it, as known at `until` (ms).

    Raises StoreUnavailable.
    """
    merged = await read_merged(connection)
    related = [account, *(alias for alias, into in merged.items() if into == account)]
    return await read_account_dataset(
        connection.reader, account, related, window=window, accounts=merged, until=until
    )
