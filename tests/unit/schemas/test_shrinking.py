"""Changes that are larger than a broker accepts: what is cut of them, and in which order."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from resegment.agents.batch import Message
from resegment.agents.outbox import Unpublished
from resegment.agents.relay import relay
from resegment.schemas.outgoing import SegmentChangeData
from resegment.schemas.shrinking import MAX_BYTES, ChangeTooLarge, fit_change
from tests.builders import Rig, data_of, facts_of, run, signals
from tests.oracle.cases import day, event, funding, only, segments

ACCEPTED = 1_048_588 - 10_000
"""What Apache Kafka takes as a message by default, with room for headers."""


def change(**given: Any) -> bytes:
    data = {"reason": {"holds": [{"test": "t", "evidence": [], "value": 1}]}, "values": {"a": 1}, **given}
    return orjson.dumps({"id": "1", "data": {"message": None, **data}})


def cut(value: bytes, room: int) -> Any:
    fitted = fit_change(value, room)
    assert len(fitted) <= room
    return orjson.loads(fitted)["data"]


def test_a_change_that_fits_is_left_as_it_is() -> None:
    value = change(values={"a": ["x"] * 1_000})
    assert fit_change(value, len(value)) is value


def test_lists_and_texts_are_cut_first() -> None:
    data = cut(change(values={"a": ["x" * 3_000] * 1_000, "b": 1}), 200_000)
    assert (len(data["values"]["a"]), data["values"]["b"]) == (100, 1)
    assert data["reason"]["holds"][0]["evidence"] == []


def test_evidence_goes_before_values() -> None:
    evidence = [{"id": str(n), "data": {str(k): "x" * 900 for k in range(100)}} for n in range(3)]
    reason = {"holds": [{"test": "t", "facts": 3, "evidence": evidence}]}
    data = cut(change(reason=reason, values={"a": "kept"}), 100_000)
    assert data["reason"]["holds"] == [{"test": "t", "facts": 3}]
    assert data["values"] == {"a": "kept"}


def test_then_values_then_tests_then_the_message_are_cut() -> None:
    values = {str(n): "x" * 900 for n in range(200)}
    assert cut(change(values=values), 100_000)["values"] == {}
    holds = [{"test": "x" * 900} for _ in range(90)]
    assert len(cut(change(reason={"holds": holds}, values={}), 50_000)["reason"]["holds"]) == 20
    assert len(cut(change(message={"pain": "x" * 90_000}), 50_000)["message"]["pain"]) == 1_000


def test_what_does_not_fit_at_all_is_refused() -> None:
    with pytest.raises(ChangeTooLarge):
        fit_change(change(message={str(n): "x" * 900 for n in range(200)}), 100_000)


async def test_a_change_on_a_huge_set_is_announced_and_the_same_again_at_each_replay() -> None:
    names = [f"technology-{number:06d}-of-a-vendor" for number in range(25_000)]
    tests = [{"technologies": {"has_any": [names[n], names[n + 10]]}} for n in range(5)]
    file = segments(hot={"all": tests})
    records = signals(facts_of([event("firmographic", day(0), technologies=names)]))
    first, second = await run(Rig(file), [records]), await run(Rig(file), [records])
    assert max(map(len, first.memory.outbox.values())) < MAX_BYTES + 1_000
    await first.deliver()
    await second.deliver()
    (message,) = first.published.to("segment-changes")
    assert len(message.value or b"") <= MAX_BYTES < ACCEPTED
    assert SegmentChangeData.model_validate(data_of(message)).to == "hot"
    assert second.published.to("segment-changes") == [message]


async def test_a_change_on_huge_facts_is_announced_without_their_lists() -> None:
    investors = [f"investor {number} of many" for number in range(12_000)]
    events = [funding(day(n), id=f"f{n}", investors=investors) for n in range(3)]
    rig = await run(Rig(only({"event": "funding", "within": "90d"})), [signals(facts_of(events))])
    await rig.deliver()
    assert not rig.published.to("dead-letters")
    assert all(len(one.value or b"") <= MAX_BYTES for one in rig.published.to("segment-changes"))


async def test_a_change_that_an_earlier_version_left_in_the_outbox_is_cut_when_it_is_published() -> None:
    rig = Rig(only({"event": "funding", "within": "90d"}))
    await rig.take()
    value = change(values={"a": ["x" * 900] * 2_000})
    rig.owned.outbox.add([Unpublished("1-0", [Message("segment-changes", b"acme.com", value)])])
    await relay(rig.owned, publisher=rig.published)
    (message,) = rig.published.messages
    assert len(message.value or b"") <= MAX_BYTES
