"""The steps of a merge, an unmerge or a forget, as they are written in `signals`."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from resegment.schemas.fact import Fact, check_depth
from resegment.schemas.logs.decoding import decode_value

MOST_BYTES: Final = 64 * 1024 * 1024
"""The facts of one step take at most so many bytes once they are unpacked."""

_encoder: Final = msgspec.json.Encoder()

StepKind = Literal["close", "open", "join", "part", "restore", "reset", "forget", "lift", "hold", "renew"]


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record of `signals` that carries out a part of the operation with the number `op` on `account`.

    - `close`: the account ends, because it is merged into `other`. Facts that come later wait.
    - `join`: the facts of `other` become facts of the account.
    - `open`: facts that waited, and those that come, go to the account that this one was merged into.
    - `part`: facts of `other` count no more from here on. The account's own that come later are noted.
    - `restore`: the account is one of its own again. Facts that come wait.
    - `reset`: these facts, and those that were noted or waited, are all that is known of the account.
    - `forget`: the account ends, and nothing that is or will be known of it counts.
    - `lift`: facts that come from here on count again.
    - `hold`: the facts of a person are about to be taken out of the account. Its facts wait.
    - `renew`: these facts, and those that waited, are all that is known of the account, and it keeps its membership:
      `segment`, since when (`entered`), and when it `left` others.

    `lift` and `renew` say how often the account had changed before (`sequence`): a replay does not see all of that.

    `facts` are packed; `more` says that a step with the rest of them follows.
    """

    step: StepKind
    op: int
    account: Annotated[str, msgspec.Meta(max_length=253)]
    other: str = ""
    facts: str = ""
    more: bool = False
    segment: str | None = None
    entered: int = 0
    left: dict[str, int] = {}
    sequence: int = 0


_step_decoder: Final = msgspec.json.Decoder(Step)
_fact_list: Final = msgspec.json.Decoder(list[Fact])


def encode_step(step: Step) -> bytes:
    """Return the value of a step."""
    return _encoder.encode(step)


def decode_step(value: bytes) -> Step:
    """Decode a step. Raises msgspec.DecodeError."""
    return decode_value(_step_decoder, value)


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
    try:
        facts = decode_value(_fact_list, value)
        for fact in facts:
            check_depth(fact)
    except msgspec.DecodeError as error:
        raise msgspec.DecodeError(f"the facts of a step cannot be read: {error}") from error
    return facts
