"""Count changes, commands, dead letters and outcomes of some time, of everything, one segment or one owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from resegment.outcomes.dataset import Dataset
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.times import parse_instant

NOWHERE: Final = ""
"""Where an account comes from that is seen for the first time, and goes to that ends."""


class SegmentActivity(msgspec.Struct, frozen=True):
    """A segment: its accounts now, and those that entered and left."""

    segment: str
    accounts: int
    entered: int
    left: int


class Flow(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """How many accounts went from one segment to another; None: seen for the first time, or ended."""

    from_: str | None
    to: str | None
    accounts: int


class CommandCount(msgspec.Struct, frozen=True):
    """How many commands a workflow got."""

    workflow: str
    action: str
    commands: int


class OutcomeCount(msgspec.Struct, frozen=True):
    """How many outcomes of one kind came, and how many of them are credited to a touch."""

    action: str
    outcomes: int
    credited: int


@dataclass
class Activity:
    """What happened from one instant (ms) on and before another, of one segment or owner if they are given."""

    since: int
    until: int
    segment: str | None = None
    owner: str | None = None
    oldest: int | None = None
    """When (ms) the oldest change that its topic still has took effect."""
    unread: Counter[str] = field(default_factory=Counter)
    """How many records of a topic are no changes or commands: each was passed over."""
    _flows: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)
    _commands: dict[str, tuple[str, str]] = field(default_factory=dict)
    _theirs: set[str] = field(default_factory=set)

    def take_commands(self, values: Iterable[bytes | None], at: int) -> None:
        """Count commands that were written at an instant; each key once."""
        for value in values:
            try:
                command = decode_value(_command_decoder, value).data
            except msgspec.DecodeError:
                self.unread["workflow-commands"] += 1
                continue
            if not self.since <= at < self.until:
                continue
            if self.owner is not None and command.owner != self.owner:
                continue
            self._theirs.add(command.account)
            if self.segment in (None, command.segment):
                self._commands[command.idempotency_key] = command.workflow, command.action

    def take_changes(self, values: Iterable[bytes | None]) -> None:
        """Count changes, each once, and none that a later one replaced."""
        for value in values:
            try:
                event = decode_value(_change_decoder, value)
                change, effective = event.data, parse_instant(event.data.effective_at)
            except ValueError:  # msgspec's errors too
                self.unread["segment-changes"] += 1
                continue
            if change.sequence_number <= self._seen.get(change.account, 0):
                continue
            self._seen[change.account] = change.sequence_number
            self.oldest = effective if self.oldest is None else min(self.oldest, effective)
            if change.supersedes is not None:
                self._flows.pop(change.supersedes, None)
            if self.since <= effective < self.until:
                moved = change.account, change.from_ or NOWHERE, change.to or NOWHERE
                self._flows[event.id] = moved

    def flows(self) -> list[Flow]:
        """Return the moves, the greatest first. Of an owner: of the accounts that they got commands for."""
        counts = Counter(
            (left, taken)
            for account, left, taken in self._flows.values()
            if left != taken
            and (self.segment in (None, left, taken))
            and (self.owner is None or account in self._theirs)
        )
        ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        return [Flow(left or None, taken or None, count) for (left, taken), count in ordered]

    def segments(self, sizes: Mapping[str, int]) -> list[SegmentActivity]:
        """Return each segment with its size now, the greatest first."""
        entered: Counter[str] = Counter()
        gone: Counter[str] = Counter()
        for one in self.flows():
            entered[one.to or NOWHERE] += one.accounts
            gone[one.from_ or NOWHERE] += one.accounts
        names = dict.fromkeys([*sizes, *entered, *gone])
        return [
            SegmentActivity(name, sizes.get(name, 0), entered[name], gone[name])
            for name in names
            if name != NOWHERE and self.segment in (None, name)
        ]

    def commands(self) -> list[CommandCount]:
        """Return the commands by workflow and action."""
        counts = Counter(self._commands.values())
        return [CommandCount(*pair, count) for pair, count in sorted(counts.items())]

    def outcomes(self, dataset: Dataset) -> list[OutcomeCount]:
        """Return the outcomes of this time; of a segment or owner: those credited to a touch of theirs."""
        theirs: set[str] | None = None
        if self.segment is not None or self.owner is not None:
            touches = zip(
                *(dataset.touches[name].to_list() for name in ("touch", "segment", "owner")), strict=True
            )
            theirs = {
                touch
                for touch, segment, owner in touches
                if self.segment in (None, segment) and self.owner in (None, owner)
            }
        counts: Counter[str] = Counter()
        credited: Counter[str] = Counter()
        times = dataset.outcomes["at"].dt.timestamp("ms").to_list()
        rows = zip(dataset.outcomes["action"].to_list(), dataset.outcomes["touch"].to_list(), strict=True)
        for at, (action, touch) in zip(times, rows, strict=True):
            if self.since <= at < self.until and (theirs is None or touch in theirs):
                counts[action] += 1
                credited[action] += touch is not None
        return [OutcomeCount(name, count, credited[name]) for name, count in sorted(counts.items())]


def count_letters(letters: Iterable[Mapping[str, Any]], since: int, until: int) -> dict[str, int]:
    """Return the dead letters of some time by reason, the most frequent first."""
    found = Counter(
        one.get("reason", "") for one in letters if since <= parse_instant(one["refused_at"]) < until
    )
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


class _Command(msgspec.Struct, frozen=True):
    account: str
    action: str
    workflow: str
    segment: str
    idempotency_key: str
    owner: str | None = None


class _Change(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    account: str
    sequence_number: int
    effective_at: str
    from_: str | None = None
    to: str | None = None
    supersedes: str | None = None


class _CommandEvent(msgspec.Struct, frozen=True):
    data: _Command


class _ChangeEvent(msgspec.Struct, frozen=True):
    id: str
    data: _Change


_command_decoder: Final = msgspec.json.Decoder(_CommandEvent)
_change_decoder: Final = msgspec.json.Decoder(_ChangeEvent)
