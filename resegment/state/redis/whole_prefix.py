"""Count, delete or copy what Redis holds of one prefix, on a server that others share."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import (
    OwnersKeys,
    arrivals_key,
    key_patterns,
    lists_key,
    prefix_key,
    sources_key,
    tokens_key,
    webhooks_key,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

BATCH: Final = 500
"""Keys deleted at once."""


_CARRIED: Final = ("clock", "definition", "routing")
"""Fields of a prefix's record that hold for its copy too."""


async def count_keys(client: Redis, prefix: str) -> Mapping[str, int]:
    """Return how many keys of each kind there are: `meta`, `accounts`, `held` and so on. Raises StoreUnavailable."""
    found: Counter[str] = Counter()
    async for key in _find_keys(client, prefix):
        kind = key.decode(errors="replace").partition("}:")[2].removeprefix("route:").removeprefix("shadow:")
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
    for pattern in key_patterns(prefix):
        with answering("find the keys"):
            async for key in client.scan_iter(match=pattern, count=1000):
                if key not in seen:
                    seen.add(key)
                    yield key


async def copy_owners(client: Redis, old: str, new: str) -> int:
    """Copy the store of owners, loads and waiting accounts included; return the number of keys.

    Raises StoreUnavailable.
    """
    source, target = OwnersKeys.of(old).tag, OwnersKeys.of(new).tag
    copied = 0
    with answering("copy the owners"):
        async for key in client.scan_iter(match=f"{source}:*", count=1000):
            value: Any = await client.dump(key)
            if value is None:  # it expired meanwhile
                continue
            left = max(0, await client.pttl(key))
            name = target + key.decode().removeprefix(source)
            await client.restore(name, left, value, replace=True)
            copied += 1
    return copied


async def copy_settings(client: Redis, old: str, new: str, partitions: int) -> None:
    """Copy the record of the prefix, its lists and tokens, what is known of sources, and which webhooks are disabled.

    Raises StoreUnavailable.
    """
    with answering("copy the prefix"):
        held = await _read(client, prefix_key(old))
        record = {name: value for name, value in held.items() if name.decode() in _CARRIED}
        await _write(client, prefix_key(new), record | {b"partitions": str(partitions).encode()})
        await _write(client, lists_key(new), await _read(client, lists_key(old)))
        await _write(client, sources_key(new), await _read(client, sources_key(old)))
        await _write(client, tokens_key(new), await _read(client, tokens_key(old)))
        async for key in client.scan_iter(match=arrivals_key(old, "*"), count=1000):
            name = arrivals_key(new, key.decode().rpartition(":")[2])
            answer: Any = client.smembers(key)
            if members := await answer:
                answer = client.sadd(name, *members)
                await answer
                await client.pexpire(name, max(1, await client.pttl(key)))
        webhooks = await _read(client, webhooks_key(old))
        disabled = {name: value for name, value in webhooks.items() if name.startswith(b"disabled:")}
        await _write(client, webhooks_key(new), disabled)


async def _read(client: Redis, key: str) -> Mapping[bytes, bytes]:
    answer: Any = client.hgetall(key)
    found: Mapping[bytes, bytes] = await answer
    return found


async def _write(client: Redis, key: str, fields: Mapping[Any, Any]) -> None:
    if fields:
        answer: Any = client.hset(key, mapping=dict(fields))
        await answer
