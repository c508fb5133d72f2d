"""Which records of a partition are settled: what may be committed is all before the first that is not."""

from __future__ import annotations

from collections import deque


class Window:
    """The records of one partition that were handed out, in offset order."""

    __slots__ = ("_open", "_settled", "committed", "position")

    def __init__(self, offset: int) -> None:
        self.position = self.committed = offset
        """`position`: up to here all is settled. `committed`: up to here the group knows it."""
        self._open: deque[int] = deque()
        self._settled: set[int] = set()

    def add(self, offset: int) -> None:
        """Hand out a record, which comes after all others."""
        self._open.append(offset)

    def settle(self, offset: int) -> None:
        """Count a record as done."""
        self._settled.add(offset)
        while self._open and self._open[0] in self._settled:
            self.position = self._open.popleft() + 1
            self._settled.remove(self.position - 1)

    @property
    def held(self) -> int:
        """Records from the first that is not settled on."""
        return len(self._open)
