"""Which names mean which account: the records of the topic `identities`, and the steps of a merge in `signals`.

The order of the one partition of `identities` is the truth. A record's number is its place in it, from 1 on; merges and
unmerges are carried out one after another, in the order of their numbers.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from resegment.schemas.fact import Fact

MOST_BYTES: Final = 64 * 1024 * 1024
"""The facts of one step take at most so many bytes once they are unpacked."""


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


class Settled(_Record, frozen=True, kw_only=True, tag="settled"):
    """The merge or unmerge with this number is carried out, or cannot be: `refused` says why."""

    op: int
    refused: str = ""


IdentityRecord = Merge | Unmerge | Alias | Settled

_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[IdentityRecord]] = msgspec.json.Decoder(IdentityRecord)


def encode_identity_record(record: IdentityRecord) -> bytes:
    """Return the bytes of a record of `identities`."""
    return _encoder.encode(record)


def decode_identity_record(value: bytes) -> IdentityRecord:
    """Decode a record of `identities`. Raises msgspec.DecodeError."""
    return _decoder.decode(value)


StepKind = Literal["close", "open", "join", "part", "restore", "reset"]


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record of `signals` that carries out a part of a merge or unmerge with the number `op` on `account`.

    - `close`: the account ends, because it is merged into `other`. Facts that come later wait.
    - `join`: the facts of `other` become facts of the account.
    - `open`: facts that waited, and those that come, go to the account that this one was merged into.
    - `part`: facts of `other` count no more from here on. The account's own that come later are noted.
    - `restore`: the account is one of its own again. Facts that come wait.
    - `reset`: these facts, and those that were noted or waited, are all that is known of the account.

    `facts` are packed; `more` says that a step with the rest of them follows.
    """

    step: StepKind
    op: int
    account: Annotated[str, msgspec.Meta(max_length=253)]
    other: str = ""
    facts: str = ""
    more: bool = False


_step_decoder: Final = msgspec.json.Decoder(Step)
_fact_list: Final = msgspec.json.Decoder(list[Fact])


def encode_step(step: Step) -> bytes:
    """Return the value of a step."""
    return _encoder.encode(step)


def decode_step(value: bytes) -> Step:
    """Decode a step. Raises msgspec.DecodeError."""
    return _step_decoder.decode(value)


def pack_facts(facts: Iterable[Fact]) -> str:
    """Return facts as the text that a step carries."""
    return base64.b64encode(zlib.compress(_encoder.encode(list(facts)))).decode()


def unpack_facts(text: str) -> Sequence[Fact]:
    """Return the facts that a step carries. Raises msgspec.DecodeError."""
    if not text:
        return ()
    unpacker = zlib.decompressobj()
    try:
        value = unpacker.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
    except (ValueError, zlib.error) as error:
        raise msgspec.DecodeError(f"the facts of a step cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise msgspec.DecodeError(f"the facts of a step take more than {MOST_BYTES:,} bytes")
    return _fact_list.decode(value)
