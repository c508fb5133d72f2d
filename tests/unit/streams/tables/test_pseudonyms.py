"""Where personal fields are sealed, tables have pseudonyms that join as the persons would, and no personal text."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from resegment.agents.batch import Message, Record, RecordedMessage
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.privacy.facts import seal_fact
from resegment.schemas.privacy.fields import normalize_person, personal_fields
from resegment.state.keys.keyring import Keyring
from resegment.streams.sealing.sealer import MessageSealer
from resegment.streams.tables.pseudonyms import Pseudonyms
from resegment.streams.tables.topic_writer import Source, TopicWriter
from resegment.tables.duck import Duck
from resegment.tables.rows import read_batch
from tests.unit.schemas.privacy.test_messages import PERSON, change, command
from tests.unit.streams.sealing.test_sealing import TOPICS, given, open_ring

NAMES = personal_fields("outcome")


def outcome(person: str | None = PERSON, account: str = "acme.com", **more: Any) -> Fact:
    data = {"action": "replied", "deal": "d1"} | ({} if person is None else {"person": person})
    fact = Fact(
        account=account,
        kind="outcome",
        id=f"reply-{person}",
        source="crm",
        record=f"reply-{person}",
        time=1_770_000_000_000,
        recorded=1_770_000_000_000,
        data=data,
    )
    return replace(fact, **more)


async def sealed(ring: Keyring, fact: Fact) -> Fact:
    person = fact.data.get("person")
    subject = fact.account, None if person is None else normalize_person(person)
    pair = (await ring.pairs([subject]))[subject]
    assert pair is not None
    return seal_fact(fact, NAMES, pair)


def as_records(*facts: Fact) -> list[Record]:
    return [
        RecordedMessage(place, 1, one.account.encode(), encode_fact(one)) for place, one in enumerate(facts)
    ]


async def rows_of(ring: Keyring | None, topic: str, records: list[Record]) -> list[dict[str, Any]]:
    batch = read_batch(topic, 0, await Pseudonyms(given(ring)).conceal(topic, records))
    assert not batch.refused
    return [row for rows in batch.rows.values() for row in rows]


async def test_an_outcome_has_the_name_of_its_persons_key_whether_it_was_sealed_or_is_older() -> None:
    _, ring = await open_ring()
    other = outcome("Somebody Else", record="r2")
    facts = [
        await sealed(ring, outcome(record="r1")),
        outcome(PERSON.upper(), record="r3"),
        await sealed(ring, other),
    ]
    first, second, third = await rows_of(ring, "signals", as_records(*facts))
    name = ring.names.person("acme.com", normalize_person(PERSON))
    assert (first["person"], second["person"]) == (name, name)
    assert third["person"] not in (name, None)
    assert "philippa" not in str([first, second, third]).lower()
    assert (first["action"], first["deal"], first["source"]) == ("replied", "d1", "crm")


async def test_a_record_named_after_the_person_is_one_row_before_and_after_the_keys() -> None:
    _, ring = await open_ring()
    rows = await rows_of(ring, "signals", as_records(outcome(), await sealed(ring, outcome())))
    assert len(rows) == 1
    assert "philippa" not in str(rows).lower()


async def test_an_outcome_that_names_nobody_has_no_person() -> None:
    _, ring = await open_ring()
    quoting = outcome(None, data={"action": "replied", "statement": PERSON})
    rows = await rows_of(
        ring, "signals", as_records(outcome(None), replace(await sealed(ring, quoting), record="r2"))
    )
    assert [row["person"] for row in rows] == [None, None]


async def test_of_a_forgotten_account_an_older_outcome_makes_no_row() -> None:
    store, ring = await open_ring()
    await store.destroy([ring.names.account("acme.com")], forget=True)
    assert await rows_of(ring, "signals", as_records(outcome())) == []


@pytest.mark.parametrize("seals", [True, False])
@pytest.mark.parametrize(
    ("topic", "value"), [("segment-changes", change()), ("workflow-commands", command())]
)
async def test_texts_and_ids_of_messages_are_null_and_the_rest_is_as_ever(
    topic: str, value: bytes, seals: bool
) -> None:
    _, ring = await open_ring()
    message = Message(f"p.{topic}", b"acme.com", value)
    (sent,) = await MessageSealer(given(ring), TOPICS).seal([message]) if seals else [message]
    (row,) = await rows_of(ring, topic, [RecordedMessage(0, 1, b"acme.com", sent.value)])
    (plain,) = await rows_of(None, topic, [RecordedMessage(0, 1, b"acme.com", value)])
    text = "cause_events" if topic == "segment-changes" else "reason"
    assert PERSON in plain[text]
    assert row == {**plain, text: None}


async def test_the_position_in_the_tables_is_that_of_the_log_and_no_cell_names_the_person() -> None:
    _, ring = await open_ring()
    store = Duck()
    store.migrate()
    store.open("p", 1)
    source = Source("signals", "p.signals", None, Pseudonyms(given(ring)).conceal)
    writer = TopicWriter(store, source, timedelta(days=90), "run", asyncio.Lock())
    records = as_records(outcome(), await sealed(ring, outcome("Somebody Else")))

    class Topic:
        begins = {0: 0}  # noqa: RUF012  # of a fake

        async def ends(self) -> dict[int, int]:
            return {0: 2}

        def start_at(self, *_: int) -> None: ...

    topic: Any = Topic()
    await writer.begin(topic)
    await writer.write(0, records)
    with store.transaction() as transaction:
        rows = transaction.read("select * from outcome order by record")
    assert len(rows) == 2
    assert "philippa" not in str(rows).lower()
    assert "somebody" not in str(rows).lower()
    store.close()
