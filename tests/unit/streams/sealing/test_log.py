"""A log that is copied is sealed: its facts, and those that steps carry."""

from __future__ import annotations

from msgspec.structs import replace

from resegment.agents.batch import Message
from resegment.agents.deciding.merging import STEP
from resegment.agents.privacy.sealing import FactSealer
from resegment.schemas.fact import decode_fact, encode_fact
from resegment.schemas.identities.steps import Step, decode_step, encode_step, pack_facts, unpack_facts
from resegment.schemas.privacy.facts import keys_of, open_fact
from resegment.streams.sealing.log import LogSealer
from tests.unit.streams.sealing.test_sealing import names_person, open_ring
from tests.unit.streams.tables.test_pseudonyms import outcome

TOPIC = "new.signals"
PLAIN = replace(outcome(None), id="x", record="x")


def signal(value: bytes, key: bytes | None = b"acme.com") -> Message:
    return Message(TOPIC, key, value, [], 1, 1_000)


async def test_facts_are_sealed_in_their_places_and_everything_else_is_copied_as_it_is() -> None:
    _, ring = await open_ring()
    others = [
        Message("new.touches", b"acme.com", encode_fact(outcome())),
        signal(b"no fact"),
        signal(encode_fact(PLAIN)),
        Message(TOPIC, None, None, [("tick", b"")], 1, 1_000),
    ]
    sealer = LogSealer(FactSealer(ring), TOPIC, was_sealed=False)
    first, *rest = await sealer.seal([signal(encode_fact(outcome())), *others])
    assert rest == others
    assert not names_person(first)
    assert (first.key, first.partition, first.timestamp) == (b"acme.com", 1, 1_000)
    fact = decode_fact(first.value or b"")
    assert open_fact(fact, await ring.prepare(keys_of(fact))) == outcome()


async def test_the_facts_that_a_step_carries_are_sealed_too() -> None:
    _, ring = await open_ring()
    step = Step(step="join", op=1, account="acme.com", other="acme.io", facts=pack_facts([outcome(), PLAIN]))
    message = Message(TOPIC, None, encode_step(step), [(STEP, b"1")], 1, 1_000)
    (copied,) = await LogSealer(FactSealer(ring), TOPIC, was_sealed=False).seal([message])
    found = decode_step(copied.value or b"")
    assert replace(found, facts="") == replace(step, facts="")
    sealed, plain = unpack_facts(found.facts)
    assert plain == PLAIN
    assert not names_person(signal(encode_fact(sealed)))


async def test_what_is_sealed_already_stays_and_a_field_that_looks_so_is_sealed_where_nothing_was() -> None:
    _, ring = await open_ring()
    sealer = FactSealer(ring)
    (sealed,) = await sealer.seal([outcome()])
    assert sealed is not None
    message = signal(encode_fact(sealed))
    (same,) = await LogSealer(sealer, TOPIC, was_sealed=True).seal([message])
    assert same == message
    (again,) = await LogSealer(sealer, TOPIC, was_sealed=False).seal([message])
    fact = decode_fact(again.value or b"")
    assert open_fact(fact, await ring.prepare(keys_of(fact))) == sealed


async def test_what_is_forgotten_is_left_out_of_the_copy() -> None:
    store, ring = await open_ring()
    await store.destroy([ring.names.account("acme.com")], forget=True)
    other = signal(encode_fact(outcome(account="other.com")), b"other.com")
    sealer = LogSealer(FactSealer(ring), TOPIC, was_sealed=False)
    (copied,) = await sealer.seal([signal(encode_fact(outcome())), signal(encode_fact(PLAIN)), other])
    assert copied.key == b"other.com"
