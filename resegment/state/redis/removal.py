"""Find and delete all that Redis holds of one prefix, on a server that others share."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

from resegment.state.redis.errors import answering

if TYPE_CHECKING:
    from redis.asyncio import Redis

BATCH: Final = 500
"""Keys deleted at once."""


async def count_keys(client: Redis, prefix: str) -> Mapping[str, int]:
    """Return how many keys of each kind there are: `meta`, `accounts`, `held` and so on. Raises StoreUnavailable."""
    found: Counter[str] = Counter()
    async for key in _find_keys(client, prefix):
        kind = key.decode().partition("}:")[2].removeprefix("route:")
        found[kind.partition(":")[0]] += 1
    return dict(sorted(found.items()))


async def delete_keys(client: Redis, prefix: str) -> int:
    """Delete every key of the prefix, and return how many there were. Raises StoreUnavailable.

    The record of the prefix goes last: where this is interrupted, workers are still refused.
    """
    found = [key async for key in _find_keys(client, prefix)]
    found.sort(key=lambda key: key.endswith(b":prefix"))
    for start in range(0, len(found), BATCH):
        pipe = client.pipeline(transaction=False)
        for key in found[start : start + BATCH]:
            pipe.unlink(key)
        with answering("delete the keys"):
            await pipe.execute()
    return len(found)


async def _find_keys(client: Redis, prefix: str) -> AsyncIterator[bytes]:
    """Yield each key once. A prefix holds no character that a pattern would read in another way."""
    seen: set[bytes] = set()
    for pattern in (f"rs:{{{prefix}}}:*", f"rs:{{{prefix}.*}}:*"):
        with answering("find the keys"):
            async for key in client.scan_iter(match=pattern, count=1000):
                if key not in seen:
                    seen.add(key)
                    yield key
