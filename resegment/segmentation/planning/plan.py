"""What a plan says, as frozen values; instants in RFC 3339."""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

import msgspec

from resegment.schemas.contracts.structs import struct_schema

Changes = Literal["nothing", "texts", "gates", "segments"]
"""What has to be decided again: nothing at all, nothing (only texts differ), gates, or gates and segments."""


class VersionName(msgspec.Struct, frozen=True, kw_only=True):
    """A version: its number, None before it has one, and the fingerprint of its content."""

    number: int | None
    fingerprint: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How one part of the file differs, by meaning.

    `words` are its changes, one each; `before` and `after` are the whole rules, None where there is none.
    """

    part: str
    name: str
    what: tuple[str, ...]
    words: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None
    old_name: str | None = None


class SegmentSize(msgspec.Struct, frozen=True, kw_only=True):
    """How many accounts a segment has right before the switch, under its old name if it gets another, and right after."""

    name: str
    before: int
    after: int
    old_name: str | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One account of a flow: why it is where it is by the version in force, and by the new one."""

    account: str
    before: str
    after: str


class PlannedFlow(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """How many accounts the switch moves from one segment to another. `renamed`: only the name of their segment changes."""

    from_: str
    to: str
    accounts: int
    renamed: bool = False
    samples: tuple[Sample, ...] = ()


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """How many accounts qualify for two segments of the new version. The first comes first."""

    segment: str
    also: str
    accounts: int


class ShadowedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that accounts qualify for and none is in: `taken_by` says where they are instead."""

    segment: str
    qualify: int
    taken_by: dict[str, int]


class UnjudgedTest(msgspec.Struct, frozen=True, kw_only=True):
    """A test of a segment that can't tell for some accounts, because a value is unknown."""

    segment: str
    test: str
    accounts: int


class GateSize(msgspec.Struct, frozen=True, kw_only=True):
    """For how many accounts a suppression or territory holds, before and after."""

    name: str
    before: int
    after: int


class EnrollmentForecast(msgspec.Struct, frozen=True, kw_only=True):
    """The commands that follow the switch under one `--route`, by workflow, and why others are not enrolled."""

    route: str
    enroll: dict[str, int] = {}
    stop: dict[str, int] = {}
    finish: dict[str, int] = {}
    pause: dict[str, int] = {}
    held_back: dict[str, int] = {}


class Folding(msgspec.Struct, frozen=True, kw_only=True):
    """Facts that the new version reads and the state doesn't keep: they are folded in from the log before the switch."""

    needs: tuple[str, ...]
    records: int | None = None
    seconds: float | None = None


class DueMoves(msgspec.Struct, frozen=True, kw_only=True):
    """How many accounts change their segment by time alone within that time, if nothing is switched."""

    within: str
    accounts: int


class PartitionInstant(msgspec.Struct, frozen=True, kw_only=True):
    """Up to where the plan knows a partition: the offset of the next record of `signals`, and its clock (ms).

    `digest` is of the segment of each account before and after the switch. `latest` are the accounts that learned of facts
    right at that clock, with how many these are: a later fact may come at the same instant.
    """

    number: int
    offset: int
    clock: int
    digest: str
    latest: dict[str, int] = {}


class Move(msgspec.Struct, frozen=True, rename={"from_": "from"}, order=True):
    """One account that the switch moves."""

    account: str
    from_: str
    to: str


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A number to expect, and between what it is likely to lie."""

    expected: float
    low: float
    high: float


class ExpectedOutcome(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """How many accounts of a flow would come to an outcome at the rates of both segments, if each is touched once.

    The rates are those of past touches: they say what the segments' accounts came to, not what the move causes. None where
    a segment has no touches.
    """

    from_: str
    to: str
    metric: str
    accounts: int
    before: Span | None = None
    after: Span | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a switch would do at `at`. `hash` names it: what is approved is what is applied.

    `base` is the version in force, `target` the new one, or the one that a rollback goes back to. `judged` counts the accounts that have to be judged again,
    `moved` those that come into another segment, `renamed` those whose segment only gets another name. Where nothing
    is judged, the counts of accounts are those of the prefix.
    """

    hash: str
    at: str
    base: VersionName
    target: VersionName
    changes: Changes
    rollback_of: int | None = None
    route: str | tuple[str, ...] = "none"
    differences: tuple[Difference, ...] = ()
    accounts: int = 0
    judged: int = 0
    moved: int = 0
    renamed: int = 0
    sizes: tuple[SegmentSize, ...] = ()
    flows: tuple[PlannedFlow, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    shadowed: tuple[ShadowedSegment, ...] = ()
    unjudged: tuple[UnjudgedTest, ...] = ()
    gates: tuple[GateSize, ...] = ()
    enrollments: tuple[EnrollmentForecast, ...] = ()
    folding: Folding | None = None
    due: tuple[DueMoves, ...] = ()
    warnings: tuple[str, ...] = ()
    partitions: tuple[PartitionInstant, ...] = ()
    moves: tuple[Move, ...] = ()
    expected: tuple[ExpectedOutcome, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to apply."""
        return self.changes == "nothing"


ROUTES: Final = ("none", "new-only", "all")
"""The values of `--route` that are no names of segments."""


def hash_plan(
    base: VersionName, target: str, route: str | tuple[str, ...], rollback_of: int | None, moved: int
) -> str:
    """Return the name of a plan: what it would apply to which version, and how many accounts it moves.

    The count stands in it in plain digits, so that an approval can be compared with the world of a later day.
    """
    parts = (base.number, base.fingerprint, target, route, rollback_of)
    return f"{hashlib.blake2b(msgspec.json.encode(parts), digest_size=6).hexdigest()}-{moved}"


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan."""
    return struct_schema(Plan, "A plan, as `resegment plan --json` prints it")
