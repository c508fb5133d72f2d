"""Decide records of a log again, into a store of their own; nothing is announced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from resegment.agents.batch import Batch, Message
from resegment.agents.deciding.decided import Owned
from resegment.agents.deciding.sweep import find_due_sweep, sweep
from resegment.agents.deciding.versions import Versions
from resegment.agents.segmenter import decide_due, segment
from resegment.errors import TransientError
from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Fact

TOGETHER: Final = 1000
"""Accounts that are switched to another version in one commit."""


class SwitchOpen(TransientError):
    """The log has the mark of a switch of which it is not settled whether it happens."""

    def __init__(self, apply: str) -> None:
        super().__init__(
            f"the switch {apply} is not settled: whether it happens decides what the log leads to",
            remedy="Try again in some seconds: an apply that is not settled within ten ends void.",
        )
        self.apply = apply


class Nowhere:
    """Publishes nothing: it was published the first time."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Leave the messages."""
        del messages


async def _nothing() -> None:
    """Do not rest."""


async def refold(
    batch: Batch,
    owned: Owned,
    versions: Versions,
    *,
    ahead: Collection[int] = (),
    look: Callable[[Sequence[SegmentChange]], None] = lambda _: None,
    rest: Callable[[], Awaitable[None]] = _nothing,
    together: int = TOGETHER,
) -> Sequence[Fact]:
    """Decide a batch, then what has become due, and switch accounts to a version that has come.

    Returns the facts of merged accounts that went to other accounts.

    `look` is called with the changes of each commit, and `rest` is awaited between commits. Raises SwitchOpen, and
    what `segment` raises.
    """
    done = await segment(
        batch, owned, versions, publisher=Nowhere(), factory=None, dead_letters="", ahead=ahead
    )
    look(done.changes)
    await rest()
    if done.waits_for is not None:
        raise SwitchOpen(done.waits_for)
    while owned.due:
        look(await decide_due(owned, versions, factory=None))
        await rest()
    cursor = 0
    while (version := find_due_sweep(owned.position, versions.timeline)) is not None:
        swept = await sweep(owned, versions, cursor, version, factory=None, limit=together)
        cursor = swept.cursor
        look(swept.changes)
        await rest()
    return done.forwards
