"""An export has what is known of an account or a person, and nothing of another person or of anybody forgotten."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.agents.deciding.merging import STEP
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.identities.steps import Step, encode_step
from resegment.schemas.times import NEVER
from resegment.state.keys.keyring import Keyring
from resegment.streams.exporting.person import Person
from resegment.streams.exporting.personal import ExportedPrefix, Wanted, export_personal
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.opener import PLAIN
from tests.sealing import new_keyring, seal_all

TOPICS = Topics("p")


class NothingStored:
    """A prefix whose Redis has nothing."""

    def partition_of(self, account: str) -> int:
        return 0

    async def states(self, names: list[str]) -> list[None]:
        return [None for _ in names]

    routed = ledgers_of = states

    async def read(self, account: str) -> list[Any]:
        return []


def fact(record: str, account: str = "acme.com", kind: Any = "people", **data: Any) -> Fact:
    return Fact(
        account=account, kind=kind, id=record, source="s", record=record, time=1, recorded=1, data=data
    )


def change(**data: Any) -> bytes:
    given = {
        "account": "acme.com",
        "do_not_contact": ["ann@acme.com", "bob@acme.com"],
        "message": {"pain": "Hello Bob Ray", "value_prop": "Ann Lee likes it"},
        "reason": {"holds": [{"test": "t", "evidence": [{"person": "Bob Ray"}, {"person": "Ann Lee"}]}]},
        **data,
    }
    return json.dumps({"id": "1", "type": "gtm.segment-change.v1", "data": given}).encode()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[RecordedMessage]]:
    """What each topic has."""
    held: dict[str, list[RecordedMessage]] = {}

    class Reader:
        def __init__(self, topic: str) -> None:
            self._topic = topic

        async def to_end(self) -> AsyncIterator[list[RecordedMessage]]:
            yield held.get(self._topic, [])

    @asynccontextmanager
    async def reading(_: str, topic: str, *__: Any, **___: Any) -> AsyncIterator[Reader]:
        yield Reader(topic)

    monkeypatch.setattr("resegment.streams.exporting.personal.reading", reading)
    return held


def records(facts: Iterable[Fact]) -> list[RecordedMessage]:
    return [
        RecordedMessage(place, 1000 + place, one.account.encode(), encode_fact(one), [])
        for place, one in enumerate(facts)
    ]


async def export(wanted: Wanted, ring: Keyring | None = None, **absent: int) -> dict[str, Any]:
    nothing: Any = NothingStored()
    given = {name.replace("_", "."): until for name, until in absent.items()}
    prefix = ExportedPrefix("", TOPICS, {}, nothing, nothing, ring, PLAIN, given)
    return await export_personal(prefix, wanted, 1)


def test_nothing_of_another_person_is_in_the_export_of_one(logs: dict[str, list[RecordedMessage]]) -> None:
    logs[TOPICS.signals.name] = records(
        [
            fact("1", email="ann@acme.com", first_name="Ann", last_name="Lee", phone="555 01"),
            fact("2", email="bob@acme.com", person="Bob Ray", phone="555 01"),
            fact("3", person="Ann", title="Bob Ray's assistant"),
            fact(
                "4", kind="strategy", theme="growth", statement="said Ann Lee", team=[{"person": "Bob Ray"}]
            ),
            fact("5", account="globex.com", person="Ann Lee", title="another Ann"),
            fact("bob@acme.com/6", kind="strategy", statement="Ann Lee agrees"),
        ]
    )
    logs[TOPICS.segment_changes.name] = [RecordedMessage(0, 1, b"acme.com", change(), [])]
    letter = json.dumps([{"person": "Bob Ray"}, {"email": "ann@acme.com"}]).encode()
    place = [("dl_topic", b"t"), ("dl_partition", b"0"), ("dl_offset", b"1"), ("dl_reason", b"r")]
    logs[TOPICS.dead_letters.name] = [
        RecordedMessage(0, 1, None, letter, [*place, ("dl_message", b"no: Bob Ray")]),
        RecordedMessage(1, 1, None, b"{ann@acme.com, bob@acme.com", place),
        RecordedMessage(2, 1, None, b'{"data": {"email": "bob@acme.com"}}', place),
    ]
    found = asyncio.run(export(Wanted(person=Person(["ann@acme.com"]))))
    written = json.dumps(found).lower()
    assert "bob" not in written
    assert "another ann" not in written
    assert [one["record"] for one in found["facts"] if "record" in one] == ["1"]
    assert found["facts"][1]["data"] == {"statement": "said Ann Lee"}
    assert found["may_also_concern"] == {"lone_name": 1, "several_persons": 2}
    (told,) = found["changes"]
    assert told["about_the_person"]["do_not_contact"] == ["ann@acme.com"]
    assert told["about_the_person"]["reason"] == {"holds": [{"evidence": [{"person": "Ann Lee"}]}]}
    assert [one["value"] for one in found["dead_letters"]] == [[{"email": "ann@acme.com"}], None]
    assert found["accounts"] == ["acme.com"]
    assert found["person"] == ["ann lee", "ann@acme.com"]


def test_a_record_that_is_nested_too_deep_is_told_by_its_place(
    logs: dict[str, list[RecordedMessage]],
) -> None:
    deep = b'{"data":{"x":' + b"[" * 950 + b'"ann@acme.com"' + b"]" * 950 + b"}}"
    place = [("dl_topic", b"t"), ("dl_partition", b"0"), ("dl_offset", b"1"), ("dl_reason", b"too-deep")]
    logs[TOPICS.dead_letters.name] = [RecordedMessage(0, 1, None, deep, place)]
    found = asyncio.run(export(Wanted(person=Person(["ann@acme.com"]))))
    assert [(one["reason"], one["value"]) for one in found["dead_letters"]] == [("too-deep", None)]
    assert found["may_also_concern"] == {"several_persons": 1}


@pytest.mark.parametrize(
    "wanted", [{"accounts": frozenset({"acme.com"})}, {"person": Person(["ann@acme.com"])}]
)
def test_a_message_that_is_nested_deeper_than_workers_write_is_left_out(
    logs: dict[str, list[RecordedMessage]], wanted: dict[str, Any]
) -> None:
    deep = change(play="@").replace(b'"@"', b"[" * 900 + b'"ann@acme.com"' + b"]" * 900)
    assert len(deep) > 1_800
    logs[TOPICS.segment_changes.name] = [
        RecordedMessage(0, 1, b"acme.com", deep, []),
        RecordedMessage(1, 1, b"acme.com", change(), []),
    ]
    found = asyncio.run(export(Wanted(**wanted)))
    assert len(found["changes"]) == 1


@pytest.mark.parametrize(
    "wanted", [{"accounts": frozenset({"acme.com"})}, {"person": Person(["ann@acme.com"])}]
)
@pytest.mark.parametrize("depth", [300, 700])
def test_a_fact_that_is_nested_deeper_than_workers_write_is_left_out(
    logs: dict[str, list[RecordedMessage]], wanted: dict[str, Any], depth: int
) -> None:
    deep = encode_fact(fact("1", email="@")).replace(
        b'"@"', b'"ann@acme.com","x":' + b"[" * depth + b'"ann@acme.com"' + b"]" * depth
    )
    logs[TOPICS.signals.name] = [
        RecordedMessage(0, 1, b"acme.com", deep, []),
        *records([fact("2", email="ann@acme.com")]),
    ]
    found = asyncio.run(export(Wanted(**wanted)))
    assert [one["record"] for one in found["facts"]] == ["2"]
    assert json.dumps(found)


def test_the_export_of_an_account_has_all_of_its_persons(logs: dict[str, list[RecordedMessage]]) -> None:
    logs[TOPICS.signals.name] = records([fact("1", person="Ann Lee"), fact("2", person="Bob Ray")])
    logs[TOPICS.segment_changes.name] = [RecordedMessage(0, 1, b"acme.com", change(), [])]
    found = asyncio.run(export(Wanted(frozenset({"acme.com"}))))
    assert [one["data"]["person"] for one in found["facts"]] == ["Ann Lee", "Bob Ray"]
    assert found["changes"] == [json.loads(change())]
    assert found["may_also_concern"] is None


@pytest.mark.parametrize("person", [None, "ann@acme.com"])
def test_plain_facts_and_changes_of_a_forgotten_person_do_not_come_back(
    logs: dict[str, list[RecordedMessage]], person: str | None
) -> None:
    async def run() -> dict[str, Any]:
        ring = await new_keyring()
        ann, bob = fact("1", person="Ann Lee", email="ann@acme.com"), fact("2", person="Bob Ray")
        later = await seal_all(ring, [fact("3", person="Ann Lee"), bob])
        logs[TOPICS.signals.name] = records([ann, bob, *later])
        logs[TOPICS.segment_changes.name] = [RecordedMessage(0, 1, b"acme.com", change(), [])]
        names = [ring.names.person("acme.com", one) for one in ("ann lee", "ann@acme.com")]
        await ring.store.destroy(names, forget=True)
        ring.drop()
        one = None if person is None else Person([person])
        return await export(Wanted(frozenset({"acme.com"}), one), ring)

    found = asyncio.run(run())
    named = [one["data"]["person"] for one in found["facts"]]
    assert named == (["Bob Ray", "Bob Ray"] if person is None else [])
    assert "ann@acme.com" not in json.dumps([found["facts"], found["changes"]])
    evidence = [one["data"]["reason"]["holds"][0]["evidence"] for one in found["changes"]]
    assert evidence == ([[{"person": "Bob Ray"}]] if person is None else [])


def step(offset: int, name: Any, account: str = "acme.com", changes: int = 0) -> RecordedMessage:
    value = encode_step(Step(step=name, op=offset, account=account, sequence=changes))
    return RecordedMessage(offset, 5, None, value, [(STEP, b"")])


def numbered(number: int, **data: Any) -> bytes:
    return change(sequence_number=number, **data)


def test_what_counts_after_an_undone_forget_is_told_by_its_place_and_not_by_its_time(
    logs: dict[str, list[RecordedMessage]],
) -> None:
    early, gone, late, other = (fact(str(one), person="Ann Lee") for one in range(4))
    signals = [
        RecordedMessage(0, 9_000, b"acme.com", encode_fact(early), []),
        step(1, "forget"),
        RecordedMessage(2, 9_000, b"acme.com", encode_fact(gone), []),
        step(3, "lift", changes=4),
        RecordedMessage(4, 10, b"acme.com", encode_fact(late), []),  # an old fact, on the clock of the facts
        step(5, "lift", "globex.com", changes=9),
        RecordedMessage(6, 10, b"acme.com", encode_fact(other), []),
    ]
    logs[TOPICS.signals.name] = signals
    logs[TOPICS.segment_changes.name] = [
        RecordedMessage(0, 99_000, b"acme.com", numbered(4), []),  # a host wrote it, on a clock of its own
        RecordedMessage(1, 1, b"acme.com", numbered(5), []),
        RecordedMessage(2, 99_000, b"acme.com", change(), []),
        RecordedMessage(3, 99_000, b"acme.com", b'{"data":{"sequence_number":"\xff"}}', []),
    ]
    commands = [change(cause={"sequence_number": one}) for one in (3, 6)]
    logs[TOPICS.workflow_commands.name] = [
        RecordedMessage(place, 99_000, b"acme.com", one, []) for place, one in enumerate(commands)
    ]
    place = [("dl_topic", b"t"), ("dl_partition", b"0"), ("dl_offset", b"1"), ("dl_reason", b"r")]
    letter = json.dumps({"subject": "acme.com", "data": {}}).encode()
    logs[TOPICS.dead_letters.name] = [
        RecordedMessage(0, 1_001, b"acme.com", letter, place),
        RecordedMessage(1, 1_002, b"acme.com", letter, place),
    ]
    found = asyncio.run(export(Wanted(frozenset({"acme.com"})), acme_com=1_001))
    assert [one["record"] for one in found["facts"]] == ["2", "3"]
    assert [one["data"]["sequence_number"] for one in found["changes"]] == [5]
    assert [one["data"]["cause"] for one in found["commands"]] == [{"sequence_number": 6}]
    assert len(found["dead_letters"]) == 1


@pytest.mark.parametrize("after", [[], ["forget", "lift", "forget"]])
def test_nothing_of_an_account_is_told_whose_forget_is_not_lifted_yet(
    logs: dict[str, list[RecordedMessage]], after: list[str]
) -> None:
    logs[TOPICS.signals.name] = [
        *(step(place, one) for place, one in enumerate(after)),
        RecordedMessage(9, 9_000, b"acme.com", encode_fact(fact("1", person="Ann Lee")), []),
    ]
    logs[TOPICS.segment_changes.name] = [RecordedMessage(0, 9_000, b"acme.com", numbered(5), [])]
    for until in (1, NEVER):
        found = asyncio.run(export(Wanted(frozenset({"acme.com"})), acme_com=until))
        assert (found["facts"], found["changes"]) == ([], [])
