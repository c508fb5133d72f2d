"""What was handed out of one partition and not yet acknowledged: the base of every commit."""

from __future__ import annotations

from collections import deque

from resegment.agents.batch import Batch


class Chunk:
    """One batch on its way through an agent. `end` is the offset after its last record."""

    __slots__ = ("__weakref__", "acked", "batch", "end", "lane")

    def __init__(self, batch: Batch, lane: Lane) -> None:
        self.batch = batch
        self.lane = lane
        self.end = batch.records[-1].offset + 1
        self.acked = False


class Lane:
    """The chunks of one partition during one ownership of it, in offset order.

    A partition that is revoked or restarted gets a new lane, so a chunk whose lane is no longer the
    partition's is stale.
    """

    __slots__ = ("_chunks", "committed", "done", "position")

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self.done: int | None = None
        """Offset up to which everything is acknowledged: what may be committed. None: not yet placed."""
        self.committed: int | None = None
        """Offset that the group is known to have committed, or where reading began."""
        self.position: int | None = None
        """Offset of the next record to be handed out."""

    @property
    def placed(self) -> bool:
        """Whether it is known where reading begins."""
        return self.position is not None

    @property
    def unacked(self) -> int:
        """Number of chunks that still hold back the commit."""
        return len(self._chunks)

    @property
    def committable(self) -> int | None:
        """Offset to commit: the end of the longest acknowledged prefix; None if it is committed already."""
        return None if self.done == self.committed else self.done

    def place(self, offset: int) -> None:
        """Begin at `offset`."""
        self.done = self.committed = self.position = offset

    def push(self, batch: Batch) -> Chunk:
        """Hand out the batch that follows the last one."""
        chunk = Chunk(batch, self)
        self._chunks.append(chunk)
        self.position = chunk.end
        return chunk

    def ack(self, chunk: Chunk) -> None:
        """Count a chunk as done; `done` moves only when no earlier one is still open."""
        chunk.acked = True
        while self._chunks and self._chunks[0].acked:
            self.done = self._chunks.popleft().end
