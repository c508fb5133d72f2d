"""Collect what is decided in a batch or slice of a partition, and commit it with the messages that announce it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from resegment.agents.batch import Message
from resegment.agents.deciding.applying import Applied
from resegment.agents.partition import OwnedPartition
from resegment.schemas.change import GateChange, SegmentChange
from resegment.schemas.definitions.records import Apply
from resegment.schemas.fact import Fact
from resegment.schemas.identities.forgotten import Forgotten
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Decision
from resegment.state.partition_store import Position
from resegment.state.writes import Writes

Owned = OwnedPartition[Account]


class MessageFactory(Protocol):
    """Makes the messages that announce decisions."""

    def change(self, change: SegmentChange) -> Message:
        """Return the event of a segment change."""
        ...

    def gate_change(self, gate_change: GateChange) -> Message:
        """Return the event that tells the router which gates hold now."""
        ...

    def outcome(self, fact: Fact) -> Message | None:
        """Return the event that tells the router of an outcome, or None where the router has no use for it."""
        ...

    def learned(self, fact: Fact, at: int) -> Message:
        """Return the event that tells the router of an outcome, to be credited to a touch."""
        ...

    def forgotten(self, event: Forgotten) -> Message:
        """Return the event that tells the router that an account, or a person of it, was forgotten."""
        ...

    def switched(self, apply: Apply, partition: int) -> Message:
        """Return the event that tells the router of a partition that another version is in force."""
        ...

    def forward(self, fact: Fact, at: int) -> Message:
        """Return the signal of a fact passed to another account, as of an instant (ms)."""
        ...


class Decided:
    """What was decided in a batch or slice of a partition, and the messages that announce it.

    `switched` are the switches that took effect in it: the router hears of them first.
    """

    def __init__(
        self, factory: MessageFactory | None, partition: int, switched: Sequence[Apply] = ()
    ) -> None:
        self.factory = factory
        self._partition, self._switched = partition, switched
        self._changes: list[tuple[SegmentChange, Message | None]] = []
        self._gate_changes: list[GateChange] = []
        self._outcomes: list[Fact] = []
        self._learned: list[Fact] = []
        self._told: list[Forgotten] = []
        self.forwards: list[Fact] = []
        """Facts that are passed to other accounts."""

    def add(self, applied: Applied, later: Sequence[Decision] = ()) -> None:
        """Add what one account's facts and then its deadlines led to: all of it, or nothing where a message cannot be made."""
        decisions = [*applied.decisions, *later] if later else applied.decisions
        changes = self.announced(decisions)
        self._changes += changes
        if len(changes) < len(decisions):
            self._gate_changes += [one.gate_change for one in decisions if one.gate_change is not None]
        self._outcomes += applied.outcomes
        self._learned += applied.learned
        self._told += applied.told
        self.forwards += applied.forwards

    def announced(self, decisions: Sequence[Decision]) -> list[tuple[SegmentChange, Message | None]]:
        """Return the changes among the decisions, each with its message where changes are announced."""
        factory = self.factory
        return [
            (one.change, None if factory is None else factory.change(one.change))
            for one in decisions
            if one.change is not None
        ]

    def settle(self, clock: int = 0) -> tuple[list[SegmentChange], list[Message]]:
        """Return the changes in the order of their instants, and the messages: of changes, then for the router.

        `clock` (ms) is the partition's: facts are passed to other accounts as of then.
        """
        self._changes.sort(key=lambda one: one[0].effective_at)
        factory = self.factory
        messages = (
            [] if factory is None else [factory.switched(one, self._partition) for one in self._switched]
        )
        messages += [message for _, message in self._changes if message is not None]
        if factory is not None:
            messages += [factory.forgotten(one) for one in self._told]
            messages += [message for one in self._outcomes if (message := factory.outcome(one)) is not None]
            messages += [factory.learned(one, clock) for one in self._learned]
            messages += [factory.gate_change(one) for one in self._gate_changes]
            messages += [factory.forward(one, clock) for one in self.forwards]
        return [change for change, _ in self._changes], messages

    async def commit(self, owned: Owned, position: Position, writes: Writes[Account]) -> list[SegmentChange]:
        """Commit what is written of accounts with all that was decided about them."""
        changes, messages = self.settle(position.clock)
        await owned.commit(position, writes, messages, sizes=count_moves(changes), decided=len(changes))
        return changes


def count_moves(changes: Sequence[SegmentChange]) -> list[tuple[str, int]]:
    """Return by how much each segment grows or shrinks."""
    sizes: dict[str, int] = {}
    for change in changes:
        left = change.supersedes_to if change.supersedes is not None else change.from_
        if left is not None:
            sizes[left] = sizes.get(left, 0) - 1
        if change.to is not None:
            sizes[change.to] = sizes.get(change.to, 0) + 1
    return [(segment, more) for segment, more in sizes.items() if more]
