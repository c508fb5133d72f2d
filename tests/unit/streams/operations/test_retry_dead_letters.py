"""Sending dead letters again: only real ones, only to the topics of their prefix."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from resegment.agents.batch import Batch, Message, PublishFailed, RecordedMessage
from resegment.agents.dead_letters import mark_retried, read_dead_letter, to_dead_letter
from resegment.errors import RefusedEvent
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.dead_letters import (
    DeadLetter,
    Gathering,
    Tally,
    may_be_edited,
    retry_dead_letters,
)

TOPICS = Topics("p")
TIME = 1_769_850_000_007
PARTITIONS = {topic.name: 8 for topic in TOPICS}


class Publisher:
    """A publisher in memory."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages


def letter(**changes: bytes | None) -> DeadLetter:
    """A dead letter of a command, with other headers."""
    record = RecordedMessage(7, TIME, b"acme.com", b"{}")
    batch = Batch(TOPICS.workflow_commands.name, 3, [record])
    refused = RefusedEvent("undeliverable", "status 404")
    made = to_dead_letter(TOPICS.dead_letters.name, batch, record, refused, endpoint="crm")
    headers = [(name, changes.get(name.removeprefix("dl_"), value)) for name, value in made.headers]
    kept = RecordedMessage(0, TIME, made.key, made.value, headers)
    about = read_dead_letter(headers, made.key, made.value)
    return DeadLetter(about["id"], about, made.value, TIME, kept)


async def test_a_dead_letter_goes_to_its_place_again() -> None:
    publisher = Publisher()
    assert await retry_dead_letters([letter()], TOPICS, publisher, TIME, partitions=PARTITIONS) == 1
    again, mark = publisher.messages
    assert (again.topic, again.partition, again.key) == (TOPICS.workflow_commands.name, 3, b"acme.com")
    assert mark.topic == TOPICS.dead_letters.name


@pytest.mark.parametrize(
    "changes",
    [
        {"topic": b"payments"},
        {"topic": b"other.workflow-commands"},
        {"topic": None},
        {"partition": b"x"},
        {"partition": None},
        {"partition": b"8"},
        {"partition": b"9999999999999999999"},
        {"timestamp": b"soon"},
        {"timestamp": None},
    ],
)
async def test_a_record_that_names_no_place_of_the_prefix_is_sent_nowhere(
    changes: dict[str, bytes | None],
) -> None:
    publisher = Publisher()
    assert (
        await retry_dead_letters(
            [letter(**changes), letter()], TOPICS, publisher, TIME, partitions=PARTITIONS
        )
        == 1
    )
    assert [one.topic for one in publisher.messages] == [
        TOPICS.workflow_commands.name,
        TOPICS.dead_letters.name,
    ]


@pytest.mark.parametrize("topic", ["audit-log", "definitions", "identities", "dead-letters"])
async def test_nothing_is_sent_to_topics_that_only_commands_write(topic: str) -> None:
    publisher = Publisher()
    forged = letter(topic=f"p.{topic}".encode(), partition=b"0")
    assert await retry_dead_letters([forged], TOPICS, publisher, TIME, partitions=PARTITIONS) == 0
    assert publisher.messages == []


async def test_an_edited_record_keeps_its_place_and_its_letter_what_it_was() -> None:
    publisher, one = Publisher(), letter()
    edited = {one.id: b'{"a": 2}'}
    await retry_dead_letters([one], TOPICS, publisher, TIME, partitions=PARTITIONS, edited=edited)
    again, mark = publisher.messages
    assert (again.value, again.key, again.partition) == (b'{"a": 2}', b"acme.com", 3)
    assert mark.value == b"{}"


async def test_a_letter_is_not_marked_before_its_record_is_acknowledged() -> None:
    class Failing(Publisher):
        async def publish(self, messages: Sequence[Message]) -> None:
            await super().publish(messages)
            raise PublishFailed(["p.workflow-commands"], TimeoutError())

    publisher = Failing()
    with pytest.raises(PublishFailed):
        await retry_dead_letters([letter()], TOPICS, publisher, TIME, partitions=PARTITIONS)
    assert [one.topic for one in publisher.messages] == [TOPICS.workflow_commands.name]


def test_only_whole_events_of_sources_may_be_edited() -> None:
    source = TOPICS.accounts.name.encode()
    assert may_be_edited(TOPICS, letter(topic=source))
    assert not may_be_edited(TOPICS, letter())
    for topic in (TOPICS.signals, TOPICS.segment_changes, TOPICS.routing_events, TOPICS.replay):
        assert not may_be_edited(TOPICS, letter(topic=topic.name.encode()))
    whole = letter(topic=source)
    cut = DeadLetter(whole.id, {**whole.about, "truncated": "2000000"}, b"{", TIME, whole.record)
    assert not may_be_edited(TOPICS, cut)


def kept(message: Message, at: int) -> RecordedMessage:
    return RecordedMessage(0, at, message.key, message.value, message.headers)


@pytest.mark.parametrize("marked", [TIME, TIME + 5])
def test_a_letter_counts_as_sent_again_whichever_partition_is_read_first(marked: int) -> None:
    one = letter()
    mark = kept(mark_retried(TOPICS.dead_letters.name, one.record, marked), marked)
    for records in ([one.record, mark], [mark, one.record]):
        found = Gathering()
        for record in records:
            found.take(record)
        (read,) = found.letters().values()
        assert (read.retried is not None, read.times) == (True, 1)


def test_a_letter_that_was_refused_again_is_open_again() -> None:
    one = letter()
    mark = kept(mark_retried(TOPICS.dead_letters.name, one.record, TIME), TIME + 5)
    again = RecordedMessage(2, TIME + 9, one.record.key, one.record.value, one.record.headers)
    for records in ([one.record, mark, again], [one.record, again, mark]):
        found = Gathering()
        for record in records:
            found.take(record)
        (read,) = found.letters().values()
        assert (read.retried, read.times, read.refused_at) == (None, 2, TIME + 9)


def test_letters_that_were_sent_again_are_not_counted_until_they_are_refused_again() -> None:
    one = letter()
    mark = mark_retried(TOPICS.dead_letters.name, one.record, TIME + 5)
    marked = RecordedMessage(1, TIME + 5, mark.key, mark.value, mark.headers)
    again = RecordedMessage(2, TIME + 9, one.record.key, one.record.value, one.record.headers)
    for order in ([one.record, marked], [marked, one.record]):
        tally = Tally()
        for record in order:
            tally.take(record)
        assert (tally.count().reasons, tally.count().undelivered, tally.count().retried) == ({}, {}, 1)
        tally.take(again)
        found = tally.count()
        assert (found.reasons, found.undelivered, found.retried) == ({"undeliverable": 1}, {"crm": 1}, 0)
