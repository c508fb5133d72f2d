"""The state of a partition in Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import NoScriptError

from resegment.state.partition_store import (
    Claim,
    Commit,
    Committed,
    Fenced,
    OutboxEntry,
    Position,
    RolledBack,
)
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import PartitionKeys, Stage

if TYPE_CHECKING:
    from redis.asyncio import Redis


@cache
def _script(name: str) -> str:
    return files("resegment.state.redis").joinpath(f"{name}.lua").read_text("utf-8")


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
        self._sha: str | None = None

    async def claim(self) -> Claim:
        with answering("claim the partition"):
            fence = await _wait(self._client.eval(_script("claim"), 1, self.keys.meta))
            return Claim(int(fence), await self._position())

    async def _position(self) -> Position | None:
        fields = ("commit", "offset", "timestamp", "digest", "log", "clock", "side")
        values = await _wait(self._client.hmget(self.keys.meta, list(fields)))
        if values[0] is None:
            return None
        commit, offset, timestamp, digest, log, clock, side = values
        return Position(
            int(offset),
            int(timestamp),
            digest.decode(),
            log.decode(),
            int(clock),
            int(commit),
            int(side or 0),
        )

    async def read(self, accounts: Sequence[str]) -> list[bytes | None]:
        if not accounts:
            return []
        with answering("read accounts"):
            return cast(
                "list[bytes | None]", await _wait(self._client.hmget(self.keys.accounts, list(accounts)))
            )

    async def commit(self, commit: Commit) -> Committed:
        with answering("commit"), self._timed():
            answer = await self._run(_arguments(commit))
        verdict = answer[0]
        if verdict == b"FENCED":
            raise Fenced(self.partition)
        if verdict == b"ROLLED BACK":
            raise RolledBack(self.partition)
        _, outbox_id, first, due, states = answer
        pairs = [(name.decode(), state) for name, state in zip(due, states, strict=True) if state is not None]
        return Committed(outbox_id.decode() or None, pairs, int(float(first)) if first else None)

    async def _run(self, arguments: list[Any]) -> Any:
        keys = self.keys
        parts = (5, keys.meta, keys.accounts, keys.deadlines, keys.outbox, keys.sizes, *arguments)
        if self._sha is None:
            self._sha = await _wait(self._client.script_load(_script("commit")))
        try:
            return await _wait(self._client.evalsha(self._sha, *parts))
        except NoScriptError:
            return await _wait(self._client.eval(_script("commit"), *parts))

    async def check(self, fence: int, commit: int) -> None:
        with answering("check the fence"):
            held, last = await _wait(self._client.hmget(self.keys.meta, ["fence", "commit"]))
        if held is None or int(held) != fence:
            raise Fenced(self.partition) if held is not None else RolledBack(self.partition)
        if int(last or 0) != commit:
            raise RolledBack(self.partition)

    async def outbox(self, after: str | None, limit: int) -> list[OutboxEntry]:
        start = "-" if after is None else f"({after}"
        with answering("read the outbox"):
            entries = await _wait(self._client.xrange(self.keys.outbox, min=start, count=limit))
        return [OutboxEntry(entry_id.decode(), fields[b"p"]) for entry_id, fields in entries]

    async def sizes(self) -> dict[str, int]:
        with answering("read segment sizes"):
            return {
                k.decode(): int(v) for k, v in (await _wait(self._client.hgetall(self.keys.sizes))).items()
            }

    async def acknowledge(self, ids: Sequence[str]) -> None:
        if ids:
            with answering("clear the outbox"):
                await _wait(self._client.xdel(self.keys.outbox, *ids))


def _arguments(commit: Commit) -> list[Any]:
    position = commit.position
    gone = [name for name, at in commit.deadlines if at is None]
    states = [part for pair in commit.states for part in pair]
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
        len(deadlines) // 2,
        len(gone),
        len(commit.sizes),
        position.side,
        *states,
        *deadlines,
        *gone,
        *sizes,
    ]


async def _wait(answer: Awaitable[Any] | Any) -> Any:
    """redis-py types its asyncio commands as either; they are awaitable."""
    return await answer
