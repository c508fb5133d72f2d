"""The partition store in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from resegment.state.partition_store import (
    Claim,
    Commit,
    Committed,
    Fenced,
    OutboxEntry,
    RolledBack,
)
from resegment.state.redis.chunks import ChunksMissing, read_whole
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import PartitionKeys, Stage
from resegment.state.redis.positions import POSITION_FIELDS, decode_position, encode_side
from resegment.state.redis.scripts import load_script

if TYPE_CHECKING:
    from redis.asyncio import Redis


class PartitionStore:
    """See `resegment.state.partition_store.PartitionStore`. The client must not decode responses.

    `timed` gives a context manager that measures one commit.
    """

    def __init__(
        self,
        client: Redis,
        prefix: str,
        partition: int,
        *,
        stage: Stage = "segmenter",
        timed: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.partition, self.stage = partition, stage
        self.keys = PartitionKeys.of(prefix, partition, stage)
        self._client = client
        self._timed = timed

    async def claim(self) -> Claim:
        with answering("claim the partition"):
            fence, missing = await load_script("claim").run(self._client, len(self.keys.all), *self.keys.all)
            answer: Any = self._client.hmget(self.keys.meta, list(POSITION_FIELDS))
            names = [name.decode() for name in missing]
            return Claim(int(fence), decode_position(await answer), names)

    async def read(self, accounts: Sequence[str]) -> list[bytes | None]:
        if not accounts:
            return []
        with answering("read accounts"):
            answer: Any = self._client.hmget(self.keys.accounts, list(accounts))
            return await self._whole([name.encode() for name in accounts], await answer)

    async def _whole(self, accounts: Sequence[bytes], values: Iterable[bytes | None]) -> list[bytes | None]:
        try:
            return await read_whole(self._client, self.keys, accounts, values)
        except ChunksMissing:
            raise RolledBack(self.partition) from None

    async def scan(self, cursor: int, limit: int) -> tuple[int, list[tuple[str, bytes]]]:
        with answering("scan accounts"):
            answer: Any = self._client.hscan(self.keys.accounts, cursor, count=limit)
            following, found = await answer
            whole = await self._whole(list(found), found.values())
        pairs = zip(found, whole, strict=True)
        return int(following), [(name.decode(), value) for name, value in pairs if value is not None]

    async def read_ledgers(self, accounts: Sequence[str]) -> list[bytes | None]:
        if not accounts:
            return []
        with answering("read ledgers"):
            answer: Any = self._client.hmget(self.keys.ledgers, list(accounts))
            found: list[bytes | None] = await answer
            return found

    async def read_folded(self, accounts: Sequence[str]) -> list[bytes | None]:
        if not accounts:
            return []
        with answering("read what was folded in"):
            answer: Any = self._client.hmget(self.keys.folded, list(accounts))
            found: list[bytes | None] = await answer
            return found

    async def keep_folded(self, states: Sequence[tuple[str, bytes]]) -> None:
        if states:
            with answering("keep what was folded in"):
                answer: Any = self._client.hset(self.keys.folded, mapping=dict(states))
                await answer

    async def clear_folded(self) -> None:
        with answering("clear what was folded in"):
            await self._client.delete(self.keys.folded)

    async def commit(self, commit: Commit) -> Committed:
        with answering("commit"), self._timed():
            answer = await load_script("commit").run(
                self._client, len(self.keys.all), *self.keys.all, *_arguments(commit)
            )
        verdict = answer[0]
        if verdict == b"FENCED":
            raise Fenced(self.partition)
        if verdict == b"ROLLED BACK":
            raise RolledBack(self.partition)
        _, outbox_id, first, due, crowded = answer
        names, long = ([name.decode() for name in found] for found in (due, crowded))
        return Committed(outbox_id.decode() or None, names, int(float(first)) if first else None, long)

    async def check(self, fence: int, commit: int) -> None:
        with answering("check the fence"):
            answer: Any = self._client.hmget(self.keys.meta, ["fence", "commit"])
            held, last = await answer
        if held is None or int(held) != fence:
            raise Fenced(self.partition) if held is not None else RolledBack(self.partition)
        if int(last or 0) != commit:
            raise RolledBack(self.partition)

    async def outbox(self, after: str | None, limit: int) -> list[OutboxEntry]:
        start = "-" if after is None else f"({after}"
        with answering("read the outbox"):
            answer: Any = self._client.xrange(self.keys.outbox, min=start, count=limit)
            return [OutboxEntry(entry_id.decode(), fields[b"p"]) for entry_id, fields in await answer]

    async def sizes(self) -> dict[str, int]:
        with answering("read segment sizes"):
            answer: Any = self._client.hgetall(self.keys.sizes)
            return {name.decode(): int(size) for name, size in (await answer).items()}

    async def clear(self) -> None:
        """Delete all that is kept of the partition. Raises StoreUnavailable."""
        with answering("clear the partition"):
            await self._client.delete(*self.keys.all, self.keys.folded)

    async def acknowledge(self, ids: Sequence[str]) -> None:
        if ids:
            with answering("clear the outbox"):
                await self._client.xdel(self.keys.outbox, *ids)


def _arguments(commit: Commit) -> list[Any]:
    position = commit.position
    gone = [name for name, at in commit.deadlines if at is None]
    states = [part for pair in commit.states for part in pair]
    appended = [part for pair in commit.appended for part in pair]
    deadlines: list[Any] = []
    for name, at in commit.deadlines:
        if at is not None:
            deadlines += (at, name)
    sizes = [part for pair in commit.sizes for part in pair]
    return [
        commit.fence,
        position.commit,
        position.offset,
        position.timestamp,
        position.digest,
        position.log,
        position.clock,
        commit.due_limit,
        commit.changes,
        commit.outbox or b"",
        len(commit.states),
        len(commit.appended),
        len(deadlines) // 2,
        len(gone),
        len(commit.sizes),
        encode_side(position),
        position.definition,
        len(commit.ledgers),
        len(commit.compacted),
        *states,
        *appended,
        *deadlines,
        *gone,
        *sizes,
        *(part for pair in commit.ledgers for part in pair),
        *(part for pair in commit.compacted for part in pair),
    ]
