"""What the journal knows beside the records: topics, where each partition ends, and the offsets of groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from resegment.embedded.journal.entries import (
    BatchAt,
    Entry,
    OffsetsCommitted,
    State,
    TopicGone,
    TopicMade,
)

OWN_PARTITIONS: Final = 4
"""Partitions of a topic that the broker created by itself."""
Place = tuple[int, int]
"""Number of a topic, and partition."""


@dataclass(slots=True)
class Catalog:
    """The topics by number, of which a name has one at a time; ends and starts of partitions; committed offsets."""

    topics: dict[int, TopicMade] = field(default_factory=dict)
    ends: dict[Place, int] = field(default_factory=dict)
    starts: dict[Place, int] = field(default_factory=dict)
    offsets: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    next_topic: int = 1
    numbers: dict[str, int] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Note what an entry says. A file may be read that is older than a state: what is gone stays gone."""
        match entry:
            case BatchAt():
                place = entry.topic, entry.partition
                if entry.topic in self.topics:
                    self.ends[place] = max(entry.after, self.ends.get(place, 0))
            case TopicMade():
                self.topics[entry.number] = entry
                self.numbers[entry.name] = entry.number
                self.next_topic = max(self.next_topic, entry.number + 1)
            case TopicGone():
                self._forget(entry.number)
            case OffsetsCommitted():
                held = self.offsets.setdefault(entry.group, {})
                held.update({(topic, partition): offset for topic, partition, offset in entry.offsets})
            case State():
                self._begin(entry)

    def count_partitions(self, name: str) -> int | None:
        """Return how many partitions a topic has; None where there is no such topic."""
        number = self.numbers.get(name)
        if number is None:
            return None
        return self.topics[number].partitions or max(
            OWN_PARTITIONS, *(partition + 1 for topic, partition in self.ends if topic == number)
        )

    def state(self) -> State:
        """Return all of it as an entry."""
        return State(
            list(self.topics.values()),
            self.next_topic,
            [(topic, partition, end) for (topic, partition), end in self.ends.items()],
            [(topic, partition, start) for (topic, partition), start in self.starts.items()],
            [
                OffsetsCommitted(group, [(topic, partition, at) for (topic, partition), at in held.items()])
                for group, held in self.offsets.items()
            ],
        )

    def _forget(self, number: int) -> None:
        topic = self.topics.pop(number, None)
        if topic is None:
            return
        self.numbers.pop(topic.name, None)
        for held in (self.ends, self.starts):
            for place in [one for one in held if one[0] == number]:
                del held[place]
        for offsets in self.offsets.values():
            for named in [one for one in offsets if one[0] == topic.name]:
                del offsets[named]

    def _begin(self, state: State) -> None:
        self.topics = {one.number: one for one in state.topics}
        self.numbers = {one.name: one.number for one in state.topics}
        self.next_topic = max(self.next_topic, state.next_topic)
        self.ends = self._merge(self.ends, state.ends)
        self.starts = self._merge(self.starts, state.starts)
        self.offsets = {
            one.group: {(topic, partition): at for topic, partition, at in one.offsets}
            for one in state.offsets
        }

    def _merge(self, held: dict[Place, int], told: Iterable[tuple[int, int, int]]) -> dict[Place, int]:
        merged = {place: at for place, at in held.items() if place[0] in self.topics}
        for topic, partition, at in told:
            merged[topic, partition] = max(at, merged.get((topic, partition), 0))
        return merged
