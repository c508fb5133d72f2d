"""The marks in `signals` that tell a partition of an apply, and what the partition keeps of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from resegment.schemas.logs.decoding import decode_value

_encoder: Final = msgspec.json.Encoder()


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record of `signals` that tells a partition of an apply. `at` (ms) is the instant of a switch."""

    apply: Annotated[str, msgspec.Meta(max_length=64)]
    version: int
    step: Literal["prepare", "switch", "void"]
    at: int = 0


_mark_decoder: Final = msgspec.json.Decoder(Mark)


def encode_mark(mark: Mark) -> bytes:
    """Return the value of a mark."""
    return _encoder.encode(mark)


def decode_mark(value: bytes) -> Mark:
    """Decode a mark. Raises msgspec.DecodeError."""
    return decode_value(_mark_decoder, value)


class Changeover(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a partition keeps of switches, committed with its position.

    `preparing` is the prepare mark that it has read, `offset` where that mark is, and `ready` says that all before it
    is folded in. `pending` is a switch that was
    marked before its instant; `late` is the apply whose mark came too late. `version` is the version that the
    partition works by, `worked_off` the newest version that every account of it was judged by. `origin` names the
    incarnation of `signals` that the partition has read from its beginning, "" where that is not known.
    """

    preparing: Mark | None = None
    offset: int = 0
    ready: bool = False
    pending: Mark | None = None
    late: str | None = None
    version: int = 0
    worked_off: int = 0
    origin: str = ""


NO_CHANGEOVER: Final = Changeover()

_changeover_decoder: Final = msgspec.json.Decoder(Changeover)


def encode_changeover(changeover: Changeover) -> str:
    """Return the text that the partition's meta keeps; "" where there is nothing to keep."""
    return "" if changeover == NO_CHANGEOVER else _encoder.encode(changeover).decode()


def decode_changeover(text: str) -> Changeover:
    """Decode what a partition's meta keeps. Raises msgspec.DecodeError."""
    return _changeover_decoder.decode(text) if text else NO_CHANGEOVER
