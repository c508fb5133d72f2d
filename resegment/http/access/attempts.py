"""Limit how often somebody may fail to sign in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW: Final = 60.0
"""Seconds in which failures are counted."""
OF_ONE: Final = 10
"""Failures of one address in the window."""
OF_ALL: Final = 300
"""Failures of all addresses together: an attacker may have many."""
ADDRESSES: Final = 10_000
"""Addresses that are remembered: the oldest are forgotten."""


@dataclass(slots=True)
class Attempts:
    """The failed logins of the last minute, by address. Times are in seconds, by any clock that only moves forward."""

    _failed: dict[str, deque[float]] = field(default_factory=dict)
    _all: deque[float] = field(default_factory=deque)

    def wait(self, address: str, now: float) -> float:
        """Return the seconds to wait until this address may try again, or 0."""
        own = self._failed.get(address, deque())
        _forget(own, now)
        _forget(self._all, now)
        waits = [0.0]
        if len(own) >= OF_ONE:
            waits.append(own[0] + WINDOW - now)
        if len(self._all) >= OF_ALL:
            waits.append(self._all[0] + WINDOW - now)
        return max(waits)

    def fail(self, address: str, now: float) -> None:
        """Count a failure."""
        own = self._failed.pop(address, deque())
        own.append(now)
        if len(own) > OF_ONE:
            own.popleft()
        self._failed[address] = own
        while len(self._failed) > ADDRESSES:
            del self._failed[next(iter(self._failed))]
        self._all.append(now)
        if len(self._all) > OF_ALL:
            self._all.popleft()


def _forget(times: deque[float], now: float) -> None:
    while times and times[0] <= now - WINDOW:
        times.popleft()
