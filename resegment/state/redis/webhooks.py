"""Keep the state of webhook endpoints: which are disabled, which have started, and their latest reports."""

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
"""Seconds without a report after which a process counts as gone."""

COMMANDS: Final = "workflow-commands"
"""The topic whose name the field of a position leaves out."""


@dataclass(frozen=True, slots=True)
class EndpointState:
    """The state of one endpoint. `disabled` has since when (RFC 3339) and why; `reports` are from live processes.

    `topics` are those in which it has a position.
    """

    disabled: Mapping[str, str] | None = None
    begun: bool = False
    reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    topics: frozenset[str] = frozenset()


class WebhookStates:
    """The hash of a prefix. Every call raises StoreUnavailable.

    A field is `what:endpoint`, `begun:endpoint:topic` or `report:endpoint:process`.
    """

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, webhooks_key(prefix)

    async def read(self) -> dict[str, EndpointState]:
        """Return the state of each endpoint."""
        held = await _answer("read the state of webhooks", self._client.hgetall(self._key))
        disabled: dict[str, Mapping[str, str]] = {}
        begun: dict[str, set[str]] = {}
        reports: dict[str, dict[str, Any]] = {}
        for raw, value in held.items():
            what, name, *process = raw.decode().split(":", 2)
            if what == "disabled":
                disabled[name] = orjson.loads(value)
            elif what == "begun":
                begun.setdefault(name, set()).add(process[0] if process else COMMANDS)
            elif process and time.time() - (report := orjson.loads(value))["at"] < SILENT_AFTER:
                reports.setdefault(name, {})[process[0]] = report
        return {
            name: EndpointState(
                disabled.get(name), name in begun, reports.get(name, {}), frozenset(begun.get(name, ()))
            )
            for name in begun.keys() | disabled.keys() | reports.keys()
        }

    async def disable(self, name: str, at: str, why: str) -> None:
        """Disable an endpoint: it gets no more requests."""
        entry: Any = orjson.dumps({"at": at, "why": why})
        await _answer("disable a webhook", self._client.hset(self._key, f"disabled:{name}", entry))

    async def enable(self, name: str) -> bool:
        """Enable an endpoint again. Return False if it was not disabled."""
        return bool(await _answer("enable a webhook", self._client.hdel(self._key, f"disabled:{name}")))

    async def begin(self, name: str, topic: str = COMMANDS) -> None:
        """Record that the endpoint has a position in the topic: it is owed everything from there on."""
        entry = f"begun:{name}" if topic == COMMANDS else f"begun:{name}:{topic}"
        await _answer("begin with a webhook", self._client.hset(self._key, entry, "1"))

    async def report(self, process: str, reports: Mapping[str, Mapping[str, Any]]) -> None:
        """Report the state of the endpoints."""
        at = time.time()
        fields: Any = {
            f"report:{name}:{process}": orjson.dumps({"at": at, **report}) for name, report in reports.items()
        }
        await _answer("report of webhooks", self._client.hset(self._key, mapping=fields))

    async def sweep(self) -> None:
        """Remove the reports of processes that were killed."""
        held = await _answer("read the state of webhooks", self._client.hgetall(self._key))
        stale = [
            raw
            for raw, value in held.items()
            if raw.startswith(b"report:") and time.time() - orjson.loads(value)["at"] >= SILENT_AFTER
        ]
        if stale:
            await _answer("remove old reports of webhooks", self._client.hdel(self._key, *stale))

    async def leave(self, process: str, names: list[str]) -> None:
        """Remove the reports of this process."""
        fields = [f"report:{name}:{process}" for name in names]
        await _answer("take back the report of webhooks", self._client.hdel(self._key, *fields))


async def _answer(what: str, asked: Any) -> Any:
    with answering(what):
        return await asked
