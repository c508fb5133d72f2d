"""What the records of `definitions` say, in their order: versions, applies, and how each apply ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from resegment.agents.deciding.versions import Verdict
from resegment.errors import UserError
from resegment.schemas.definitions.records import (
    Applied,
    Apply,
    Chunk,
    Discarded,
    Foreign,
    Kind,
    Prepare,
    Prepared,
    Refused,
    Stands,
    Version,
    Void,
    decode_definition_record,
)
from resegment.segmentation.definition import Content, Definition
from resegment.segmentation.versions.era import ALWAYS
from resegment.streams.definitions.content import compile_content, decode_chunk, to_content


class NoSuchVersion(UserError):
    """The prefix has no version of that number."""

    def __init__(self, number: int, newest: int) -> None:
        super().__init__(
            f"there is no version {number}",
            remedy=f"`resegment history` lists them; the newest is {newest}." if newest else None,
        )
        self.number = number


@dataclass(slots=True)
class ApplyHistory:
    """One apply, from its claim to its end."""

    id: str
    version: int
    base: int
    kind: Kind = "switch"
    plan: str | None = None
    since: int = 0
    """When (ms) it was claimed."""
    apply: Apply | None = None
    """The instant and the rest, once it was written."""
    prepared: set[int] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)
    verdict: Verdict | None = None
    reason: str = ""
    """Why it is void."""
    applied: bool = False
    discarded: bool = False
    discarded_at: int = 0
    """When (ms) the shadow was discarded, 0 if that is not known."""

    @property
    def is_open(self) -> bool:
        """Return whether it is neither void nor worked off: no other may begin."""
        if self.kind == "shadow":
            return self.verdict is None
        return self.verdict != "void" and not self.applied


class Definitions:
    """The state that the records lead to. `take` each in order."""

    def __init__(self, values: Iterable[bytes | None] = ()) -> None:
        self.versions: dict[int, Version] = {}
        self.applies: dict[str, ApplyHistory] = {}
        """By id, in the order in which they were claimed."""
        self.standing: list[Apply] = []
        """The switches that happen, in the order in which that was settled."""
        self.foreign: set[str] = set()
        """Applies that were never claimed, of which a partition has read marks."""
        self.taken = 0
        """Records so far."""
        self.unreadable = 0
        """Records that are none, or that a later release wrote."""
        self._chunks: dict[str, bytes] = {}
        self._compiled: dict[int, Definition] = {}
        for value in values:
            self.take(value)

    def take(self, value: bytes | None) -> None:
        """Take the next record."""
        self.taken += 1
        try:
            record = decode_definition_record(value or b"")
        except msgspec.DecodeError:
            self.unreadable += 1
            return
        match record:
            case Chunk():
                data = decode_chunk(record)
                if data is not None:
                    self._chunks[record.hash] = data
            case Version():
                self.versions.setdefault(record.number, record)
            case Prepare():
                self._claim(record)
            case Apply():
                self._take_apply(record)
            case Foreign(apply=name) if name not in self.applies:
                self.foreign.add(name)
            case Discarded(apply=name) if name in self.applies:
                one = self.applies[name]
                if not one.discarded:
                    one.discarded, one.discarded_at = True, record.at
            case Prepared() | Refused() | Stands() | Void() | Applied() if record.apply in self.applies:
                self._settle(self.applies[record.apply], record)
            case _:
                pass  # of an apply that was never claimed

    def _claim(self, record: Prepare) -> None:
        if record.apply in self.applies or self.open is not None:
            return  # the claim that came first counts
        if record.apply in self.foreign or not self._is_whole(record.version):
            return  # its marks were passed over already, or no partition could carry it out
        self.applies[record.apply] = ApplyHistory(
            record.apply, record.version, record.base, record.kind, record.plan, record.at
        )

    def _take_apply(self, record: Apply) -> None:
        one = self.applies.get(record.id)
        if one is not None and one.apply is None and record.version == one.version:
            one.apply, one.plan = record, record.plan

    def _is_whole(self, number: int) -> bool:
        """Return whether all of a version was written."""
        version = self.versions.get(number)
        return version is not None and all(
            name in self._chunks for file in version.files for name in file.hashes
        )

    def _follows(self, apply: Apply) -> bool:
        """Return whether a switch comes after all that stand."""
        return apply.at > (self.standing[-1].at if self.standing else ALWAYS)

    def _settle(self, one: ApplyHistory, record: Prepared | Refused | Stands | Void | Applied) -> None:
        match record:
            case Prepared():
                one.prepared.add(record.partition)
                one.refused.pop(record.partition, None)
            case Refused():
                one.refused[record.partition] = record.reason
            case Stands() if one.verdict is None and one.apply is not None:
                if one.kind != "switch":
                    one.verdict = "stands"
                elif self._follows(one.apply):
                    one.verdict = "stands"
                    self.standing.append(one.apply)
            case Void() if one.verdict is None:
                one.verdict, one.reason = "void", record.reason
            case Applied():
                one.applied = True
            case _:
                pass  # a verdict after the first

    # Versions

    @property
    def newest(self) -> int:
        """Return the greatest number of a version, 0 without any."""
        return max(self.versions, default=0)

    @property
    def current(self) -> int:
        """Return the number of the version in force, or that a settled switch makes so; 0 without any."""
        return self.standing[-1].version if self.standing else min(self.versions, default=0)

    def in_force(self, at: int) -> int:
        """Return the number of the version in force at an instant (ms)."""
        found = min(self.versions, default=0)
        for one in self.standing:
            if one.at <= at:
                found = one.version
        return found

    def version(self, number: int) -> Version:
        """Return the record of a version. Raises NoSuchVersion."""
        if number not in self.versions:
            raise NoSuchVersion(number, self.newest)
        return self.versions[number]

    def content_of(self, number: int) -> Content:
        """Return the files of a version. Raises NoSuchVersion and VersionIncomplete."""
        return to_content(self.version(number), self._chunks)

    def definition_of(self, number: int) -> Definition:
        """Return a version, compiled once. Raises NoSuchVersion, VersionIncomplete and InvalidSegments."""
        if number not in self._compiled:
            self._compiled[number] = compile_content(self.content_of(number))
        return self._compiled[number]

    # Applies

    @property
    def open(self) -> ApplyHistory | None:
        """Return the apply that is under way: prepared, pending or not worked off."""
        for one in reversed(self.applies.values()):
            if one.is_open:
                return one
        return None

    @property
    def shadow(self) -> ApplyHistory | None:
        """Return the shadow that runs."""
        for one in reversed(self.applies.values()):
            if one.kind == "shadow" and one.verdict == "stands" and not one.discarded:
                return one
        return None

    def verdict(self, apply: str) -> Verdict | None:
        """Return how an apply ended, None while that is open."""
        if apply in self.foreign:
            return "void"
        one = self.applies.get(apply)
        return None if one is None else one.verdict

    def knows(self, apply: str) -> bool:
        """Return whether the apply has been claimed, or is known never to be."""
        return apply in self.applies or apply in self.foreign
