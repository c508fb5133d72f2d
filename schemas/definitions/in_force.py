"""What a partition of the router knows of the version in force, and of silent sources."""

from __future__ import annotations

from typing import Final

import msgspec

from resegment.schemas.routing import DefinitionSwitched
from resegment.schemas.sources.silence import Silence, SourceBack, SourceSilent, hear


class InForce(msgspec.Struct, frozen=True):
    """What a partition of the router knows of the version in force; None before the first switch.

    `cursor` says up to where the accounts that the switch concerns were looked at, None once all were. `silent` are the
    silent sources; `held_cursor` says up to where accounts were looked at that may be held for one that is back.
    """

    switched: DefinitionSwitched | None = None
    cursor: int | None = None
    silent: dict[str, Silence] = {}
    held_cursor: int | None = None

    @property
    def number(self) -> int:
        """Return the number of the version; 0 is the first."""
        return 0 if self.switched is None else self.switched.version


def hear_of_source(in_force: InForce, event: SourceSilent | SourceBack) -> InForce:
    """Return what a partition knows after an event about a source. Once one is back, held accounts are looked at."""
    silent = dict(hear(in_force.silent, event))
    looks = isinstance(event, SourceBack) and silent != in_force.silent
    cursor = 0 if looks else in_force.held_cursor
    return msgspec.structs.replace(in_force, silent=silent, held_cursor=cursor)


_in_force_decoder: Final = msgspec.json.Decoder(InForce)


def encode_in_force(in_force: InForce) -> str:
    """Return the text that the position of a partition keeps."""
    return msgspec.json.encode(in_force).decode() if in_force != InForce() else ""


def decode_in_force(text: str) -> InForce:
    """Decode what the position of a partition keeps; "" before the first switch. Raises msgspec.DecodeError."""
    return _in_force_decoder.decode(text) if text else InForce()
