"""Who changed what, by a command or in the console."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Protocol

from resegment.http.operations.place import Place
from resegment.streams.audit.reading import AuditedAction, read_audit_log

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
        self._seen: tuple[float, Sequence[AuditedAction]] | None = None
        self._looking = asyncio.Lock()

    async def read(self) -> Sequence[AuditedAction]:
        async with self._looking:
            if self._seen is None or time.monotonic() - self._seen[0] > FRESH:
                one = self._place.connection
                found = await read_audit_log(one.bootstrap, one.topics.audit_log.name, security=one.security)
                self._seen = time.monotonic(), found
            return self._seen[1]
