"""Copy what Redis keeps of a prefix as a whole to another prefix: owners, lists, webhooks and its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import OwnersKeys, lists_key, prefix_key, webhooks_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

_CARRIED: Final = ("clock", "definition", "routing")
"""Fields of a prefix's record that hold for its copy too."""


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
    """Copy the record of the prefix, its lists, and which webhooks are disabled. Raises StoreUnavailable."""
    with answering("copy the prefix"):
        held = await _read(client, prefix_key(old))
        record = {name: value for name, value in held.items() if name.decode() in _CARRIED}
        await _write(client, prefix_key(new), record | {b"partitions": str(partitions).encode()})
        await _write(client, lists_key(new), await _read(client, lists_key(old)))
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
