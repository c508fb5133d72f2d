"""Read the dead letters of a prefix from their topic, each once, and retry them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from resegment.agents.batch import Publisher, Record
from resegment.agents.dead_letters import (
    has_place,
    is_proof,
    mark_retried,
    read_dead_letter,
    to_retry,
)
from resegment.schemas.fact import LATEST
from resegment.schemas.times import format_instant
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.letters import may_be_sent_again
from resegment.streams.sealing.opener import PLAIN, RecordOpener

UNDELIVERED: Final = frozenset({"undeliverable", "unknown-outcome"})
"""The reasons of dead letters of webhook endpoints and sinks."""
COUNTED: Final = 2_000
"""How many of the newest dead letters of a partition are counted."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that was refused. `about` is from `read_dead_letter`, `original` has its bytes.

    `refused_at` (ms) is when that was, the last time where it was refused several `times`; `retried` is when
    it was sent again, as RFC 3339. `record` is the letter itself.
    """

    id: str
    about: Mapping[str, Any]
    original: bytes | None
    refused_at: int
    record: Record
    times: int = 1
    retried: str | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether the whole record was kept."""
        return "truncated" not in self.about

    def describe(self) -> dict[str, Any]:
        """Return the dead letter as plain JSON data."""
        return {
            "id": self.id,
            "refused_at": format_instant(self.refused_at),
            **self.about,
            "times": self.times,
            "retried": self.retried,
        }


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """The number of dead letters by reason, without those that were sent again. `older` were not counted; `problem` says why nothing could be.

    `undelivered` counts, by webhook endpoint or sink, the commands among them that were not sent again; `retried` those of
    any reason that were.
    """

    reasons: Mapping[str, int] = field(default_factory=dict)
    older: int = 0
    problem: str | None = None
    undelivered: Mapping[str, int] = field(default_factory=dict)
    retried: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Dead letters by id, the latest at the end. `older` records of the topic were not read."""

    letters: Mapping[str, DeadLetter] = field(default_factory=dict)
    older: int = 0


async def read_dead_letters(
    bootstrap: str,
    topic: str,
    *,
    security: Mapping[str, Any] | None = None,
    opener: RecordOpener = PLAIN,
) -> dict[str, DeadLetter]:
    """Return every dead letter by id, the latest at the end. Raises TopicUnreadable, and as `opener` does."""
    return dict((await look_at_dead_letters(bootstrap, topic, security=security, opener=opener)).letters)


async def look_at_dead_letters(
    bootstrap: str,
    topic: str,
    *,
    newest: int | None = None,
    security: Mapping[str, Any] | None = None,
    opener: RecordOpener = PLAIN,
) -> DeadLetters:
    """Return the dead letters among the `newest` records of each partition, or all.

    Raises TopicUnreadable, and as `opener` does.
    """
    found = Gathering()
    async with reading(bootstrap, topic, security=security) as reader:
        async for records in opener.each(reader.to_end(newest)):
            for record in records:
                found.take(record)
        older = reader.skipped
    return DeadLetters(found.letters(), older)


class Gathering:
    """Dead letters that are read in any order of their partitions, and the marks of those that were sent again."""

    def __init__(self) -> None:
        self._letters: dict[str, DeadLetter] = {}
        self._marks: dict[str, tuple[int, str]] = {}

    def take(self, record: Record) -> None:
        """Take a record of the topic."""
        about = read_dead_letter(record.headers, record.key, record.value)
        letter = about["id"]
        if is_proof(about):
            return
        if "retried" in about:
            self._marks[letter] = max(self._marks.get(letter, (0, "")), (record.timestamp, about["retried"]))
            return
        before = self._letters.get(letter)
        self._letters[letter] = DeadLetter(
            id=letter,
            about=about,
            original=record.value,
            refused_at=min(LATEST, max(record.timestamp, 0 if before is None else before.refused_at)),
            record=record,
            times=1 if before is None else before.times + 1,
        )

    def letters(self) -> dict[str, DeadLetter]:
        """Return each letter once, the latest at the end. Of a letter and its mark, the later one counts."""
        found = dict(self._letters)
        for letter, (at, retried) in self._marks.items():
            if letter in found and at >= found[letter].refused_at:
                found[letter] = replace(found[letter], retried=retried)
        return {one.id: one for one in sorted(found.values(), key=lambda one: one.refused_at)}


async def count_dead_letters(
    bootstrap: str, topic: str, *, patience: float = 5.0, security: Mapping[str, Any] | None = None
) -> DeadLetterCount:
    """Count the newest dead letters that were not sent again, by reason, each once.

    If the topic cannot be read, `problem` says so.
    """
    tally = Tally()
    try:
        async with reading(bootstrap, topic, patience=patience, security=security) as reader:
            async for records in reader.to_end(COUNTED):
                for record in records:
                    tally.take(record)
            older = reader.skipped
    except TopicUnreadable as error:
        return DeadLetterCount(problem=error.problem)
    return tally.count(older)


class Tally:
    """Counts the dead letters that were not sent again, of records that are read in any order of their partitions."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[int, str | None, str | None]] = {}
        """When (ms) a letter or its mark came last, its reason, and its endpoint; no reason once it was sent again."""

    def take(self, record: Record) -> None:
        """Take a record of the topic. Of a letter and its mark, the later one counts."""
        about = read_dead_letter(record.headers, None, None)
        if is_proof(about):
            return
        letter, at = about["id"], record.timestamp
        latest = self._latest[letter][0] if letter in self._latest else at - 1
        if "retried" in about:
            if at >= latest:
                self._latest[letter] = at, None, None
        elif at > latest:
            reason = about.get("reason", "")
            endpoint = about.get("endpoint") if reason in UNDELIVERED else None
            self._latest[letter] = at, reason, endpoint

    def count(self, older: int = 0) -> DeadLetterCount:
        """Return the counts; `older` records were not read."""
        reasons = (reason for _, reason, _ in self._latest.values() if reason is not None)
        waiting = (endpoint for *_, endpoint in self._latest.values() if endpoint)
        retried = sum(reason is None for _, reason, _ in self._latest.values())
        return DeadLetterCount(_count(reasons), older, undelivered=_count(waiting), retried=retried)


