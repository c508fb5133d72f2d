"""A record that could not be unpacked: each agent sets it aside, and does the others of its batch."""

from __future__ import annotations

import pytest

from resegment.agents.batch import Batch, Message, RecordedMessage, UnreadableRecord
from resegment.agents.dead_letters import read_dead_letter
from resegment.agents.delivery import read_command
from resegment.agents.intake import IntakeRules, ingest
from resegment.agents.router import handle_events, route
from resegment.agents.segmenter import TICK
from resegment.errors import RefusedEvent
from tests.builders import Published, Rig, Routing, definition_of, facts_of, raw_event, signal
from tests.oracle.cases import day, funding, only

FILE = only({"event": "funding", "within": "7d"})
NOW = 1_750_000_000_000


def unreadable(offset: int, value: bytes | None = b"bytes") -> UnreadableRecord:
    headers = [("\\xff\\xfe", b"x"), (TICK, b"")]
    return UnreadableRecord(offset, -1, b"key", value, headers, "unreadable", "the header name is not UTF-8")


def check_letter(letter: Message, topic: str, offset: int) -> None:
    about = read_dead_letter(letter.headers, letter.key, letter.value)
    assert (about["topic"], about["partition"], about["offset"]) == (topic, 0, offset)
    assert (about["reason"], about["message"]) == ("unreadable", "the header name is not UTF-8")
    assert ("\\xff\\xfe", b"x") in letter.headers


@pytest.mark.parametrize("value", [b"bytes", raw_event(), None], ids=["bytes", "a good event", "no value"])
@pytest.mark.parametrize("clock", ["wall", "facts"])
async def test_intake_sets_it_aside_and_takes_the_others(value: bytes | None, clock: str) -> None:
    published = Published()
    good = RecordedMessage(8, NOW, None, raw_event())
    done = await ingest(
        Batch("triggers.funding", 0, [unreadable(7, value), good]),
        IntakeRules(clock, lambda: NOW),  # type: ignore[arg-type]
        publisher=published,
        signals="signals",
        dead_letters="dead-letters",
    )
    (letter,) = published.to("dead-letters")
    check_letter(letter, "triggers.funding", 7)
    assert letter.value == value
    assert (done.accepted, [one.reason for one in done.refused]) == (1, ["unreadable"])


@pytest.mark.parametrize("value", [b"bytes", None])
async def test_the_segmenter_sets_it_aside_and_takes_the_others(value: bytes | None) -> None:
    rig = Rig(FILE)
    await rig.take()
    (fact,) = facts_of([funding(day(0))])
    done = await rig.feed(unreadable(0, value), signal(1, fact), unreadable(2, value))  # type: ignore[arg-type]
    assert (done.facts, done.ticks, len(done.refused)) == (1, 0, 2)
    first, second = rig.published.to("dead-letters")
    check_letter(first, "signals", 0)
    check_letter(second, "signals", 2)
    assert rig.owned.position.offset == 3
    assert done.clock == fact.recorded


@pytest.mark.parametrize(("topic", "work"), [("segment-changes", route), ("routing-events", handle_events)])
async def test_the_router_sets_it_aside(topic: str, work: object) -> None:
    routing = Routing(definition_of(FILE))
    await routing.take()
    done = await work(Batch(topic, 0, [unreadable(0)]), routing.owned, routing.router)  # type: ignore[operator]
    check_letter(routing.published.to("dead-letters")[0], topic, 0)
    assert [one.reason for one in done.refused] == ["unreadable"]


def test_a_command_that_could_not_be_unpacked_is_none() -> None:
    with pytest.raises(RefusedEvent, match="the header name is not UTF-8"):
        read_command(unreadable(0))
