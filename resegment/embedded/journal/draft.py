"""One group in the making: what it adds to the catalog counts once it is on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resegment.embedded.journal.catalog import Catalog, Place
from resegment.embedded.journal.entries import (
    Other,
    TopicGone,
    TopicMade,
    count_offsets,
    encode_batch,
    encode_other,
)


class Draft:
    """Collects the entries of a group. The catalog stays as it is until `apply`."""

    def __init__(self, catalog: Catalog) -> None:
        self.parts: list[bytes] = []
        self._catalog = catalog
        self._numbers = dict[str, int | None]()
        """The topics that this group makes (their numbers) and deletes (None)."""
        self._next = catalog.next_topic
        self._ends: dict[Place, int] = {}
        self._others: list[Other] = []

    def append(self, topic: str, partition: int, now: int, batches: Sequence[bytes]) -> int:
        """Add batches at the end of a partition, and return the offset of the first."""
        number = self._number_of(topic)
        if number is None:  # no client asked for the topic to be created: the broker did it by itself
            number = self.make_topic(topic, 0, {})
        place = number, partition
        base = end = self._ends.get(place, self._catalog.ends.get(place, 0))
        for batch in batches:
            self.parts.append(encode_batch(number, partition, end, now, batch))
            end += count_offsets(batch)
        self._ends[place] = end
        return base

    def make_topic(self, name: str, partitions: int, configs: Mapping[str, str]) -> int:
        """Add a topic; one that exists gets the partitions and settings given here. Return its number."""
        number = self._number_of(name)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._numbers[name] = number
        self.add(TopicMade(number, name, partitions, dict(configs)))
        return number

    def delete_topic(self, name: str) -> None:
        """Add that a topic is gone."""
        number = self._number_of(name)
        if number is not None:
            self.add(TopicGone(number))
            self._numbers[name] = None

    def add(self, entry: Other) -> None:
        """Add an entry that is no batch."""
        self._others.append(entry)
        self.parts.append(encode_other(entry))

    def apply(self) -> None:
        """Note in the catalog what the group has added."""
        for entry in self._others:
            self._catalog.take(entry)
        for place, end in self._ends.items():
            if place[0] in self._catalog.topics:
                self._catalog.ends[place] = end

    def _number_of(self, name: str) -> int | None:
        return self._numbers[name] if name in self._numbers else self._catalog.numbers.get(name)
