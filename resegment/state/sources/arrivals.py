"""Keep in Redis when events came from each source, and which sources are silent. Workers share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.schemas.definitions.in_force import decode_in_force
from resegment.schemas.sources.silence import Silence, Silences
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import PartitionKeys, arrivals_key, sources_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

HOUR: Final = 3_600_000
DAYS: Final = 57
"""For how many days the hours with events are kept."""
MOST: Final = 1_000
"""How many sources are followed. Of more, the first are."""

_LAST, _KIND, _SILENT = "last:", "kind:", "silent:"


@dataclass(slots=True)
class Arrival:
    """What came from one source: when (ms) the last, in which hours since the epoch, and of which kinds."""

    last: int = 0
    hours: set[int] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def add(self, at: int, kind: str) -> None:
        """Add an event."""
        self.last = max(self.last, at)
        self.hours.add(at // HOUR)
        self.kinds.add(kind)


@dataclass(frozen=True, slots=True)
class KnownSources:
    """What is kept of the sources."""

    arrivals: Mapping[str, Arrival]
    silent: Mapping[str, Silence]


class Arrivals:
    """What has come since the last time that it was written. Of too many sources, some are not followed."""

    def __init__(self) -> None:
        self._noted: dict[str, Arrival] = {}

    def note(self, arrived: Mapping[tuple[str, str], int]) -> None:
        """Note the latest instant (ms) by source and kind."""
        noted = self._noted
        for (source, kind), at in arrived.items():
            one = noted.get(source)
            if one is None:
                if len(noted) >= MOST:
                    continue
                one = noted[source] = Arrival()
            one.add(at, kind)

    def take(self) -> dict[str, Arrival]:
        """Return what has come, and begin again."""
        taken, self._noted = self._noted, {}
        return taken


class ArrivalStore:
    """What Redis keeps. Hours of past days don't change, so they are read once."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._prefix, self._key = client, prefix, sources_key(prefix)
        self._days: dict[int, dict[str, set[int]]] = {}

    async def note(self, arrivals: Mapping[str, Arrival]) -> None:
        """Add what has come. Written twice, it has the effect of once. Raises StoreUnavailable."""
        known = await self._fields()
        count = sum(one.startswith(_LAST) for one in known)
        fields: dict[Any, Any] = {}
        days: dict[int, list[str]] = {}
        for source, one in arrivals.items():
            before = known.get(_LAST + source)
            if before is None:
                count += 1
                if count > MOST:
                    continue
            if before is None or int(before) < one.last:
                fields[_LAST + source] = str(one.last)
            fields |= {f"{_KIND}{kind}:{source}": "" for kind in one.kinds}
            for hour in one.hours:
                days.setdefault(hour // 24, []).append(f"{hour % 24}:{source}")
        if not fields and not days:
            return
        pipe = self._client.pipeline(transaction=False)
        if fields:
            pipe.hset(self._key, mapping=fields)
        for day, members in days.items():
            pipe.sadd(arrivals_key(self._prefix, day), *members)
            pipe.pexpire(arrivals_key(self._prefix, day), DAYS * 24 * HOUR)
        with answering("note what came from sources"):
            await pipe.execute()

    async def read(self, now: int) -> KnownSources:
        """Return what is kept, with the hours in which events came. Raises StoreUnavailable."""
        known = await self.read_latest()
        today = now // HOUR // 24
        for day in range(today - DAYS + 1, today + 1):
            for source, hours in (await self._day(day, today)).items():
                if source in known.arrivals:
                    known.arrivals[source].hours |= hours
        return known

    async def read_latest(self) -> KnownSources:
        """Return what is kept without the hours. Raises StoreUnavailable."""
        fields = await self._fields()
        arrivals = {
            name.removeprefix(_LAST): Arrival(int(value))
            for name, value in fields.items()
            if name.startswith(_LAST)
        }
        for name in fields:
            if name.startswith(_KIND):
                kind, _, source = name.removeprefix(_KIND).partition(":")
                if source in arrivals:
                    arrivals[source].kinds.add(kind)
        silent = {
            name.removeprefix(_SILENT): msgspec.json.decode(value, type=Silence)
            for name, value in fields.items()
            if name.startswith(_SILENT)
        }
        return KnownSources(arrivals, silent)

    async def read_partitions(self, partitions: int) -> list[Silences]:
        """Return which sources are silent as each partition of the router knows. Raises StoreUnavailable."""
        pipe = self._client.pipeline(transaction=False)
        for number in range(partitions):
            pipe.hget(PartitionKeys.of(self._prefix, number, "router").meta, "definition")
        with answering("read what partitions know of sources"):
            answers = await pipe.execute()
        return [decode_in_force((one or b"").decode()).silent for one in answers]

    async def mark(self, silent: Mapping[str, Silence], back: Iterable[str]) -> None:
        """Note which sources are silent now, and which no longer. Raises StoreUnavailable."""
        pipe = self._client.pipeline(transaction=False)
        for source, one in silent.items():
            pipe.hset(self._key, _SILENT + source, msgspec.json.encode(one))
        for source in back:
            pipe.hdel(self._key, _SILENT + source)
        with answering("note which sources are silent"):
            await pipe.execute()

    async def _fields(self) -> dict[str, str]:
        with answering("read what is known of sources"):
            answer: Any = self._client.hgetall(self._key)
            found: Mapping[bytes, bytes] = await answer
        return {name.decode(): value.decode() for name, value in found.items()}

    async def _day(self, day: int, today: int) -> Mapping[str, set[int]]:
        if day in self._days:
            return self._days[day]
        with answering("read when events came"):
            answer: Any = self._client.smembers(arrivals_key(self._prefix, day))
            members: Iterable[bytes] = await answer
        found: dict[str, set[int]] = {}
        for member in members:
            hour, _, source = member.decode().partition(":")
            found.setdefault(source, set()).add(day * 24 + int(hour))
        if day < today - 1:
            self._days[day] = found
            for old in [one for one in self._days if one <= today - DAYS]:
                del self._days[old]
        return found
