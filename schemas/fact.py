"""A trigger event once it is validated, normalized and resolved to one account."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from resegment.schemas.logs.decoding import decode_value, is_deeper

Kind = Literal[
    "funding",
    "hiring",
    "leadership",
    "tech",
    "intent",
    "strategy",
    "engagement",
    "firmographic",
    "outcome",
    "people",
]

KINDS: Final[tuple[Kind, ...]] = (
    "funding",
    "hiring",
    "leadership",
    "tech",
    "intent",
    "strategy",
    "engagement",
    "firmographic",
    "outcome",
    "people",
)
"""Every kind of fact. The order is part of the state format, so only append."""

DEEPEST: Final = 32
"""How deep objects and lists may be nested in the data of a fact: more than intake takes."""

EARLIEST: Final = 0
LATEST: Final = 4_102_444_800_000
"""Times must be in [1970, 2100): milliseconds since the epoch, the end excluded."""


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

    `(account, source, record)` identifies the fact, and `id` identifies this revision. `time` is when it
    happened and `recorded` is when it became known, both in milliseconds since the epoch, UTC. As JSON, this
    is also the value of a record in the `signals` topic. `via` names the aliases through which it came to the account
    after they were merged, first the one that it was sent to, each with the number of its merge.
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
    via: tuple[tuple[str, int], ...] = ()


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Fact)


def encode_fact(fact: Fact) -> bytes:
    """Return the JSON of a `signals` record."""
    return _encoder.encode(fact)


def decode_fact(value: bytes) -> Fact:
    """Return the fact of a `signals` record. Raises msgspec.DecodeError (or its ValidationError)."""
    fact = decode_value(_decoder, value)
    if value.count(b"{") + value.count(b"[") > DEEPEST:  # few facts have so many, and none can be deeper
        check_depth(fact)
    return fact


def check_depth(fact: Fact) -> None:
    """Raise msgspec.DecodeError for what only a foreign program writes: intake takes nothing so deep."""
    if is_deeper(fact.data, DEEPEST):
        raise msgspec.DecodeError(f"objects and lists nest deeper than {DEEPEST} levels")
