"""The records of the topic `definitions`.

The order of the one partition of `definitions` is the truth: of two versions with one number the first counts, and of
`stands` and `void` for one apply too.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from resegment.schemas.logs.decoding import decode_value

Role = Literal["segments", "list"]
Kind = Literal["switch", "shadow"]
Route = Literal["none", "new-only", "all"] | tuple[str, ...]
"""Who is enrolled of those that a definition moves: nobody, who is new to the workflow, all, or these segments only."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    pass


class Chunk(_Record, frozen=True, kw_only=True, tag="chunk"):
    """A piece of a file, compressed and in base64, by the hash of its compressed bytes."""

    hash: str
    data: str


class VersionFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a version: the hashes of its pieces, in order."""

    name: str
    role: Role
    hashes: tuple[str, ...]


class Version(_Record, frozen=True, kw_only=True, tag="version"):
    """An immutable version. `digest` covers everything, `fingerprint` what the segmenter uses; `at` in ms.

    `base` is the version that was in force when this one was written, 0 for the first.
    """

    number: int
    fingerprint: str
    digest: str
    files: tuple[VersionFile, ...]
    at: int
    author: str = ""
    message: str = ""
    base: int = 0


class Prepare(_Record, frozen=True, kw_only=True, tag="prepare"):
    """The claim of an apply: until it is void or applied, no other may begin. `at` in ms, by the wall."""

    apply: str
    version: int
    base: int
    at: int
    kind: Kind = "switch"
    plan: str | None = None


class Apply(_Record, frozen=True, kw_only=True, tag="apply"):
    """The wish to switch from `base` to `version` at the instant `at` (ms).

    `judges` says that accounts are judged again, `gates_only` that only for gates, `folds_in` that the version reads
    facts that were folded in from the log. `moved` has new names of segments with the old ones. `plan` is the hash of the plan that is carried out.
    """

    id: str
    version: int
    base: int
    at: int
    judges: bool = True
    gates_only: bool = False
    folds_in: bool = False
    moved: dict[str, str] = {}
    route: Route = "none"
    rollback_of: int | None = None
    kind: Kind = "switch"
    plan: str | None = None
    author: str = ""
    message: str = ""

    @property
    def works_off(self) -> bool:
        """Whether every account has to be switched, even if nothing touches it."""
        return self.judges or self.folds_in


class Prepared(_Record, frozen=True, kw_only=True, tag="prepared"):
    """A partition can carry out the apply: it keeps all that the version reads."""

    apply: str
    partition: int


class Refused(_Record, frozen=True, kw_only=True, tag="refused"):
    """A partition's worker cannot carry out the apply."""

    apply: str
    partition: int
    reason: str


class Stands(_Record, frozen=True, kw_only=True, tag="stands"):
    """Every partition got the mark in time: the switch happens."""

    apply: str


class Void(_Record, frozen=True, kw_only=True, tag="void"):
    """The switch does not happen."""

    apply: str
    reason: str


class Foreign(_Record, frozen=True, kw_only=True, tag="foreign"):
    """A partition read marks of an apply that was not claimed before this record: they count for nothing."""

    apply: str


class Applied(_Record, frozen=True, kw_only=True, tag="applied"):
    """Every partition has worked off the switch."""

    apply: str


class Discarded(_Record, frozen=True, kw_only=True, tag="discarded"):
    """The shadow of this apply is gone, since `at` (ms); 0 where an earlier release wrote it."""

    apply: str
    at: int = 0


DefinitionRecord = (
    Chunk | Version | Prepare | Apply | Prepared | Refused | Stands | Void | Foreign | Applied | Discarded
)

_decoder: Final[msgspec.json.Decoder[DefinitionRecord]] = msgspec.json.Decoder(DefinitionRecord)
_encoder: Final = msgspec.json.Encoder()


def encode_definition_record(record: DefinitionRecord) -> bytes:
    """Return the bytes of a record of `definitions`."""
    return _encoder.encode(record)


def decode_definition_record(value: bytes) -> DefinitionRecord:
    """Decode a record of `definitions`. Raises msgspec.DecodeError."""
    return decode_value(_decoder, value)
