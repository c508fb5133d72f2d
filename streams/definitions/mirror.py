"""Keep the records of `definitions` in Redis, for an embedded broker that forgets its topics when it stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import definitions_key

if TYPE_CHECKING:
    from redis.asyncio import Redis


class DefinitionMirror:
    """The records by their place in the topic. Every method raises StoreUnavailable."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, definitions_key(prefix)

    async def read(self) -> list[bytes]:
        """Return the records in their order."""
        with answering("read the mirror of the definitions"):
            answer: Any = self._client.hgetall(self._key)
            found = {int(place): value for place, value in (await answer).items()}
        return [found[place] for place in sorted(found)]

    async def keep(self, first: int, values: Sequence[bytes | None]) -> None:
        """Keep records; `first` is the place of the first one. The same again changes nothing."""
        fields: Any = {str(place): value or b"" for place, value in enumerate(values, first)}
        if fields:
            with answering("mirror the definitions"):
                answer: Any = self._client.hset(self._key, mapping=fields)
                await answer
