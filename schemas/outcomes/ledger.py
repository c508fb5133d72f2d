"""The ledger of an account: its touches and outcomes, in the order in which they became known.

Redis keeps it as one MessagePack array with a header of five bytes, so that a script can append items to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.messages import identify_record
from resegment.schemas.outcomes.touch import Touch, TouchesForgotten, TouchKey, TouchVoid


class Dropped(msgspec.Struct, array_like=True, frozen=True, kw_only=True, tag=4, gc=False):
    """So many items of an account are gone: it had too many."""

    account: str
    count: int


LedgerItem = Touch | TouchVoid | TouchKey | OutcomeFact | Dropped


class OutcomesForgotten(msgspec.Struct, frozen=True):
    """The account was forgotten: no outcome that became known before counts. A log says so, no ledger."""


LoggedItem = LedgerItem | TouchesForgotten | OutcomesForgotten
"""What a log says of the ledger of an account."""

MOST_ITEMS: Final = 2_000
"""A ledger with more items is compacted."""
MOST_BYTES: Final = 400_000
"""A ledger with more bytes is compacted, too."""
KEPT: Final = MOST_ITEMS // 2
"""The most outcomes, and the most touches with what concerns them, that a compacted ledger has."""

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
    return decode_value(_decoder, value)


def join_ledgers(parts: Iterable[bytes]) -> bytes:
    """Return one ledger with the items of several, in their order."""
    bodies, count = [], 0
    for part in parts:
        count += int.from_bytes(part[1:5], "big")
        bodies.append(part[5:])
    return bytes((_HEADER, *count.to_bytes(4, "big"))) + b"".join(bodies)


def is_crowded(value: bytes) -> bool:
    """Return whether a ledger has so much that it has to be compacted."""
    return int.from_bytes(value[1:5], "big") > MOST_ITEMS or len(value) > MOST_BYTES


def remember(items: list[LedgerItem], item: LoggedItem) -> None:
    """Add an item of a log to those of its account, or take out what it says is forgotten."""
    if isinstance(item, TouchesForgotten):
        items[:] = [one for one in items if isinstance(one, OutcomeFact)]
    elif isinstance(item, OutcomesForgotten):
        items[:] = [one for one in items if not isinstance(one, OutcomeFact)]
    else:
        items.append(item)


def without_outcomes(value: bytes | None) -> list[LedgerItem]:
    """Return the items of a ledger but its outcomes. Raises msgspec.DecodeError."""
    items = [] if value is None else decode_ledger(value)
    return [one for one in items if not isinstance(one, OutcomeFact)]


class Settled(NamedTuple):
    """What holds of a ledger: each touch and what concerns touches once, and the latest revision of each outcome."""

    touches: list[Touch | TouchVoid | TouchKey]
    outcomes: list[OutcomeFact]
    dropped: int


def settle_ledger(items: Iterable[LedgerItem]) -> Settled:
    """Return what holds of the items of one account, in any order.

    Of revisions with one id the first counts, and of records of one touch too: a decision that is made again after Redis was
    rolled back may have another instant.
    """
    touched: dict[str, Touch | TouchVoid | TouchKey] = {}
    revisions: dict[tuple[str, str, str, str], OutcomeFact] = {}
    dropped = 0
    for one in items:
        if isinstance(one, Dropped):
            dropped += one.count
        elif isinstance(one, OutcomeFact):
            revision = one.account, one.source, one.record, one.id
            first = revisions.get(revision)
            if first is None or one.recorded < first.recorded:
                revisions[revision] = one
        else:
            name = identify_record(one)
            held = touched.get(name)
            if held is None or one.at < held.at:
                touched[name] = one
    outcomes: dict[tuple[str, str, str], OutcomeFact] = {}
    for (account, source, record, _), one in revisions.items():
        newest = outcomes.get((account, source, record))
        if newest is None or (newest.recorded, newest.id) < (one.recorded, one.id):
            outcomes[account, source, record] = one
    return Settled(list(touched.values()), list(outcomes.values()), dropped)


def compact_ledger(account: str, value: bytes) -> bytes:
    """Return a ledger with what holds of it, and without the oldest items where that is too much.

    What is dropped is counted. Raises msgspec.DecodeError.
    """
    settled = settle_ledger(decode_ledger(value))
    dropped, kept = settled.dropped, list[LedgerItem]()
    groups: tuple[Sequence[LedgerItem], ...] = (settled.touches, settled.outcomes)
    for items in groups:
        newest, size = list[LedgerItem](), 0
        for item in sorted(items, key=attrgetter("at"), reverse=True)[:KEPT]:
            size += len(_encoder.encode(item))
            if size > MOST_BYTES // 4:
                break
            newest.append(item)
        dropped += len(items) - len(newest)
        kept += reversed(newest)
    return encode_ledger([Dropped(account=account, count=dropped), *kept] if dropped else kept)
