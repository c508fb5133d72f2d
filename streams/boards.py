"""Keep what is known of job boards, so that scrapers on several machines compare with the same last look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import boards_key

if TYPE_CHECKING:
    from redis.asyncio import Redis


class BoardStore:
    """The hash of a prefix: a field for each board, `system/name`. Every call raises StoreUnavailable."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, boards_key(prefix)

    async def read(self, boards: Sequence[str] | None = None) -> dict[str, bytes]:
        """Return what is kept of these boards, by default of all; those that nothing is known of are missing."""
        with answering("read the state of boards"):
            if boards is None:
                every: Any = await self._client.hgetall(self._key)
                return {name.decode(): value for name, value in every.items()}
            found: Any = await self._client.hmget(self._key, list(boards))
        return {name: value for name, value in zip(boards, found, strict=True) if value is not None}

    async def write(self, boards: Mapping[str, bytes]) -> None:
        """Replace what is kept of these boards."""
        fields: Any = dict(boards)
        if fields:
            with answering("keep the state of boards"):
                await self._client.hset(self._key, mapping=fields)
