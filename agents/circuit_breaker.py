"""Pause an endpoint that keeps failing, and probe whether it has recovered."""

from __future__ import annotations

from typing import Final, Literal

BreakerState = Literal["closed", "open", "half-open"]

PEEK: Final = 0.5
"""Seconds between two checks for the result of a probe."""


class CircuitBreaker:
    """The breaker of one endpoint. Every `now` is in seconds, from the same clock.

    While closed, every command may try. After `failures` in a row it opens: nothing may try for `pause` seconds. Then
    one command may, as a probe. It closes the breaker, or opens it again for twice as long, up to `longest`.
    """

    def __init__(self, failures: int, pause: float, longest: float) -> None:
        self.state: BreakerState = "closed"
        self._most, self._first_pause, self._longest = failures, pause, max(pause, longest)
        self._pause = pause
        self._failures = 0
        self._until = 0.0
        self._held = 0.0

    def ask(self, now: float) -> float:
        """Return after how many seconds to ask again. 0: try now, and report the result."""
        if now < self._held:
            return self._held - now
        if self.state == "closed":
            return 0.0
        if self.state == "half-open":
            return PEEK
        if now < self._until:
            return self._until - now
        self.state = "half-open"
        return 0.0

    def succeed(self) -> None:
        """Record that the endpoint answered and works."""
        self.state = "closed"
        self._failures, self._pause = 0, self._first_pause

    def fail(self, now: float) -> None:
        """Record that the endpoint did not answer, or reported a failure."""
        self._failures += 1
        if self.state == "half-open":
            self._pause = min(2 * self._pause, self._longest)
        elif self.state == "open" or self._failures < self._most:
            return
        self.state, self._until = "open", now + self._pause

    def hold(self, until: float) -> None:
        """Record that the endpoint asked for a pause until then."""
        self._held = max(self._held, until)

    def abandon(self) -> None:
        """Record that an attempt was canceled: if it was the probe, another one may be sent."""
        if self.state == "half-open":
            self.state = "open"
