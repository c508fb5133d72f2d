"""Sending dead letters again: only real ones, only to the topics of their prefix."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.dead_letters import read_dead_letter, to_dead_letter
from resegment.errors import RefusedEvent
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.dead_letters import DeadLetter, retry_dead_letters

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
