"""Read logs of accounts whose older parts `commit.lua` moved to a hash of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from resegment.schemas.logs.log_framing import HEADER, begin_log, count_items
from resegment.state.redis.keys import PartitionKeys

if TYPE_CHECKING:
    from redis.asyncio import Redis

AT_ONCE: Final = 4_000
"""Chunks that one command asks for."""
MOVED: Final = 0xC1
"""The first byte of an account's field whose log has parts that were moved."""
ATTEMPTS: Final = 10
"""How often an account is read while commits replace its chunks in between."""


class ChunksMissing(Exception):
    """Chunks of an account's log are gone."""

    def __init__(self, account: str) -> None:
        super().__init__("a part of it is gone")
        self.account = account


class _Moved(NamedTuple):
    """What a field of `accounts` says of the parts that were moved, and the rest of the log."""

    chunks: list[bytes]
    items: int
    log: bytes

    def join(self, found: Mapping[bytes, bytes | None]) -> bytes:
        """Return the whole log."""
        parts = [found[name] or b"" for name in self.chunks]
        return b"".join((begin_log(self.items + count_items(self.log)), *parts, self.log[HEADER:]))


def _parse(account: bytes, value: bytes | None) -> _Moved | None:
    """Return what the field says of moved parts, or None where it is all that there is."""
    if not value or value[0] != MOVED or len(value) < 10:
        return None
    count, items, stop = int.from_bytes(value[1:5], "big"), int.from_bytes(value[5:9], "big"), 10 + value[9]
    start = b"%b\0%b." % (account, value[10:stop])
    return _Moved([b"%b%d" % (start, number) for number in range(count)], items, value[stop:])


async def read_whole(
    client: Redis, keys: PartitionKeys, accounts: Sequence[bytes], values: Iterable[bytes | None]
) -> list[bytes | None]:
    """Return the values of accounts with the parts that were moved. Raises ChunksMissing.

    The parts are immutable, and no name is used twice: where one is not there any more, the account is read again.
    """
    whole = list(values)
    pending = [place for place, value in enumerate(whole) if value and value[0] == MOVED]
    for _ in range(ATTEMPTS):
        moved = {
            place: one for place in pending if (one := _parse(accounts[place], whole[place])) is not None
        }
        if not moved:
            return whole
        found = await _read(client, keys.chunks, [name for one in moved.values() for name in one.chunks])
        again: list[int] = []
        for place, one in moved.items():
            if any(found[name] is None for name in one.chunks):
                again.append(place)
            else:
                whole[place] = one.join(found)
        if again:
            answer: Any = client.hmget(keys.accounts, [accounts[place] for place in again])
            for place, value in zip(again, await answer, strict=True):
                whole[place] = value
        pending = again
    raise ChunksMissing(accounts[again[0]].decode())


async def _read(client: Redis, key: str, names: Sequence[bytes]) -> dict[bytes, bytes | None]:
    found: dict[bytes, bytes | None] = {}
    for start in range(0, len(names), AT_ONCE):
        asked = names[start : start + AT_ONCE]
        answer: Any = client.hmget(key, list(asked))
        found.update(zip(asked, await answer, strict=True))
    return found
