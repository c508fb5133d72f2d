"""What the record of a prefix says of each partition: whether it ever committed, waits for its state, or is being rebuilt.

The marks are fields of the prefix's own hash, which lies in another slot than the partitions: what a partition loses,
the marks still know. They are written when a partition is taken or rebuilt, never with a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import Stage, prefix_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

STAGES: Final[Sequence[Stage]] = ("segmenter", "router")

_WHOLE: Final = "rebuilding"


def has_committed(held: Mapping[str, str], stage: Stage, partition: int) -> bool:
    """Return whether the stage has ever committed anything of the partition. `held` is the record of the prefix."""
    return _committed(stage, partition) in held


def is_rebuilding(held: Mapping[str, str], partition: int | None = None) -> bool:
    """Return whether a rebuild of the partition is under way or was broken off; without one: of the whole prefix."""
    return (_WHOLE if partition is None else _rebuilding(partition)) in held


def is_waiting(held: Mapping[str, str], stage: Stage, partition: int) -> bool:
    """Return whether the stage waits for the partition's state."""
    return _waiting(stage, partition) in held


def find_rebuilding(held: Mapping[str, str]) -> list[int]:
    """Return the partitions whose rebuild is under way or was broken off."""
    return sorted(int(name.partition(":")[2]) for name in held if name.startswith(f"{_WHOLE}:"))


def find_waiting(held: Mapping[str, str]) -> dict[int, str]:
    """Return the partitions that wait because Redis lost their state, each with what is missing."""
    found: dict[int, list[str]] = {}
    for name, what in held.items():
        kind, _, rest = name.partition(":")
        stage, _, number = rest.partition(":")
        if kind == "waiting" and number.isdigit():
            found.setdefault(int(number), []).append(f"{what} of the {stage}")
    return {number: ", ".join(sorted(parts)) for number, parts in sorted(found.items())}


async def mark_committed(client: Redis, prefix: str, stage: Stage, partition: int) -> None:
    """Record that the stage has the partition's state and has committed. Raises StoreUnavailable."""
    key = prefix_key(prefix)
    with answering("record that the partition has committed"):
        answer: Any = client.hset(key, _committed(stage, partition), "1")
        await answer
        answer = client.hdel(key, _waiting(stage, partition))
        await answer


async def mark_waiting(
    client: Redis, prefix: str, stage: Stage, partition: int, missing: Sequence[str]
) -> None:
    """Record that the partition waits for a rebuild. Raises StoreUnavailable."""
    with answering("record that the partition waits"):
        what = " and ".join(missing) or "all"
        answer: Any = client.hset(prefix_key(prefix), _waiting(stage, partition), what)
        await answer


async def begin_rebuild(client: Redis, prefix: str, partitions: Iterable[int], *, whole: bool) -> None:
    """Keep workers away from the partitions; `whole`: from the prefix. Raises StoreUnavailable."""
    fields: Any = {_rebuilding(number): "1" for number in partitions} | ({_WHOLE: "1"} if whole else {})
    with answering("mark the rebuild"):
        answer: Any = client.hset(prefix_key(prefix), mapping=fields)
        await answer


async def end_partition(client: Redis, prefix: str, partition: int) -> None:
    """Give a partition back that is rebuilt. Raises StoreUnavailable."""
    key = prefix_key(prefix)
    fields: Any = {_committed(stage, partition): "1" for stage in STAGES}
    with answering("mark the end of the rebuild"):
        answer: Any = client.hset(key, mapping=fields)
        await answer
        answer = client.hdel(key, *(_waiting(stage, partition) for stage in STAGES), _rebuilding(partition))
        await answer


async def end_rebuild(client: Redis, prefix: str) -> None:
    """Let workers start again. Raises StoreUnavailable."""
    with answering("mark the end of the rebuild"):
        answer: Any = client.hdel(prefix_key(prefix), _WHOLE)
        await answer


def _committed(stage: Stage, partition: int) -> str:
    return f"committed:{stage}:{partition}"


def _waiting(stage: Stage, partition: int) -> str:
    return f"waiting:{stage}:{partition}"


def _rebuilding(partition: int) -> str:
    return f"{_WHOLE}:{partition}"
