"""The whole pipeline in memory, with keys: a person is planted in every kind and field, and leaves through no topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from resegment.agents.batch import Batch, Message, Record, RecordedMessage
from resegment.agents.delivery import read_command
from resegment.agents.intake import IntakeRules, ingest
from resegment.agents.privacy.sealing import FactSealer
from resegment.agents.relay import relay
from resegment.agents.router import handle_events, route
from resegment.schemas.outgoing import CHANGE_TYPE
from resegment.schemas.times import format_instant
from resegment.state.keys.keyring import Keyring
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.opener import RecordOpener
from resegment.streams.sealing.sealer import MessageSealer
from tests.builders import Rig, Routing, definition_of, one_version, raw_event
from tests.planted import EVENTS, FILE, PERSON, names_person
from tests.unit.streams.sealing.test_sealing import given, open_ring

NOW = 1_770_000_000_000
TOPICS = Topics()


class Log:
    """All topics: what is published is sealed as a publisher of Kafka does it."""

    def __init__(self, ring: Keyring | None) -> None:
        self._sealer = MessageSealer(given(ring), TOPICS)
        self.messages: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        self.messages += await self._sealer.seal(messages)

    def of(self, topic: str) -> list[Record]:
        found = [one for one in self.messages if one.topic == topic]
        return [
            RecordedMessage(place, NOW, one.key, one.value, one.headers) for place, one in enumerate(found)
        ]


async def run(ring: Keyring | None) -> Log:
    """Send an event of every kind, one that is refused and one that waits, and take them through all stages."""
    log = Log(ring)
    events = [
        raw_event(
            id=f"{kind}-{PERSON}",
            type=f"gtm.{kind}.v1",
            subject="acme.com",
            time=format_instant(NOW),
            data=data,
        )
        for kind, data in EVENTS.items()
    ]
    wrong = raw_event(id="w", type="gtm.people.v1", subject="acme.com", data={"person": [PERSON]})
    waits = raw_event(id="x", type="gtm.people.v1", subject=f"{PERSON} Ltd", data={"person": PERSON})
    records = [RecordedMessage(place, NOW, None, one) for place, one in enumerate([*events, wrong, waits])]
    await ingest(
        Batch("resegment.any", 0, records),
        IntakeRules("wall", lambda: NOW, sealer=None if ring is None else FactSealer(ring)),
        publisher=log,
        signals="signals",
        dead_letters="dead-letters",
        unresolved="unresolved",
    )
    rig = Rig(FILE)
    rig.versions = one_version(rig.engine, keys=ring)
    rig.published = log  # type: ignore[assignment]
    await rig.take()
    await rig.feed(*log.of("signals"))
    await rig.deliver()
    routing = Routing(definition_of(FILE), now=NOW)
    routing.router = replace(routing.router, publisher=log, open=RecordOpener(given(ring), strict=True).open)
    await routing.take()
    await route(Batch("segment-changes", 0, log.of("segment-changes")), routing.owned, routing.router)
    await handle_events(Batch("routing-events", 0, log.of("routing-events")), routing.owned, routing.router)
    while routing.owned.outbox.entries:
        await relay(routing.owned, publisher=log)
    return log


async def test_no_record_names_the_person_and_everybody_who_reads_gets_what_they_would_get_without_keys() -> (
    None
):
    _, ring = await open_ring()
    sealed, plain = await run(ring), await run(None)
    topics = {one.topic for one in plain.messages}
    assert topics >= {
        "signals",
        "dead-letters",
        "unresolved",
        "segment-changes",
        "routing-events",
        "workflow-commands",
    }
    for topic in topics - {"touches"}:
        assert any(names_person(one.key, one.value, one.headers) for one in plain.of(topic)), topic
    for message in sealed.messages:
        assert not names_person(message.key, message.value, message.headers), message.topic
    for topic in topics - {"signals"}:
        opened = await RecordOpener(given(ring)).open(sealed.of(topic))
        assert [(one.key, one.value) for one in opened] == [
            (one.key, one.value) for one in plain.of(topic)
        ], topic


@pytest.mark.parametrize(("topic", "kind"), [("segment-changes", CHANGE_TYPE), ("workflow-commands", "")])
async def test_a_webhook_sends_the_body_that_it_would_send_without_keys(topic: str, kind: str) -> None:
    _, ring = await open_ring()
    sealed, plain = await run(ring), await run(None)
    kinds = {"kind": kind} if kind else {}
    bodies = [
        read_command(one, **kinds).body for one in await RecordOpener(given(ring)).open(sealed.of(topic))
    ]
    assert bodies == [one.value for one in plain.of(topic)]
    assert any(PERSON.encode() in one for one in bodies)


async def test_after_a_person_is_forgotten_what_was_published_before_names_nobody_to_anybody() -> None:
    store, ring = await open_ring()
    log = await run(ring)
    names = ring.names
    person = [names.person(account, PERSON.lower()) for account in ("acme.com", "?")]
    await store.destroy([*person, names.messages("acme.com"), names.messages("?")])
    ring.drop()
    for topic in {one.topic for one in log.messages} - {"signals"}:
        for one in await RecordOpener(given(ring)).open(log.of(topic)):
            assert not names_person(one.key, one.value, one.headers), topic
    changes = await RecordOpener(given(ring)).open(log.of("segment-changes"))
    read: list[Any] = [orjson.loads(one.value)["data"] for one in changes]
    assert read
    assert all(
        one["forgotten"] and one["account"] == "acme.com" and one["reason"]["holds"]
        for one in read
        if one["to"] == "new-leader"
    )
