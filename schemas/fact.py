"""A trigger event once it is validated, normalized and resolved to one account."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

KINDS: Final = (
    "funding",
    "hiring",
    "leadership",
    "tech",
    "intent",
    "strategy",
    "engagement",
    "firmographic",
    "outcome",
)
"""Every kind of fact. The order is part of the state format: append only."""

Kind = Literal[
    "funding", "hiring", "leadership", "tech", "intent", "strategy", "engagement", "firmographic", "outcome"
]

EARLIEST: Final = 0
LATEST: Final = 4_102_444_800_000
"""Times outside [1970, 2100) are absurd: milliseconds since the epoch, the second excluded."""


class UnresolvedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A valid trigger event whose `subject` is still as the producer wrote it.

    `recorded` is None where the event has no `recordedtime`. `resegment.identity.resolution` makes a `Fact` of it.
    """

    subject: str
    kind: Kind
    id: str
    source: str
    record: str
    time: int
    recorded: int | None
    op: Literal["assert", "retract"]
    data: dict[str, Any]


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One revision of one fact about one account.

    `(account, source, record)` is the fact's identity, `id` that of this revision. `time` is when it
    happened and `recorded` when it became known, both in milliseconds since the epoch, UTC. This is also
    the value of a record of the `signals` topic, as JSON.
    """

    account: str
    kind: Kind
    id: str
    source: str
    record: str
    time: int
    recorded: int
    op: Literal["assert", "retract"] = "assert"
    data: dict[str, Any] = {}


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Fact)


def encode_fact(fact: Fact) -> bytes:
    """The JSON of a `signals` record."""
    return _encoder.encode(fact)


def decode_fact(value: bytes) -> Fact:
    """The fact of a `signals` record. Raises msgspec.DecodeError (or its ValidationError)."""
    return _decoder.decode(value)
