"""What names persons in outgoing messages is sealed, and comes back in its place."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.errors import RefusedEvent
from resegment.routing.change import decode_change
from resegment.schemas.outcomes.facts import Learned, OutcomeFact
from resegment.schemas.outgoing import SegmentChangeData, WorkflowCommandData
from resegment.schemas.privacy.envelope import DataKey, Tampered
from resegment.schemas.privacy.messages import keys_of_message, open_message, take_apart
from resegment.schemas.routing import GatesChanged, Review, decode_routing_event, encode_routing_event

PERSON = "Philippa Featherstonehaugh"
KEYS = [DataKey("a" * 22 + "-1", b"a" * 32), DataKey("m" * 22 + "-1", b"m" * 32)]
RING = {one.id: one for one in KEYS}


def change(account: str = "acme.com", **fields: Any) -> bytes:
    data = {
        "account": account,
        "sequence_number": 3,
        "from": "cold",
        "to": "warm",
        "effective_at": "2026-01-01T00:00:00Z",
        "decided_at": "2026-01-01T00:00:00Z",
        "cause": {"events": [f"people:{PERSON}"]},
        "reason": {
            "holds": [
                {
                    "test": "a leader joined",
                    "facts": 1,
                    "evidence": [
                        {
                            "id": f"people:{PERSON}",
                            "kind": "leadership",
                            "time": "2026-01-01T00:00:00Z",
                            "source": "crm",
                            "data": {"person": PERSON, "title": f"CRO {PERSON}"},
                        }
                    ],
                },
                {"test": "newest title", "value": f"CRO {PERSON}"},
                {"test": "score", "value": 12.5},
                {"test": "is open", "value": True},
            ],
            "no_longer": ["nobody joined"],
        },
        "also_qualified": [],
        "definition_version": "abc",
        "supersedes": None,
        "supersedes_to": None,
        "play": "hello",
        "message": {"name": "hello", "message": {"pain": f"Congratulations, {PERSON}"}},
        "route": {"workflow": "w", "team": "t"},
        "from_route": None,
        "superseded_route": None,
        "holdout": False,
        "standing": [],
        "values": {"leader": PERSON},
        "do_not_contact": [PERSON],
        **fields,
    }
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": "c1",
            "source": "/resegment/segmenter",
            "type": "gtm.segment-change.v1",
            "subject": account,
            "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def command(**fields: Any) -> bytes:
    data = {
        "action": "enroll",
        "account": "acme.com",
        "workflow": "w",
        "owner": "ann@seller.example",
        "qualification": None,
        "play": "hello",
        "segment": "warm",
        "idempotency_key": "k1",
        "cause": {"change": "c1", "sequence_number": 3, "effective_at": "2026-01-01T00:00:00Z"},
        "reason": f"because {PERSON} replied",
        "message": {"name": "hello", "message": {"pain": f"Congratulations, {PERSON}"}},
        "why": [
            {
                "test": "a leader joined",
                "facts": 1,
                "evidence": [{"kind": "people", "time": "2026", "source": "crm", "data": {"person": PERSON}}],
            }
        ],
        "do_not_contact": [PERSON],
        **fields,
    }
    event = {
        "specversion": "1.0",
        "id": "k1",
        "source": "/resegment/router",
        "type": "gtm.workflow-command.v1",
    }
    return orjson.dumps({**event, "subject": "acme.com", "time": "2026", "data": data})


LEARNED = encode_routing_event(
    Learned(
        account="acme.com",
        at=5,
        fact=OutcomeFact(
            account="acme.com", source="s", record=PERSON, id="i", at=4, recorded=5, person=PERSON
        ),
    )
)
GATES = encode_routing_event(
    GatesChanged(account="acme.com", at=5, active_gates=("suppress:x",), do_not_contact=(PERSON,))
)
every_message = pytest.mark.parametrize("value", [change(), command(), LEARNED, GATES])


def sealed(value: bytes) -> bytes:
    parts = take_apart(value)
    assert parts is not None
    assert parts.account == "acme.com"
    return parts.sealed(KEYS)


@every_message
def test_a_sealed_message_names_nobody_and_opens_to_the_same_bytes(value: bytes) -> None:
    assert PERSON.encode() in value
    found = sealed(value)
    assert b"Philippa" not in found
    assert sealed(value) == found
    assert keys_of_message(found) == tuple(one.id for one in KEYS)
    assert open_message(found, RING) == value


def test_what_stays_is_a_message_of_the_same_contract_with_its_account_segments_tests_and_counts() -> None:
    data = orjson.loads(sealed(change()))["data"]
    read = SegmentChangeData.model_validate(data)
    assert (read.account, read.from_, read.to, read.play) == ("acme.com", "cold", "warm", "hello")
    assert [(one.test, one.facts, one.value) for one in read.reason.holds] == [
        ("a leader joined", 1, None),
        ("newest title", None, None),
        ("score", None, 12.5),
        ("is open", None, True),
    ]
    assert read.reason.no_longer == ["nobody joined"]
    assert (read.message, read.values, read.do_not_contact, read.cause.events) == (None, {}, [], [])
    told = WorkflowCommandData.model_validate(orjson.loads(sealed(command()))["data"])
    assert (told.owner, told.workflow, told.reason, told.message) == ("ann@seller.example", "w", None, None)


def test_a_message_that_was_written_again_with_other_spaces_opens_too() -> None:
    event = orjson.loads(change())
    spaced = json.dumps(orjson.loads(sealed(change())), indent=2).encode()
    assert orjson.loads(open_message(spaced, RING)) == event


@every_message
@pytest.mark.parametrize("destroyed", [0, 1])
def test_without_one_of_its_keys_the_rest_of_a_message_stays_and_it_says_so(
    value: bytes, destroyed: int
) -> None:
    left = open_message(sealed(value), {KEYS[1 - destroyed].id: KEYS[1 - destroyed]})
    assert b"Philippa" not in left
    event = orjson.loads(left)
    members = event.get("data", event)
    assert members["forgotten"] is True
    assert "sealed" not in members


@every_message
def test_a_message_of_a_forgotten_account_is_sent_without_what_named_persons(value: bytes) -> None:
    parts = take_apart(value)
    assert parts is not None
    left = parts.without()
    assert b"Philippa" not in left
    assert keys_of_message(left) == ()
    assert open_message(left, RING) == left


def test_the_router_reads_what_is_left_of_a_forgotten_message() -> None:
    read = decode_change(open_message(sealed(change()), {}))
    assert (read.account, read.target.segment, read.target.values) == ("acme.com", "warm", {})
    event = decode_routing_event(open_message(sealed(LEARNED), {}))
    assert isinstance(event, Learned)
    assert event.fact is None


@pytest.mark.parametrize(
    "value",
    [
        change(
            reason={"holds": [{"test": "t", "facts": 2}]},
            message=None,
            values={},
            do_not_contact=[],
            cause={},
        ),
        encode_routing_event(Review(account="acme.com", at=5)),
        b"",
        b"{",
        b"[]",
        b'{"type":"gtm.segment-change.v1","data":[]}',
        b'{"type":[],"data":{}}',
        b'{"type":"gtm.touch.v1","data":{"account":"acme.com"}}',
    ],
)
def test_what_names_nobody_or_is_no_message_is_not_touched(value: bytes) -> None:
    assert take_apart(value) is None
    assert keys_of_message(value) == ()
    assert open_message(value, RING) is value


def moved(value: bytes, into: bytes) -> bytes:
    """Return the second message with the envelope of the first."""
    event = orjson.loads(into)
    event["data"]["sealed"] = orjson.loads(value)["data"]["sealed"]
    return orjson.dumps(event)


def test_an_envelope_opens_in_its_own_message_only() -> None:
    own = sealed(change())
    elsewhere = [
        moved(own, change("other.com")),
        own.replace(b'"account":"acme.com"', b'"account":"other.com"'),
        own.replace(b'"id":"c1"', b'"id":"c2"'),
        moved(own, sealed(command())),
    ]
    for one in elsewhere:
        with pytest.raises(Tampered):
            open_message(one, RING)


@pytest.mark.parametrize(
    "text",
    ["s1.", "s1..", "s1.a.b", "s1." + "~".join(["a" * 22 + "-1"] * 9) + ".AA", "s1." + "a" * 22 + "-1.%%"],
)
def test_an_envelope_that_is_none_is_refused_by_name(text: str) -> None:
    event = orjson.loads(change())
    event["data"]["sealed"] = text
    value = orjson.dumps(event)
    assert set(keys_of_message(value)) <= {"a" * 22 + "-1"}
    with pytest.raises(RefusedEvent) as refused:
        open_message(value, RING)
    assert refused.value.reason == "not-opened"


def test_what_is_no_text_where_an_envelope_would_be_is_left_alone() -> None:
    value = change(sealed=[1])
    assert open_message(value, RING) == value
    value = change(sealed={"sealed": "s1.x"})
    assert keys_of_message(value) == ()
    assert open_message(value, RING) == value


@settings(max_examples=150, deadline=None)
@given(
    place=st.integers(0, 10_000),
    byte=st.integers(0, 255),
    which=st.sampled_from([change(), command(), LEARNED]),
)
def test_a_message_in_which_a_byte_was_changed_opens_as_before_or_is_refused(
    place: int, byte: int, which: bytes
) -> None:
    value = bytearray(sealed(which))
    value[place % len(value)] = byte
    damaged = bytes(value)
    keys_of_message(damaged)
    try:
        opened = open_message(damaged, RING)
    except Tampered:
        return
    if PERSON.encode() in opened:  # what the envelope is bound to was not touched
        before, after = orjson.loads(which), orjson.loads(opened)
        for name in ("id", "type"):
            assert before.get(name) == after.get(name)
        assert before.get("data", before)["account"] == after.get("data", after)["account"]
