"""Who changed what, by a command or in the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from resegment.http.operations.place import Place
from resegment.streams.audit.reading import AuditedAction, read_audit_log
from resegment.streams.live.cached import Cached

FRESH: Final = 2.0
"""Seconds for which the log is shown again."""


class AuditLog(Protocol):
    """The audit log of a prefix."""

    async def read(self) -> Sequence[AuditedAction]:
        """Return every action, the oldest first. Raises TopicUnreadable."""
        ...


class LiveAuditLog:
    """The `AuditLog` of a running prefix."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._actions: Cached[Sequence[AuditedAction]] = Cached(FRESH)

    async def read(self) -> Sequence[AuditedAction]:
        one = self._place.connection
        return await self._actions.get(
            lambda: read_audit_log(one.bootstrap, one.topics.audit_log.name, security=one.security)
        )
