"""Bound what one sender may have under way, so that a slow or heavy one holds up no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from resegment.http.intake.bodies import Rejected

MAX_REQUESTS: Final = 256
MAX_BYTES: Final = 64 * 1024 * 1024
_FULL: Final = "too many requests of this sender are under way: wait for their answers"


class Share:
    """What a request of a sender holds: counted until it is answered."""

    def __init__(self, load: Load, sender: str) -> None:
        self._load, self._sender = load, sender
        self.bytes = 0

    def add(self, count: int) -> None:
        """Count more bytes of the body. Raises Rejected."""
        if self._load.bytes[self._sender] + count > MAX_BYTES:
            raise Rejected(429, _FULL, retry_after=1)
        self.bytes += count
        self._load.bytes[self._sender] += count


class Load:
    """The requests and bytes under way, by sender."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    @contextmanager
    def held(self, sender: str) -> Iterator[Share]:
        """Count a request during the block. Raises Rejected if the sender has too many."""
        if self.requests[sender] >= MAX_REQUESTS:
            raise Rejected(429, _FULL, retry_after=1)
        share = Share(self, sender)
        self.requests[sender] += 1
        try:
            yield share
        finally:
            self.requests[sender] -= 1
            self.bytes[sender] -= share.bytes
            if not self.requests[sender]:
                del self.requests[sender], self.bytes[sender]
