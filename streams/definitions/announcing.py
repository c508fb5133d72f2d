"""Announce each decision by the texts and routes of the version that decided it."""

from __future__ import annotations

from resegment.agents.batch import Message
from resegment.schemas.change import GateChange, SegmentChange
from resegment.schemas.definitions.records import Apply
from resegment.schemas.fact import Fact
from resegment.schemas.identities.forgotten import Forgotten
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.message_factory import MessageFactory


class Announcer:
    """See `resegment.agents.deciding.decided.MessageFactory`."""

    def __init__(self, registry: DefinitionRegistry) -> None:
        self._registry = registry
        self._factories: dict[int, MessageFactory] = {}
        """By the place of the era."""
        self._numbers: dict[str, int] = {}
        """The place of the newest era of each fingerprint."""

    def change(self, change: SegmentChange) -> Message:
        """Return the event of a segment change."""
        self._look()
        number = change.cause.definition
        place = self._numbers.get(change.definition_version, len(self._factories) - 1)
        if number is not None:
            eras = self._registry.timeline.eras
            place = next((at for at, one in enumerate(eras) if one.number == number), place)
        return self._factories[place].change(change)

    def gate_change(self, gate_change: GateChange) -> Message:
        """Return the event that tells the router which gates hold now."""
        return self._newest.gate_change(gate_change)

    def outcome(self, fact: Fact) -> Message | None:
        """Return the event that tells the router of an outcome, or None where the router has no use for it."""
        return self._newest.outcome(fact)

    def learned(self, fact: Fact, at: int) -> Message:
        """Return the event that tells the router of an outcome, to be credited to a touch."""
        return self._newest.learned(fact, at)

    def forgotten(self, event: Forgotten) -> Message:
        """Return the event that tells the router that an account, or a person of it, was forgotten."""
        return self._newest.forgotten(event)

    def forward(self, fact: Fact, at: int) -> Message:
        """Return the signal of a fact passed to another account."""
        return self._newest.forward(fact, at)

    def switched(self, apply: Apply, partition: int) -> Message:
        """Return the event that tells the router of a partition that another version is in force."""
        self._look()
        eras = self._registry.timeline.eras
        place = next((at for at, one in enumerate(eras) if one.number == apply.version), len(eras) - 1)
        return self._factories[place].switched(apply, partition)

    @property
    def _newest(self) -> MessageFactory:
        self._look()
        return self._factories[len(self._factories) - 1]

    def _look(self) -> None:
        """Add what has come since the last look."""
        eras = self._registry.timeline.eras
        for place in range(len(self._factories), len(eras)):
            definition = eras[place].definition
            before = eras[place - 1].definition if place else None
            self._factories[place] = MessageFactory(definition, self._registry.topics, before)
            self._numbers[definition.version] = place
