"""Read the marks among the records of `signals`, and decide where a switch takes effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec.structs import replace

from resegment.agents.batch import Message, Record, is_readable
from resegment.agents.deciding.versions import Versions
from resegment.schemas.definitions.marks import Changeover, Mark, decode_mark, encode_mark
from resegment.schemas.definitions.records import Apply

MARK: Final = "definition"
"""The header of a record of `signals` that carries no fact, but tells its partition of an apply."""


def mark_message(topic: str, partition: int, mark: Mark, timestamp: int) -> Message:
    """Return the message of a mark for one partition. `timestamp` 0 moves no clock."""
    return Message(topic, None, encode_mark(mark), [(MARK, b"")], partition, timestamp)


def is_mark(record: Record) -> bool:
    """Return whether a record carries a mark."""
    return is_readable(record) and any(name == MARK for name, _ in record.headers)


@dataclass(slots=True)
class Crossing:
    """Follows the changeover of a partition through the records of a batch."""

    versions: Versions
    changeover: Changeover
    switched: list[Apply] = field(default_factory=list)
    """The switches that took effect, in order."""
    blocked: str | None = None
    """The apply on whose end the partition has to wait before it may read on."""

    def reach(self, clock: int) -> bool:
        """Note that the clock is about to reach an instant (ms). Return False if the partition has to wait before."""
        pending = self.changeover.pending
        if pending is None or clock < pending.at:
            return True
        verdict = self.versions.verdict(pending.apply)
        if verdict is None:
            self.blocked = pending.apply
            return False
        if verdict == "void":
            self._drop(pending.apply)
            return True
        preparing = self.changeover.preparing
        if self.versions.folds_in and preparing is not None and not self.changeover.ready:
            # the store went back to before the facts were folded in: they are folded in again
            self.blocked = pending.apply
            return False
        apply = self.versions.apply_of(pending.apply)
        if apply is not None:
            self.switched.append(apply)
        # in a replay, accounts may not have been switched to the version before yet
        is_done = apply is not None and not apply.works_off
        is_even = self.changeover.worked_off >= self.changeover.version
        self.changeover = replace(
            self.changeover,
            pending=None,
            version=pending.version,
            preparing=None if is_done else self.changeover.preparing,
            worked_off=pending.version if is_done and is_even else self.changeover.worked_off,
        )
        return True

    def read(self, record: Record, clock: int) -> bool:
        """Take a mark; `clock` is the partition's, after the record. Return False if the partition has to wait before."""
        try:
            mark = decode_mark(record.value or b"")
        except msgspec.DecodeError:
            return True  # of a later release: its switch ends void, as this partition never says that it has the mark
        if mark.step == "void":
            if self.versions.verdict(mark.apply) != "stands":
                self._drop(mark.apply)
        elif not self.versions.knows(mark.apply):
            self.blocked = mark.apply
            return False
        elif self.versions.verdict(mark.apply) == "void":
            pass
        elif mark.step == "prepare":
            self.changeover = replace(self.changeover, preparing=mark, offset=record.offset, ready=False)
        elif clock < mark.at:
            self.changeover = replace(self.changeover, pending=mark)
        else:
            self.changeover = replace(self.changeover, late=mark.apply)
        return True

    def _drop(self, apply: str) -> None:
        one = self.changeover
        self.changeover = replace(
            one,
            pending=None if one.pending is not None and one.pending.apply == apply else one.pending,
            preparing=None if one.preparing is not None and one.preparing.apply == apply else one.preparing,
            late=None if one.late == apply else one.late,
        )
