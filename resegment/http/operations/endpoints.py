"""The webhook endpoints: their state, and how an operator stops and resumes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from resegment.console.operations.webhooks import describe
from resegment.errors import UserError
from resegment.http.operations.place import Place
from resegment.schemas.times import format_instant
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.state.redis.webhooks import WebhookStates

log = structlog.get_logger(__name__)

_UNNAMED: Final = {"url": "https://unknown.invalid", "secrets": [{"env": "NONE"}]}
"""Stands for an endpoint of which only its state is known."""


class NoSuchEndpoint(UserError):
    """Neither the file nor any delivery process knows an endpoint of that name."""

    def __init__(self, name: str, there: Sequence[str]) -> None:
        super().__init__(
            f"no endpoint is named {name[:100]}",
            remedy=f"There are {', '.join(there)}." if there else "No endpoint is known.",
        )
        self.name = name


class Endpoints(Protocol):
    """The webhook endpoints of a prefix. Methods raise StoreUnavailable."""

    async def look(self, waiting: Mapping[str, int]) -> list[dict[str, Any]]:
        """Return each endpoint with its state; `waiting` has the dead letters of each."""
        ...

    async def enable(self, actor: str, name: str) -> None:
        """Send to a disabled endpoint again. Raises NoSuchEndpoint and NotRecorded."""
        ...

    async def disable(self, actor: str, name: str) -> None:
        """Stop sending to an endpoint. Raises NoSuchEndpoint and NotRecorded."""
        ...


class LiveEndpoints:
    """The `Endpoints` of a running prefix. `read` returns those of the file; without one, delivery processes tell theirs."""

    def __init__(self, place: Place, read: Callable[[], Mapping[str, Endpoint]]) -> None:
        self._place, self._read = place, read
        self._states = WebhookStates(place.connection.client, place.connection.prefix)

    async def look(self, waiting: Mapping[str, int]) -> list[dict[str, Any]]:
        held, file = await self._states.read(), self._file()
        rows = [describe(name, one, held.get(name), waiting.get(name, 0)) for name, one in file.items()]
        unnamed = Endpoint.model_validate(_UNNAMED)
        others = sorted(held.keys() - file.keys())
        return rows + [
            describe(name, unnamed, held[name], waiting.get(name, 0)) | {"to": None, "workflows": None}
            for name in others
        ]

    async def enable(self, actor: str, name: str) -> None:
        await self._check(name)
        async with self._place.trail(actor).recording("webhooks enable", {"endpoint": name}):
            await self._states.enable(name)

    async def disable(self, actor: str, name: str) -> None:
        await self._check(name)
        at = format_instant(time.time_ns() // 1_000_000_000 * 1000)
        async with self._place.trail(actor).recording("webhooks disable", {"endpoint": name}):
            await self._states.disable(name, at, "disabled by hand")

    def _file(self) -> Mapping[str, Endpoint]:
        """Return the endpoints of the file; none while it has errors, which the delivery process reports."""
        try:
            return self._read()
        except UserError as error:
            log.warning("the file of webhooks cannot be read", error=error.message)
            return {}

    async def _check(self, name: str) -> None:
        there = {*(await self._states.read()), *self._file()}
        if name not in there:
            raise NoSuchEndpoint(name, sorted(there))
