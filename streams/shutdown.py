"""One deadline for a whole stop, shared by all its steps: the supervisor kills the process after ten seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

log = logging.getLogger(__name__)

STOPPED_WITHIN: Final = 7.5
"""Seconds for all steps together. The rest is for what follows: the end of threads and of the interpreter."""


class Stopping:
    """The deadline of one stop. It starts with `begin`, or with the first step."""

    def __init__(self, within: float = STOPPED_WITHIN) -> None:
        self._within = within
        self._end: float | None = None

    def begin(self) -> None:
        """Start the deadline."""
        if self._end is None:
            self._end = time.monotonic() + self._within

    @property
    def left(self) -> float:
        """Return the seconds that are left, and start the deadline."""
        self.begin()
        assert self._end is not None
        return max(0.0, self._end - time.monotonic())

    async def step(self, name: str, most: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do one step, for at most `most` seconds and until the deadline. A step that takes longer is given up.

        Nothing is lost by that: what was not acknowledged is done again by the next owner.
        """
        try:
            async with asyncio.timeout(min(most, self.left)):
                await work()
        except TimeoutError:
            log.warning("Stopping: %s did not stop in time; what was left is done again", name)
