"""Notices that Redis has lost the owners of a prefix, even if the router has written new ones since.

A random name lies next to the owners, in their slot, and in the record of the prefix, in another slot. The router never
writes the former, so it is missing as soon as the owners were lost.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from resegment.errors import FatalError
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import OwnersKeys, prefix_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

_MARK: Final = "owners"


class OwnersLost(FatalError):
    """Redis has lost who owns which account. To continue would give members more accounts than their capacity."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"Redis has lost the owners of prefix {prefix}",
            remedy="Stop the workers, run `resegment rebuild`, and start them again. It counts the owners from the accounts, "
            "and rebuilds what else is lost.",
        )
        self.prefix = prefix


async def mark_owners(client: Redis, prefix: str, held: Mapping[str, str]) -> None:
    """Write both names where there are none yet. `held` is the record of the prefix.

    Raises OwnersLost where only the one next to the owners is missing, and StoreUnavailable.
    """
    expected = held.get(_MARK)
    if expected is not None:
        await check_owners(client, prefix, held)
        return
    with answering("mark the owners"):
        answer: Any = client.set(OwnersKeys.of(prefix).origin, secrets.token_hex(8), nx=True)
        await answer
        answer = client.hset(prefix_key(prefix), _MARK, await _read_origin(client, prefix) or "")
        await answer


async def check_owners(client: Redis, prefix: str, held: Mapping[str, str]) -> None:
    """Raise OwnersLost where Redis has lost the owners, and StoreUnavailable. `held` is the record of the prefix."""
    if await has_lost_owners(client, prefix, held):
        raise OwnersLost(prefix)


async def has_lost_owners(client: Redis, prefix: str, held: Mapping[str, str]) -> bool:
    """Return whether Redis has lost the owners. Raises StoreUnavailable."""
    expected = held.get(_MARK)
    return expected is not None and await _read_origin(client, prefix) != expected


async def accept_owners(client: Redis, prefix: str) -> None:
    """Take the owners as they are for complete, after a recount. Raises StoreUnavailable."""
    with answering("mark the owners"):
        answer: Any = client.hget(prefix_key(prefix), _MARK)
        expected = await answer
        if expected is not None:
            answer = client.set(OwnersKeys.of(prefix).origin, expected)
            await answer


async def _read_origin(client: Redis, prefix: str) -> str | None:
    with answering("look for the owners"):
        answer: Any = client.mget([OwnersKeys.of(prefix).origin])
        (found,) = await answer
        return None if found is None else found.decode()
