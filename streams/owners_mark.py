"""Notices that Redis has lost the owners of a prefix, while it still has the record that there were some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from resegment.errors import FatalError
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import OwnersKeys, prefix_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

_MARK: Final = "committed:owners"


class OwnersLost(FatalError):
    """Redis has lost who owns which account. To continue would give members more accounts than their capacity."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"Redis has lost the owners of prefix {prefix}",
            remedy="Stop the workers, run `resegment rebuild`, and start them again. It counts the owners from the accounts, "
            "and rebuilds what else is lost.",
        )
        self.prefix = prefix


async def check_owners(client: Redis, prefix: str, held: Mapping[str, str]) -> None:
    """Record that there are owners, if there are. `held` is the record of the prefix.

    Raises OwnersLost where there were some and all are gone, and StoreUnavailable.
    """
    if await has_lost_owners(client, prefix, held):
        raise OwnersLost(prefix)
    if _MARK not in held and await _has_owners(client, prefix):
        with answering("record that there are owners"):
            answer: Any = client.hset(prefix_key(prefix), _MARK, "1")
            await answer


async def has_lost_owners(client: Redis, prefix: str, held: Mapping[str, str]) -> bool:
    """Return whether there were owners and all are gone. Raises StoreUnavailable."""
    return _MARK in held and not await _has_owners(client, prefix)


async def accept_owners(client: Redis, prefix: str) -> None:
    """Take the owners as they are for all that there are, after a recount. Raises StoreUnavailable."""
    if not await _has_owners(client, prefix):
        with answering("record that there are no owners"):
            answer: Any = client.hdel(prefix_key(prefix), _MARK)
            await answer


async def _has_owners(client: Redis, prefix: str) -> bool:
    keys = OwnersKeys.of(prefix)
    with answering("look for the owners"):
        answer: Any = client.exists(keys.turns, keys.open, keys.held, keys.drawn, keys.gone)
        return bool(await answer)
