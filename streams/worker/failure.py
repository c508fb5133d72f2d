"""Report the error that ends a worker. How long a failing batch is retried first is in `streams/consumer/binding.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

from resegment.errors import ResegmentError

log = structlog.get_logger(__name__)


class Failure:
    """The first error that any part of a worker reports. The worker ends with it, and its supervisor restarts it."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._reported = asyncio.Event()

    def report(self, error: BaseException) -> None:
        """End the worker with this error. Errors after the first change nothing."""
        if self.error is None:
            self.error = error
            self._reported.set()

    async def wait(self) -> BaseException:
        """Wait until an error is reported, and return it."""
        await self._reported.wait()
        assert self.error is not None
        return self.error

    async def guard(self, work: Awaitable[None], what: str) -> None:
        """Run a background task. Reports what it raises, so that no task ends in silence."""
        try:
            await work
        except ResegmentError as error:  # it says what to do: a traceback would add nothing
            self.report(error)
        except Exception as error:
            log.exception("%s task failed", what)
            self.report(error)
