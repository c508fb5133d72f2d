"""What is kept of webhook endpoints: who is disabled, who has begun, and how they were a moment ago."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from resegment.state.redis.errors import answering
from resegment.state.redis.keys import webhooks_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

SILENT_AFTER: Final = 15.0
"""Seconds after which a process that reports nothing is taken for gone."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Of one endpoint: `disabled` says since when (RFC 3339) and why; `reports` are those of live processes."""

    disabled: Mapping[str, str] | None = None
    begun: bool = False
    reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class WebhookStates:
    """The hash of a prefix. A field is `what:endpoint` or `report:endpoint:process`; every call raises StoreUnavailable."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, webhooks_key(prefix)

    async def read(self) -> dict[str, Kept]:
        """What is known, by endpoint."""
        held = await _answer("read the state of webhooks", self._client.hgetall(self._key))
        disabled: dict[str, Mapping[str, str]] = {}
        begun: set[str] = set()
        reports: dict[str, dict[str, Any]] = {}
        for raw, value in held.items():
            what, name, *process = raw.decode().split(":", 2)
            if what == "disabled":
                disabled[name] = orjson.loads(value)
            elif what == "begun":
                begun.add(name)
            elif process and time.time() - (report := orjson.loads(value))["at"] < SILENT_AFTER:
                reports.setdefault(name, {})[process[0]] = report
        return {
            name: Kept(disabled.get(name), name in begun, reports.get(name, {}))
            for name in begun | disabled.keys() | reports.keys()
        }

    async def disable(self, name: str, at: str, why: str) -> None:
        """Nothing is sent to it from now on."""
        entry: Any = orjson.dumps({"at": at, "why": why})
        await _answer("disable a webhook", self._client.hset(self._key, f"disabled:{name}", entry))

    async def enable(self, name: str) -> bool:
        """It is sent to again; False where it was not disabled."""
        return bool(await _answer("enable a webhook", self._client.hdel(self._key, f"disabled:{name}")))

    async def begin(self, name: str) -> None:
        """It has a place in the topic: from now on what it has not got is due to it."""
        await _answer("begin with a webhook", self._client.hset(self._key, f"begun:{name}", "1"))

    async def report(self, process: str, reports: Mapping[str, Mapping[str, Any]]) -> None:
        """Say how the endpoints are."""
        at = time.time()
        fields: Any = {
            f"report:{name}:{process}": orjson.dumps({"at": at, **report}) for name, report in reports.items()
        }
        await _answer("report of webhooks", self._client.hset(self._key, mapping=fields))

    async def sweep(self) -> None:
        """Remove what processes have reported that were killed."""
        held = await _answer("read the state of webhooks", self._client.hgetall(self._key))
        stale = [
            raw
            for raw, value in held.items()
            if raw.startswith(b"report:") and time.time() - orjson.loads(value)["at"] >= SILENT_AFTER
        ]
        if stale:
            await _answer("remove old reports of webhooks", self._client.hdel(self._key, *stale))

    async def leave(self, process: str, names: list[str]) -> None:
        """Take the reports back."""
        fields = [f"report:{name}:{process}" for name in names]
        await _answer("take back the report of webhooks", self._client.hdel(self._key, *fields))


async def _answer(what: str, asked: Any) -> Any:
    with answering(what):
        return await asked
