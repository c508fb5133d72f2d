"""What was read a moment ago, shown again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """A value that is made again once it is older than so many seconds; only one caller at a time makes it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._made: tuple[float, T] | None = None
        self._drops = 0

    async def get(self, make: Callable[[], Awaitable[T]]) -> T:
        """Return the value, made by a function if it is missing or too old. Raises what the function raises."""
        async with self._lock:
            if self._made is None or time.monotonic() - self._made[0] > self._seconds:
                drops = self._drops
                value = await make()
                if drops != self._drops:
                    return value  # it may be from before the change
                self._made = time.monotonic(), value
            return self._made[1]

    def drop(self) -> None:
        """Make the value again at the next call: it was changed."""
        self._made = None
        self._drops += 1
