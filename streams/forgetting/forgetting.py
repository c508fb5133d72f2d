"""Do what a forget asks beside its steps in `signals`: destroy keys, and delete what Redis keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resegment.identity.merges import Operation
from resegment.streams.forgetting.places import AccountPlaces

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Forgetting:
    """What a worker does of an operation. Every step may be repeated."""

    def __init__(self, client: Redis, prefix: str, partitions: int) -> None:
        self._places = AccountPlaces(client, prefix, partitions)

    async def shred(self, operation: Operation) -> None:
        """Destroy the keys of what is forgotten."""

    async def allow(self, operation: Operation) -> None:
        """Let new keys be made for what was forgotten."""

    async def clear(self, operation: Operation) -> None:
        """Delete what is kept of an account or a person beside the states. Raises StoreUnavailable."""
        for account in operation.path:
            await self._places.clear(account)
