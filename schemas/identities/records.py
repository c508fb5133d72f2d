"""The records of the topic `identities`.

The order of its one partition is the truth. A record's number is its place, from 1 on; merges, unmerges and forgets are
carried out one after another, in the order of their numbers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from resegment.schemas.logs.decoding import decode_value


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    pass


class Merge(_Record, frozen=True, kw_only=True, tag="merge"):
    """The wish that `alias` is an alias of `account` from `at` (ms) on, with all its facts."""

    alias: str
    account: str
    at: int
    author: str = ""


class Unmerge(_Record, frozen=True, kw_only=True, tag="unmerge"):
    """The wish that `alias` is an account of its own again."""

    alias: str
    at: int
    author: str = ""


class Alias(_Record, frozen=True, kw_only=True, tag="alias"):
    """A name, a provider's id or the URL of a page means `account`."""

    name: str
    account: str
    at: int
    author: str = ""


class Forget(_Record, frozen=True, kw_only=True, tag="forget"):
    """The wish that `account`, with all accounts that were merged into it, is forgotten.

    With `persons` only these are: the names of their keys, which name nobody. With `texts`, what names no person but may quote
    one is forgotten too. `pending` is the id under which the key store keeps what the worker needs to know.
    """

    account: str
    at: int
    author: str = ""
    persons: tuple[str, ...] = ()
    texts: bool = False
    pending: str = ""


class Lift(_Record, frozen=True, kw_only=True, tag="lift"):
    """The wish that facts of `account`, or of `persons` of it, that come from here on count again."""

    account: str
    at: int
    author: str = ""
    persons: tuple[str, ...] = ()


class Settled(_Record, frozen=True, kw_only=True, tag="settled"):
    """The operation with this number is carried out, or cannot be: `refused` says why."""

    op: int
    refused: str = ""


IdentityRecord = Merge | Unmerge | Alias | Settled | Forget | Lift

_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[IdentityRecord]] = msgspec.json.Decoder(IdentityRecord)


def encode_identity_record(record: IdentityRecord) -> bytes:
    """Return the bytes of a record of `identities`."""
    return _encoder.encode(record)


def decode_identity_record(value: bytes) -> IdentityRecord:
    """Decode a record of `identities`. Raises msgspec.DecodeError."""
    return decode_value(_decoder, value)
