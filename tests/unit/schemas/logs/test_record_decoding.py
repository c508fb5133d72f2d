"""Whatever a record is that is none: its decoder says so in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from resegment.agents.sending.fields import read_change, read_owner
from resegment.agents.sending.operations import read_data
from resegment.routing.change import decode_change
from resegment.routing.restore import decode_published_command
from resegment.schemas.contracts.audit import AuditEntry, decode_entry, encode_entry
from resegment.schemas.definitions.marks import Mark, decode_mark, encode_mark
from resegment.schemas.definitions.records import Stands, decode_definition_record, encode_definition_record
from resegment.schemas.identities.records import Merge, decode_identity_record, encode_identity_record
from resegment.schemas.identities.steps import Step, decode_step, encode_step
from resegment.schemas.outcomes.messages import decode_touch, encode_touch
from resegment.schemas.outcomes.touch import TouchVoid
from resegment.schemas.routing import Review, decode_routing_event, encode_routing_event

CHANGE = (
    b'{"id":"c-1","type":"gtm.segment-change.v1","data":{"account":"acme.com","sequence_number":1,"from":null,"to":"hot",'
    b'"effective_at":"2026-01-01T00:00:00Z","decided_at":"2026-01-01T00:00:00Z","cause":{},"reason":{},'
    b'"definition_version":"v","supersedes":null,"route":null,"from_route":null,"play":"grow","message":null}}'
)
COMMAND = (
    b'{"id":"k-1","data":{"account":"acme.com","action":"enroll","workflow":"calls","segment":"hot",'
    b'"idempotency_key":"k-1","cause":{"change":"c-1","sequence_number":1,"effective_at":"2026-01-01T00:00:00Z"}}}'
)
DECODERS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "identity": (
        decode_identity_record,
        encode_identity_record(Merge(alias="acme.com", account="acme.io", at=1, author="ann")),
    ),
    "definition": (decode_definition_record, encode_definition_record(Stands(apply="acme.com"))),
    "mark": (decode_mark, encode_mark(Mark(apply="acme.com", version=1, step="switch"))),
    "step": (decode_step, encode_step(Step(step="forget", op=1, account="acme.com"))),
    "routing-event": (decode_routing_event, encode_routing_event(Review(account="acme.com", at=1))),
    "touch": (decode_touch, encode_touch(TouchVoid(account="acme.com", at=1, change="c-1"))),
    "audit": (
        lambda value: decode_entry(value, 1),
        encode_entry(AuditEntry(id="1", at=1, action="acme.com", actor="ann", stage="begun", begun="1")),
    ),
    "change": (decode_change, CHANGE),
    "command": (decode_published_command, COMMAND),
    "change-fields": (read_change, CHANGE),
    "owner": (read_owner, COMMAND),
    "command-data": (read_data, COMMAND),
}


@pytest.mark.parametrize("name", DECODERS)
def test_broken_text_and_deep_nesting_are_the_one_error_of_a_decoder(name: str) -> None:
    decode, value = DECODERS[name]
    decode(value)
    nested = b"[" * 100_000 + b"]" * 100_000
    for broken in (
        value.replace(b"acme.com", b"acme\xff.com"),
        value.replace(b"{", b'{"unknown":%b,' % nested, 1),
        value[:-3],
        b"",
    ):
        assert broken != value
        with pytest.raises(msgspec.DecodeError):
            decode(broken)
