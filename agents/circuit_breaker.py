"""Leaves an endpoint alone that fails again and again, and looks at times whether it is back."""

from __future__ import annotations

from typing import Final, Literal

State = Literal["closed", "open", "half-open"]

PEEK: Final = 0.5
"""Seconds between two looks at what has become of a probe."""


class Breaker:
    """The breaker of one endpoint. Every `now` is in seconds, of one clock.

    Closed, all may try. After `failures` in a row it opens: none may try for `pause` seconds. Then one may, the
    probe; it closes the breaker, or opens it again for twice as long, `longest` at the most.
    """

    def __init__(self, failures: int, pause: float, longest: float) -> None:
        self.state: State = "closed"
        self._most, self._first_pause, self._longest = failures, pause, max(pause, longest)
        self._pause = pause
        self._failures = 0
        self._until = 0.0
        self._held = 0.0

    def ask(self, now: float) -> float:
        """Seconds after which to ask again; 0: try now, and say what came of it."""
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
        """The endpoint answered, and is well."""
        self.state = "closed"
        self._failures, self._pause = 0, self._first_pause

    def fail(self, now: float) -> None:
        """The endpoint did not answer, or said that it is not well."""
        self._failures += 1
        if self.state == "half-open":
            self._pause = min(2 * self._pause, self._longest)
        elif self.state == "open" or self._failures < self._most:
            return
        self.state, self._until = "open", now + self._pause

    def hold(self, until: float) -> None:
        """The endpoint asks to be left alone until then."""
        self._held = max(self._held, until)

    def abandon(self) -> None:
        """What was tried was broken off: if it was the probe, another may be sent."""
        if self.state == "half-open":
            self.state = "open"
