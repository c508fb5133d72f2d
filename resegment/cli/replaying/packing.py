"""Keep facts packed by account: a fact takes about a tenth of the memory, and another process can take it as it is."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from resegment.schemas.fact import Fact, Kind, UnresolvedEvent
from resegment.segmentation.inspection.idle_facts import Reads

_COUNTED: Final = b"\xdd"
"""Begins a MessagePack array whose length takes four bytes."""


class PackedFact(Fact, frozen=True, array_like=True, omit_defaults=False, kw_only=True, gc=False):
    """A fact as it is packed: with the number of its event, a checksum of all its data, and whether tests read it."""

    number: int = 0
    checksum: int = 0
    unread: bool = False
    """Whether no test can count it."""

    def says_the_same(self, other: PackedFact) -> bool:
        """Whether the events of two facts with one id say the same."""
        return self.time == other.time and self.op == other.op and self.checksum == other.checksum


class Keeping(NamedTuple):
    """What is kept of events: the fields of data by kind, and what tells whether a test can count a fact."""

    fields: Mapping[Kind, frozenset[str]]
    reads: Reads


class PackedAccount(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An account with its facts in the order in which they were read."""

    name: str
    count: int
    rows: bytes

    def unpack(self) -> list[PackedFact]:
        """Return the facts."""
        return _decoder.decode(_COUNTED + self.count.to_bytes(4, "big") + self.rows)


def pack_fact(
    fact: Fact | UnresolvedEvent,
    account: str,
    recorded: int,
    keeping: Keeping,
    number: int,
    checksum: int,
) -> bytes:
    """Return the fact as bytes, with those fields of its data that are kept."""
    kept = keeping.fields[fact.kind]
    data = {name: value for name, value in fact.data.items() if name in kept}
    unread = not keeping.reads(fact.kind, data)
    row = (
        account,
        fact.kind,
        fact.id,
        fact.source,
        fact.record,
        fact.time,
        recorded,
        fact.op,
        data,
        (),
        number,
        checksum,
        unread,
    )
    try:
        return _encode(row)
    except OverflowError:
        return _encode(tuple(_fit(value) for value in row))


def check_data(data: dict[str, Any]) -> int:
    """Return a checksum of data, whatever the order of its fields."""
    return zlib.crc32(orjson.dumps(data, option=orjson.OPT_SORT_KEYS))


def pack_account(name: str, rows: Sequence[bytes]) -> PackedAccount:
    """Return an account with its packed facts."""
    return PackedAccount(name, len(rows), b"".join(rows))


def _fit(value: Any) -> Any:
    """Return the value with integers of more than 64 bits as an extension, which MessagePack has none for."""
    if isinstance(value, dict):
        return {name: _fit(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_fit(one) for one in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return msgspec.msgpack.Ext(_INTEGER, str(value).encode())
    return value


def _restore(code: int, value: memoryview) -> Any:
    if code != _INTEGER:
        raise msgspec.DecodeError(f"a packed fact has no extension {code}")
    return int(bytes(value))


_INTEGER: Final = 1
_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(list[PackedFact], ext_hook=_restore)


def split_accounts(grouped: dict[str, list[bytes]], facts: int) -> Iterable[list[PackedAccount]]:
    """Yield the accounts in the order of their names, about so many facts at a time; `grouped` is empty afterwards."""
    batch: list[PackedAccount] = []
    size = 0
    for name in sorted(grouped):
        account = pack_account(name, grouped.pop(name))
        batch.append(account)
        size += account.count
        if size >= facts:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
