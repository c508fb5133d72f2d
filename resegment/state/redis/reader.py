"""Read what Redis keeps of a prefix. Nothing here writes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from resegment.errors import ResegmentError
from resegment.schemas.logs.state_log import decode_head, decode_state
from resegment.schemas.partitioning import partition_of
from resegment.schemas.routing import RoutedState, decode_routed
from resegment.schemas.state import AccountState
from resegment.state.partition_store import Position
from resegment.state.redis.chunks import ChunksMissing, read_whole
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import PartitionKeys, Stage
from resegment.state.redis.positions import POSITION_FIELDS, StatesLook, decode_position, read_at_position

if TYPE_CHECKING:
    from redis.asyncio import Redis

SCAN_BATCH: Final = 1_000
"""Accounts that one step of a scan asks for."""


class BrokenState(ResegmentError):
    """The stored state of an account cannot be decoded: another version of the project, or something else, wrote it."""

    def __init__(self, account: str, problem: str) -> None:
        super().__init__(
            f"the state of {account} cannot be read: {problem}",
            remedy="Use the version of resegment that the workers run.",
        )
        self.account = account


@dataclass(frozen=True, slots=True, order=True)
class PlacedAccount:
    """The segment of an account, and since when (ms)."""

    entered: int
    account: str
    segment: str


@dataclass(frozen=True, slots=True)
class PartitionLook:
    """One partition of the segmenter, or of the router, at one moment; instants in ms.

    `sizes` counts accounts by segment, those of the router by decision.
    `position` is None where nothing was ever written. `outbox` counts commits that wait to be published, and
    `waiting_since` is when the oldest of them was written, by the clock of Redis. `due` counts the accounts
    whose deadline has come, `next_deadline` is the earliest of all.
    """

    number: int
    position: Position | None
    accounts: int
    sizes: Mapping[str, int]
    outbox: int
    waiting_since: int | None
    deadlines: int
    due: int
    next_deadline: int | None


def add_sizes(partitions: Iterable[PartitionLook]) -> dict[str, int]:
    """Return the sizes of all partitions together, the greatest first; ties by name."""
    total: Counter[str] = Counter()
    for one in partitions:
        total.update(one.sizes)
    return dict(sorted(total.items(), key=lambda pair: (-pair[1], pair[0])))


class PrefixReader:
    """Reads one prefix; the client must not decode responses. Every method raises `StoreUnavailable`."""

    def __init__(
        self,
        client: Redis,
        prefix: str,
        partitions: int,
        *,
        stage: Literal["segmenter", "shadow"] = "segmenter",
    ) -> None:
        """`stage` says whether accounts are those of the version in force, or those of the shadow."""
        self.prefix, self.partitions = prefix, partitions
        self._client = client
        self._keys = [PartitionKeys.of(prefix, number, stage) for number in range(partitions)]
        self._routed = [PartitionKeys.of(prefix, number, "router") for number in range(partitions)]

    def partition_of(self, account: str) -> int:
        """Return the partition whose owner decides on the account."""
        return partition_of(account.encode(), self.partitions)

    async def now(self) -> int:
        """Return the clock of Redis, ms."""
        with answering("tell the time"):
            answer: Any = await self._client.time()
        # each node of a cluster tells its own
        seconds, micros = max(answer.values()) if isinstance(answer, dict) else answer
        return int(seconds) * 1000 + int(micros) // 1000

    async def states(self, accounts: Sequence[str]) -> list[AccountState | None]:
        """Return the state of each account, or None where there is none. Raises `BrokenState`."""
        values = await self._values(self._keys, accounts)
        return [
            None if value is None else _decode(name, value)
            for name, value in zip(accounts, values, strict=True)
        ]

    async def routed(self, accounts: Sequence[str]) -> list[RoutedState | None]:
        """Return the router's state of each account, or None where it has none. Raises `BrokenState`."""
        values = await self._values(self._routed, accounts)
        return [
            None if value is None else _decode_routed(name, value)
            for name, value in zip(accounts, values, strict=True)
        ]

    async def _values(self, keys: Sequence[PartitionKeys], accounts: Sequence[str]) -> list[bytes | None]:
        pipe = self._client.pipeline(transaction=False)
        for name in accounts:
            pipe.hget(keys[self.partition_of(name)].accounts, name)
        with answering("read accounts"):
            values: list[bytes | None] = await pipe.execute()
        by_partition: defaultdict[int, list[int]] = defaultdict(list)
        for place, name in enumerate(accounts):
            by_partition[self.partition_of(name)].append(place)
        for number, places in by_partition.items():
            asked = [accounts[place].encode() for place in places]
            whole = await self._whole(keys[number], asked, [values[place] for place in places])
            for place, value in zip(places, whole, strict=True):
                values[place] = value
        return values

    async def _whole(
        self, keys: PartitionKeys, accounts: Sequence[bytes], values: Iterable[bytes | None]
    ) -> list[bytes | None]:
        """Return the values of accounts of one partition, with the parts that are in another hash."""
        try:
            with answering("read accounts"):
                return await read_whole(self._client, keys, accounts, values)
        except ChunksMissing as missing:
            raise BrokenState(missing.account, str(missing)) from missing

    async def clock(self, partition: int) -> int:
        """Return the partition's time, ms; 0 where nothing was ever written."""
        with answering("read the clock"):
            answer: Any = self._client.hget(self._keys[partition].meta, "clock")
            return int(await answer or 0)

    async def count(self, partition: int) -> int:
        """Return how many accounts a partition has."""
        with answering("count accounts"):
            answer: Any = self._client.hlen(self._keys[partition].accounts)
            return int(await answer)

    async def places(self) -> AsyncIterator[list[PlacedAccount]]:
        """Yield every account that has a segment, in no order, a batch at a time. Raises `BrokenState`.

        An account that changes during the scan is given as it was or as it is, and never twice.
        """
        async for found in self._scan(self._keys):
            yield [
                place for name, value in found.items() if (place := _place(name.decode(), value)) is not None
            ]

    async def routings(self) -> AsyncIterator[list[tuple[str, RoutedState]]]:
        """Yield every account that the router knows, as `places` does."""
        async for found in self._scan(self._routed):
            yield [(name.decode(), _decode_routed(name.decode(), value)) for name, value in found.items()]

    async def _scan(self, partitions: Sequence[PartitionKeys]) -> AsyncIterator[dict[bytes, bytes]]:
        """Yield what is kept of every account, a batch at a time and none twice."""
        for keys in partitions:
            seen: set[bytes] = set()
            cursor = 0
            while True:
                with answering("scan accounts"):
                    answer: Any = self._client.hscan(keys.accounts, cursor, count=SCAN_BATCH)
                    cursor, found = await answer
                fresh = [name for name in found if name not in seen]
                whole = await self._whole(keys, fresh, [found[name] for name in fresh])
                yield {name: value for name, value in zip(fresh, whole, strict=True) if value is not None}
                if not cursor:
                    break
                seen.update(found)

    def _keys_of(self, partition: int, stage: Stage) -> PartitionKeys:
        return (self._routed if stage == "router" else self._keys)[partition]

    async def position(self, partition: int, stage: Stage = "segmenter") -> Position | None:
        """Return where a partition stands, or None where nothing is there."""
        keys = self._keys_of(partition, stage)
        with answering("read the position"):
            answer: Any = self._client.hmget(keys.meta, list(POSITION_FIELDS))
            return decode_position(await answer)

    async def oldest_unpublished(self, partition: int, stage: Stage = "segmenter") -> int | None:
        """Return when (ms) the oldest messages that a stage has not published were committed; None without any."""
        with answering("read the outbox"):
            entries: Any = await self._client.xrange(self._keys_of(partition, stage).outbox, count=1)
        return int(entries[0][0].decode().partition("-")[0]) if entries else None

    async def states_at(self, partition: int, accounts: Sequence[str]) -> tuple[dict[str, bytes], Position]:
        """Return the encoded states of accounts of a partition, and a position: they are no later than that."""
        keys = self._keys[partition]
        pipe = self._client.pipeline(transaction=True)
        pipe.hmget(keys.meta, list(POSITION_FIELDS))
        if accounts:
            pipe.hmget(keys.accounts, list(accounts))
        with answering("read accounts"):
            found, *values = await pipe.execute()
        held: list[bytes | None] = values[0] if values else []
        whole = await self._whole(keys, [name.encode() for name in accounts], held)
        position = decode_position(found)
        if whole != held:  # long logs have parts elsewhere, which a later commit may have replaced
            position = await self.position(partition)
        states = zip(accounts, whole, strict=True)
        return {name: value for name, value in states if value is not None}, position or Position()

    async def look_at_states(self, partition: int, accounts: Sequence[str]) -> StatesLook:
        """Return the states and timers of some accounts of a partition, exactly as they are at one position."""
        return await read_at_position(self._client, self._keys[partition], accounts)

    async def missing(self, partition: int, stage: Stage = "segmenter") -> list[str]:
        """Return the parts of a partition that were written and are gone, as a claim does, but claim nothing."""
        keys = self._keys_of(partition, stage)
        while True:
            with answering("read the partition"):
                before = await self._read_kept(keys)
                pipe = self._client.pipeline(transaction=False)
                pipe.hlen(keys.accounts)
                pipe.zcard(keys.deadlines)
                pipe.exists(keys.outbox)
                pipe.hlen(keys.sizes)
                pipe.hlen(keys.chunks)
                pipe.hlen(keys.ledgers)
                there = await pipe.execute()
                if await self._read_kept(keys) == before:  # no commit came in between
                    break
        commit, kept = before
        if commit is None:
            return ["meta"] if any(there) else []
        written, *counts = map(int, (kept or b"0").split())
        if written != int(commit):  # by a version that keeps no counts
            return []
        names = ("accounts", "deadlines", "outbox", "sizes", "chunks", "ledgers")
        counts += [0] * (len(names) - len(counts))  # of a version that has no chunks, or no ledgers
        return [name for name, count, now in zip(names, counts, there, strict=True) if count != now]

    async def _read_kept(self, keys: PartitionKeys) -> Sequence[bytes | None]:
        answer: Any = self._client.hmget(keys.meta, ["commit", "kept"])
        found: Sequence[bytes | None] = await answer
        return found

    async def raw_states(
        self, partition: int, stage: Stage = "segmenter"
    ) -> AsyncIterator[tuple[str, bytes]]:
        """Yield every account of a partition with its encoded state, each once."""
        async for found in self._scan([self._keys_of(partition, stage)]):
            for name, value in found.items():
                yield name.decode(), value

    async def ledgers_of(self, accounts: Sequence[str]) -> list[bytes | None]:
        """Return the ledger of each account, or None where it has none."""
        pipe = self._client.pipeline(transaction=False)
        for name in accounts:
            pipe.hget(self._routed[self.partition_of(name)].ledgers, name)
        with answering("read ledgers"):
            found: list[bytes | None] = await pipe.execute()
            return found

    async def ledgers(self, partition: int | None = None) -> AsyncIterator[dict[bytes, bytes]]:
        """Yield the ledgers of accounts, some at a time; one of an account may be there twice."""
        for keys in self._routed if partition is None else [self._routed[partition]]:
            cursor = None
            while cursor != 0:
                with answering("scan ledgers"):
                    answer: Any = self._client.hscan(keys.ledgers, cursor or 0, count=SCAN_BATCH)
                    cursor, found = await answer
                yield found

    async def folded(self, partition: int) -> dict[str, bytes]:
        """Return what was folded in for accounts of a partition, for a switch that is still to come."""
        with answering("read what was folded in"):
            answer: Any = self._client.hgetall(self._keys[partition].folded)
            return {name.decode(): value for name, value in (await answer).items()}

    async def timers(self, partition: int, stage: Stage = "segmenter") -> dict[str, int]:
        """Return when each account of a partition is due (ms), of those that have a deadline."""
        with answering("read the deadlines"):
            answer: Any = self._client.zrange(
                self._keys_of(partition, stage).deadlines, 0, -1, withscores=True
            )
            return {name.decode(): int(score) for name, score in await answer}

    async def look(self, now: int | None = None) -> list[PartitionLook]:
        """Return every partition. Deadlines are due by `now` (ms), or by each partition's own clock."""
        return await self._look(self._keys, now)

    async def look_at_routing(self, now: int | None = None) -> list[PartitionLook]:
        """Return every partition of the router, as `look` does."""
        return await self._look(self._routed, now)

    async def decisions(self) -> dict[str, int]:
        """Return the number of accounts by the router's decision."""
        pipe = self._client.pipeline(transaction=False)
        for keys in self._routed:
            pipe.hgetall(keys.sizes)
        with answering("count decisions"):
            answers = await pipe.execute()
        total: Counter[str] = Counter()
        for sizes in answers:
            total.update({name.decode(): int(size) for name, size in sizes.items()})
        return dict(total)

    async def _look(self, partitions: Sequence[PartitionKeys], now: int | None) -> list[PartitionLook]:
        pipe = self._client.pipeline(transaction=False)
        for keys in partitions:
            pipe.hmget(keys.meta, list(POSITION_FIELDS))
            pipe.hlen(keys.accounts)
            pipe.hgetall(keys.sizes)
            pipe.xlen(keys.outbox)
            pipe.xrange(keys.outbox, count=1)
            pipe.zcard(keys.deadlines)
            pipe.zrange(keys.deadlines, 0, 0, withscores=True)
        with answering("read the partitions"):
            answers = await pipe.execute()
        rows = [answers[start : start + 7] for start in range(0, len(answers), 7)]
        positions = [decode_position(row[0]) for row in rows]
        pipe = self._client.pipeline(transaction=False)
        for keys, position in zip(partitions, positions, strict=True):
            clock = 0 if position is None else position.clock
            pipe.zcount(keys.deadlines, "-inf", clock if now is None else now)
        with answering("count deadlines"):
            due = await pipe.execute()
        return [
            PartitionLook(
                number=number,
                position=positions[number],
                accounts=accounts,
                sizes={name.decode(): int(size) for name, size in sizes.items()},
                outbox=outbox,
                waiting_since=int(oldest[0][0].partition(b"-")[0]) if oldest else None,
                deadlines=deadlines,
                due=due[number],
                next_deadline=int(first[0][1]) if first else None,
            )
            for number, (_, accounts, sizes, outbox, oldest, deadlines, first) in enumerate(rows)
        ]


def _decode(account: str, value: bytes) -> AccountState:
    try:
        return decode_state(value)
    except msgspec.DecodeError as error:
        raise BrokenState(account, str(error)) from error


def _decode_routed(account: str, value: bytes) -> RoutedState:
    try:
        return decode_routed(value)
    except msgspec.DecodeError as error:
        raise BrokenState(account, str(error)) from error


def _place(account: str, value: bytes) -> PlacedAccount | None:
    try:
        member = decode_head(value).membership
    except msgspec.DecodeError as error:
        raise BrokenState(account, str(error)) from error
    return None if member.segment is None else PlacedAccount(member.entered, account, member.segment)
