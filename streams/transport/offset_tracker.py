"""Which offset of a partition may be committed: the one before which everything is done."""

from __future__ import annotations

from collections import deque


class OffsetTracker:
    """Follow the records of one partition, handed out in offset order and completed in any order.

    What is handed out together (one record, or a whole chunk) is named by its `end`: the offset after its last
    record. Offsets may have gaps. A partition that is revoked or restarted gets a new tracker.
    """

    __slots__ = ("_completed", "_pending", "committed", "done", "position", "start")

    def __init__(self, offset: int | None = None) -> None:
        self._pending: deque[int] = deque()
        self._completed: set[int] = set()
        self.done: int | None = offset
        """Everything before this offset is done. None: where reading begins is not known yet."""
        self.committed: int | None = offset
        """The offset that the group has committed, or where reading began."""
        self.position: int | None = offset
        """The next offset to hand out."""
        self.start: int | None = offset
        """Where the next records to hand out begin: from here to `position` there were only markers."""

    @property
    def placed(self) -> bool:
        """Whether it is known where reading begins."""
        return self.position is not None

    @property
    def pending(self) -> int:
        """How many of what was handed out still hold back the commit, completed ones behind an open one included."""
        return len(self._pending)

    @property
    def committable(self) -> int | None:
        """The offset to commit; None where it is committed already."""
        return None if self.done == self.committed else self.done

    def place(self, offset: int) -> None:
        """Begin at `offset`."""
        self.done = self.committed = self.position = self.start = offset

    def hand_out(self, end: int) -> None:
        """Note that the records up to `end` are being worked on."""
        self._pending.append(end)
        self.position = self.start = end

    def skip_to(self, offset: int) -> None:
        """Note that there is nothing to hand out before `offset`: markers of transactions take offsets, too."""
        self.position = offset
        if not self._pending:
            self.done = offset

    def complete(self, end: int) -> None:
        """Note that what was handed out up to `end` is done; `done` moves when nothing before it is open."""
        self._completed.add(end)
        while self._pending and self._pending[0] in self._completed:
            self.done = self._pending.popleft()
            self._completed.remove(self.done)
        if not self._pending:
            self.done = self.position