def _count(words: Iterable[str]) -> dict[str, int]:
    """Return how often each word occurs, the most frequent first; ties by name."""
    return dict(sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0])))


async def retry_dead_letters(
    letters: Sequence[DeadLetter],
    topics: Topics,
    publisher: Publisher,
    now: int,
    *,
    partitions: Mapping[str, int],
    edited: Mapping[str, bytes] = MappingProxyType({}),
) -> int:
    """Send records again to the topics that they came from, and record that; return how many.

    What is refused again gets a letter of its own. A letter of which nothing is left since somebody was forgotten, or that names another topic than those whose records can be
    refused, or no place in it, is left out: not every record in the topic of dead letters needs to be a dead letter.
    `partitions` says how many each topic has, and `edited` has other values, by id. Raises PublishFailed.
    """
    counts = {
        topic.name: partitions.get(topic.name, 0) for topic in topics if is_retried_to(topics, topic.name)
    }
    letters = [
        one
        for one in letters
        if has_place(one.record)
        and may_be_sent_again(one.record)
        and one.about["partition"] < counts.get(one.about["topic"], 0)
    ]
    messages = [to_retry(one.record, topics.signals.name) for one in letters]
    await publisher.publish(
        [
            message._replace(value=edited.get(one.id, message.value))
            for one, message in zip(letters, messages, strict=True)
        ]
    )
    await publisher.publish([mark_retried(topics.dead_letters.name, one.record, now) for one in letters])
    return len(letters)


def is_retried_to(topics: Topics, name: str) -> bool:
    """Return whether records of that topic can be dead letters: nothing is sent to what only commands write."""
    unread = {
        topics.audit_log.name,
        topics.definitions.name,
        topics.identities.name,
        topics.dead_letters.name,
    }
    return name not in unread and any(one.name == name for one in topics)


def may_be_edited(topics: Topics, letter: DeadLetter) -> bool:
    """Return whether another value can be sent in place of the record's: events of sources can, what workers wrote cannot."""
    sources = {one.name for one in topics.triggers} - {topics.replay.name}
    return letter.is_whole and letter.about.get("topic") in sources
