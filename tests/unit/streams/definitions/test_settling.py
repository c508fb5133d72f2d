"""A partition at the instant of a switch waits for the word on it, and ends what nobody settles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from resegment.agents.batch import Message
from resegment.schemas.definitions.records import (
    Apply,
    DefinitionRecord,
    Foreign,
    Prepare,
    Stands,
    encode_definition_record,
)
from resegment.streams.definitions.log import DefinitionWriter
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.definitions.settling import Settler, SwitchUndecided
from resegment.streams.kafka.topics import Topics
from tests.builders import definition_of, registry_of
from tests.oracle.cases import only

ONE = definition_of(only({"event": "funding", "within": "7d"}))
TWO = definition_of(only({"event": "funding", "within": "9d"}))
SWITCH: list[DefinitionRecord] = [
    Prepare(apply="a", version=2, base=1, at=1),
    Apply(id="a", version=2, base=1, at=100),
]


class Topic:
    """The topic `definitions`: what is published to it is read at once, unless it is away."""

    def __init__(self, registry: DefinitionRegistry) -> None:
        self.registry = registry
        self.is_read = True

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.is_read:
            self.registry.take([one.value for one in messages])

    def tell(self, *records: DefinitionRecord) -> None:
        self.registry.take([encode_definition_record(one) for one in records])


@pytest.fixture
def topic() -> Topic:
    return Topic(registry_of(ONE, TWO))


def settler(topic: Topic) -> Settler:
    return Settler(topic.registry, DefinitionWriter(topic, Topics()), patience=0.02)


async def test_a_word_that_comes_in_time_ends_the_wait(topic: Topic) -> None:
    topic.tell(*SWITCH)
    waiting = asyncio.create_task(
        Settler(topic.registry, DefinitionWriter(topic, Topics()), patience=30.0).settle("a", is_marked=True)
    )
    await asyncio.sleep(0)
    topic.tell(Stands(apply="a"))
    await waiting
    assert topic.registry.verdict("a") == "stands"


async def test_a_switch_that_nobody_settles_ends_void(topic: Topic) -> None:
    topic.tell(*SWITCH)
    await settler(topic).settle("a", is_marked=True)
    assert topic.registry.verdict("a") == "void"
    assert topic.registry.definitions.applies["a"].reason.startswith("it was not settled within")


async def test_an_apply_that_is_not_read_yet_is_waited_for(topic: Topic) -> None:
    topic.is_read = False
    with pytest.raises(SwitchUndecided):
        await settler(topic).settle("a", is_marked=True)
    topic.tell(*SWITCH)
    topic.tell(Stands(apply="a"))
    await settler(topic).settle("a", is_marked=True)
    assert topic.registry.verdict("a") == "stands"


async def test_marks_of_an_apply_that_nobody_claimed_end_void_and_it_can_not_be_claimed_later(
    topic: Topic,
) -> None:
    await settler(topic).settle("a", is_marked=True)
    assert topic.registry.knows("a")
    assert topic.registry.verdict("a") == "void"
    topic.tell(*SWITCH, Stands(apply="a"))
    assert topic.registry.verdict("a") == "void"
    assert [era.number for era in topic.registry.timeline.eras] == [1]


async def test_a_claim_that_comes_before_the_question_counts(topic: Topic) -> None:
    topic.tell(*SWITCH, Foreign(apply="a"), Stands(apply="a"))
    assert topic.registry.verdict("a") == "stands"


async def test_an_apply_that_is_only_prepared_is_not_ended_once_it_is_read(topic: Topic) -> None:
    topic.tell(SWITCH[0])
    await settler(topic).settle("a", is_marked=False)
    assert topic.registry.verdict("a") is None


async def test_while_the_topic_cannot_be_read_the_batch_is_tried_again(topic: Topic) -> None:
    topic.tell(*SWITCH)
    topic.is_read = False
    with pytest.raises(SwitchUndecided):
        await settler(topic).settle("a", is_marked=True)
    assert topic.registry.verdict("a") is None


def test_a_version_under_way_is_kept_for_and_judges_once_its_switch_stands(topic: Topic) -> None:
    alone = topic.registry.timeline
    assert [era.number for era in alone.eras] == [1]
    topic.tell(*SWITCH)
    preparing = topic.registry.timeline
    assert preparing.retention is not None
    topic.tell(Stands(apply="a"))
    assert [(era.number, era.at) for era in topic.registry.timeline.eras] == [(1, -1), (2, 100)]
    assert topic.registry.timeline.retention is None
    assert topic.registry.current.definition.version == TWO.version
