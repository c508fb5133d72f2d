"""The ledger of an account: its touches and outcomes, in the order in which they became known.

Redis keeps it as one MessagePack array with a header of five bytes, so that a script can append items to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchVoid

LedgerItem = Touch | TouchVoid | TouchKey | OutcomeFact

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[LedgerItem])
_HEADER: Final = 0xDD
"""The marker of an array whose length takes four bytes."""


def encode_ledger(items: Sequence[LedgerItem]) -> bytes:
    """Return the bytes that Redis keeps of items, or appends to those that it keeps."""
    body = b"".join(map(_encoder.encode, items))
    return bytes((_HEADER, *len(items).to_bytes(4, "big"))) + body


def decode_ledger(value: bytes) -> list[LedgerItem]:
    """Return the items of a ledger. Raises msgspec.DecodeError."""
    return _decoder.decode(value)


def join_ledgers(parts: Iterable[bytes]) -> bytes:
    """Return one ledger with the items of several, in their order."""
    bodies, count = [], 0
    for part in parts:
        count += int.from_bytes(part[1:5], "big")
        bodies.append(part[5:])
    return bytes((_HEADER, *count.to_bytes(4, "big"))) + b"".join(bodies)
