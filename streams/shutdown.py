"""One deadline for a whole stop, shared by all its steps: the supervisor kills the process after ten seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

log = logging.getLogger(__name__)

STOPPED_WITHIN: Final = 7.5
"""Seconds for all steps together; what comes after them, the end of threads and of the interpreter, has the rest."""


class Stopping:
    """When a stop has to be over. It begins with `begin`, or with its first step."""

    def __init__(self, within: float = STOPPED_WITHIN) -> None:
        self._within = within
        self._end: float | None = None

    def begin(self) -> None:
        """The stop was asked for."""
        if self._end is None:
            self._end = time.monotonic() + self._within

    @property
    def left(self) -> float:
        """Seconds until it has to be over."""
        self.begin()
        assert self._end is not None
        return max(0.0, self._end - time.monotonic())

    async def step(self, name: str, most: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do one step, for `most` seconds and until the deadline: what takes longer is given up.

        Nothing is lost by that: what was not acknowledged is done again by the next owner.
        """
        try:
            async with asyncio.timeout(min(most, self.left)):
                await work()
        except TimeoutError:
            log.warning("Stopping: %s did not stop in time; what was left is done again", name)
