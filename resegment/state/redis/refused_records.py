"""Remember which records of `signals` were refused because their time was ahead, so that a replay refuses them too."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import refused_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

RecordId = tuple[int, int]
"""The offset and the timestamp of a record: a new log has other timestamps."""


class RefusedRecords:
    """The refused records of a prefix."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, refused_key(prefix)

    async def read(self, partition: int) -> frozenset[RecordId]:
        """Return the records that were refused in a partition. Raises StoreUnavailable."""
        with answering("read which records were refused"):
            answer: Any = self._client.hgetall(self._key)
            fields = await answer
        ids = (name.decode().split(":") for name in fields)
        return frozenset(
            (int(offset), int(timestamp)) for number, offset, timestamp in ids if int(number) == partition
        )

    async def add(self, partition: int, records: Collection[RecordId]) -> None:
        """Remember records. Raises StoreUnavailable."""
        fields: dict[Any, Any] = {f"{partition}:{offset}:{timestamp}": 1 for offset, timestamp in records}
        if not fields:
            return
        with answering("remember which records were refused"):
            answer: Any = self._client.hset(self._key, mapping=fields)
            await answer
