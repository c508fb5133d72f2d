"""The log of a state that is never written, as a backtest needs it."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from resegment.schemas.logs.state_log import MAX_FACT, StateLog, StateWrite, encoded_size
from resegment.schemas.state import AccountState, Entry

MEASURED: Final = 8
"""How many facts are measured at once."""


@mypyc_attr(acyclic=True)
class UnwrittenLog(StateLog):
    """The log of a state that is never written: it only knows about how many bytes the facts would take, at most."""

    __slots__ = ("_unmeasured",)

    def __init__(self) -> None:
        super().__init__()
        self._unmeasured = 0

    def add(self, entries: list[Entry]) -> None:
        """Count another fact: the last of these. A few are measured at once."""
        self.size += MAX_FACT
        self._unmeasured += 1
        if self._unmeasured == MEASURED:
            self.size += encoded_size(entries[-MEASURED:]) - MEASURED * MAX_FACT
            self._unmeasured = 0

    def remove(self, *places: int) -> None:
        """Note nothing: the facts take less without these."""

    def replace(self, place: int, entry: Entry) -> None:  # noqa: ARG002  # a log's signature
        """Count a fact that has changed as another one."""
        self.size += encoded_size(entry)

    def write(self, state: AccountState) -> StateWrite | None:
        """Raise NotImplementedError: nothing was noted."""
        raise NotImplementedError
