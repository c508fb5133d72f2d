"""Keep the state of sinks: which have begun, what processes report of each, and what a person should look at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import sinks_key
from resegment.state.redis.webhooks import SILENT_AFTER

if TYPE_CHECKING:
    from redis.asyncio import Redis

NOTED: Final = 100
"""How many of the latest notes of a sink are kept."""


@dataclass(frozen=True, slots=True)
class SinkState:
    """The state of one sink. `reports` are of live processes, `notes` what a person should know, the latest first."""

    begun: frozenset[str] = frozenset()
    reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Sequence[Mapping[str, Any]] = ()


class SinkStates:
    """The hash of a prefix. Every call raises StoreUnavailable.

    A field is `begun:SINK:TOPIC`, `report:SINK:PROCESS` or `notes:SINK`.
    """

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, sinks_key(prefix)

    async def read(self) -> dict[str, SinkState]:
        """Return the state of each sink."""
        held = await self._ask("read the state of sinks", self._client.hgetall(self._key))
        begun: dict[str, set[str]] = {}
        reports: dict[str, dict[str, Any]] = {}
        notes: dict[str, list[Any]] = {}
        for raw, value in held.items():
            what, name, *more = raw.decode().split(":", 2)
            if what == "begun":
                begun.setdefault(name, set()).add(more[0])
            elif what == "notes":
                notes[name] = orjson.loads(value)
            elif more and time.time() - (report := orjson.loads(value))["at"] < SILENT_AFTER:
                reports.setdefault(name, {})[more[0]] = report
        return {
            name: SinkState(frozenset(begun.get(name, ())), reports.get(name, {}), notes.get(name, []))
            for name in begun.keys() | reports.keys() | notes.keys()
        }

    async def begin(self, name: str, topic: str) -> None:
        """Record that the sink has a position in the topic: it is owed everything from there on."""
        await self._ask("begin with a sink", self._client.hset(self._key, f"begun:{name}:{topic}", "1"))

    async def report(self, process: str, reports: Mapping[str, Mapping[str, Any]]) -> None:
        """Report the state of sinks."""
        at = time.time()
        fields: Any = {
            f"report:{name}:{process}": orjson.dumps({"at": at, **report}) for name, report in reports.items()
        }
        if fields:
            await self._ask("report of sinks", self._client.hset(self._key, mapping=fields))

    async def note(self, name: str, notes: Sequence[Mapping[str, Any]]) -> None:
        """Add notes, the latest last. Two processes at once may lose one: the log and the dead letters have all."""
        field = f"notes:{name}"
        raw = await self._ask("read the notes of a sink", self._client.hget(self._key, field))
        kept = ([*reversed(notes)] + (orjson.loads(raw) if raw else []))[:NOTED]
        await self._ask("note of a sink", self._client.hset(self._key, field, orjson.dumps(kept).decode()))

    async def sweep(self) -> None:
        """Remove the reports of processes that were killed."""
        held = await self._ask("read the state of sinks", self._client.hgetall(self._key))
        stale = [
            raw
            for raw, value in held.items()
            if raw.startswith(b"report:") and time.time() - orjson.loads(value)["at"] >= SILENT_AFTER
        ]
        if stale:
            await self._ask("remove old reports of sinks", self._client.hdel(self._key, *stale))

    async def leave(self, process: str, names: Sequence[str]) -> None:
        """Remove the reports of this process."""
        if names:
            fields = [f"report:{name}:{process}" for name in names]
            await self._ask("take back the report of sinks", self._client.hdel(self._key, *fields))

    async def _ask(self, what: str, asked: Any) -> Any:
        with answering(what):
            return await asked
