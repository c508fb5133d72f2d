"""The position of a partition as its `meta` hash holds it, and what is kept of accounts at one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from resegment.state.partition_store import Position
from resegment.state.redis.chunks import ChunksMissing, read_whole
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import PartitionKeys

if TYPE_CHECKING:
    from redis.asyncio import Redis

POSITION_FIELDS: Final = (
    *("commit", "offset", "timestamp", "digest", "log", "clock", "side", "side_mark", "definition"),
)
"""The fields of the hash, in the order in which `decode_position` takes their values."""


def decode_position(values: Sequence[bytes | None]) -> Position | None:
    """Return the position, or None where nothing was ever committed."""
    commit, offset, timestamp, digest, log, clock, side, side_mark, definition = values
    if commit is None:
        return None
    return Position(
        offset=int(offset or 0),
        timestamp=int(timestamp or 0),
        digest=(digest or b"").decode(),
        log=(log or b"").decode(),
        clock=int(clock or 0),
        commit=int(commit),
        side=int(side or 0),
        side_mark=(side_mark or b"").decode(),
        definition=(definition or b"").decode(),
    )


def encode_side(position: Position) -> str:
    """Return what the script splits into the fields `side` and `side_mark`."""
    return f"{position.side} {position.side_mark}".rstrip()


@dataclass(frozen=True, slots=True)
class StatesLook:
    """The encoded states and the timers (ms) of some accounts of a partition at one position.

    `gone` are accounts of which a part is gone, with what is; `changed` those that could not be read at the position,
    because a commit replaced parts of them meanwhile.
    """

    position: Position
    states: Mapping[str, bytes]
    timers: Mapping[str, int]
    gone: Mapping[str, str]
    changed: Sequence[str]


async def read_at_position(client: Redis, keys: PartitionKeys, accounts: Sequence[str]) -> StatesLook:
    """Return what is kept of some accounts, exactly as it is at one position. Raises StoreUnavailable."""
    found, held, scores = await _read_between_commits(client, keys, accounts)
    states: dict[str, bytes] = {}
    gone: dict[str, str] = {}
    changed: list[str] = []
    for name, value in zip(accounts, held, strict=True):
        if value is None:
            continue
        try:
            with answering("read accounts"):
                (whole,) = await read_whole(client, keys, [name.encode()], [value])
        except ChunksMissing as missing:
            gone[name] = str(missing)
            continue
        if whole is None or (whole is not value and await _read_field(client, keys, name) != value):
            changed.append(name)
        else:
            states[name] = whole
    timers = {name: int(score) for name, score in zip(accounts, scores, strict=True) if score is not None}
    return StatesLook(decode_position(found) or Position(), states, timers, gone, changed)


async def _read_between_commits(
    client: Redis, keys: PartitionKeys, accounts: Sequence[str]
) -> tuple[list[bytes | None], list[bytes | None], list[float | None]]:
    """Return the fields of the position, of the accounts, and their timers, between which no commit came."""
    while True:
        pipe = client.pipeline(transaction=False)
        pipe.hmget(keys.meta, list(POSITION_FIELDS))
        pipe.hmget(keys.accounts, list(accounts))
        pipe.zmscore(keys.deadlines, list(accounts))
        pipe.hmget(keys.meta, list(POSITION_FIELDS))
        with answering("read accounts"):
            found, held, scores, again = await pipe.execute()
        if found == again:
            return found, held, scores


async def _read_field(client: Redis, keys: PartitionKeys, name: str) -> bytes | None:
    with answering("read accounts"):
        answer: Any = client.hget(keys.accounts, name)
        value: bytes | None = await answer
        return value
