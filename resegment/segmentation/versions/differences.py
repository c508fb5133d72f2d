"""Tell what differs between two definitions, by meaning: how a file is written does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resegment.schemas.times import format_duration
from resegment.segmentation.definition import Definition, Segment
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.language.conditions import tell_whole
from resegment.segmentation.versions.era import effective_moves
from resegment.segmentation.versions.meaning import Meanings, Number, Reader
from resegment.segmentation.versions.needs import find_needs

What = Literal[
    "unchanged",
    "added",
    "removed",
    "renamed",
    "reordered",
    "condition-changed",
    "hold-changed",
    "drafted",
    "activated",
    "play-changed",
    "route-changed",
    "holdout-changed",
    "reworded",
]


@dataclass(frozen=True, slots=True)
class SegmentDifference:
    """What differs in one segment. `before` and `after` are its rule in words."""

    name: str
    old_name: str | None
    what: tuple[What, ...]
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class PartDifference:
    """What differs in another part of the file, like `plays`. `before` and `after` are None where there is none."""

    part: str
    name: str
    what: Literal["added", "removed", "changed"]
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between two versions.

    `judges` says whether accounts must be judged again: their segments, or only their gates. Where it is false, both
    versions decide the same about every account. `needs_facts` names what the new version reads and the state of the old
    one lacks.
    """

    segments: tuple[SegmentDifference, ...]
    parts: tuple[PartDifference, ...]
    segments_judged: bool
    gates: bool
    needs_facts: tuple[str, ...]

    @property
    def judges(self) -> bool:
        return self.segments_judged or self.gates

    @property
    def gates_only(self) -> bool:
        """Whether accounts are judged for their gates alone, and no segment changes."""
        return self.gates and not self.segments_judged

    @property
    def is_empty(self) -> bool:
        return not self.parts and all(one.what == ("unchanged",) for one in self.segments)

    @property
    def texts_only(self) -> bool:
        """Whether something differs, and no account is judged for it."""
        return not self.is_empty and not self.judges


def compare(old: Definition, new: Definition, moved: Mapping[str, str] | None = None) -> Differences:
    """Return what differs. `moved` are the new names, each with the old one; by default, those of the new definition."""
    meanings = Meanings()
    moves = effective_moves(old, new.moved if moved is None else moved)
    comparison = _Comparison(old, new, Reader(old, meanings), Reader(new, meanings), moves)
    before, after = comparison.decisions()
    return Differences(
        segments=tuple(comparison.segments()),
        parts=tuple(comparison.parts()),
        segments_judged=bool(moves) or before != after,
        gates=comparison.gates(old, comparison.old_reader) != comparison.gates(new, comparison.new_reader),
        needs_facts=find_needs(Program(old), Program(new)),
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    old: Definition
    new: Definition
    old_reader: Reader
    new_reader: Reader
    moves: Mapping[str, str]
    """Old names to new ones."""

    # What decides an account's segment and gates

    def decisions(self) -> tuple[Any, Any]:
        """Return what decides the segment of an account, by each of the two."""
        return self._decision(self.old, self.old_reader), self._decision(self.new, self.new_reader)

    def _decision(self, definition: Definition, reader: Reader) -> Any:
        judged = [
            (one.name, reader.condition(one.when), _hold(one, reader))
            for one in definition.segments
            if not one.draft
        ]
        return judged, _sameness(definition)

    def gates(self, definition: Definition, reader: Reader) -> Any:
        """Return what decides the gates and the restrictions of an account."""
        gates = {gate.name: reader.condition(gate.condition) for gate in definition.gates}
        return gates, definition.cooldown_after_lost, bool(definition.family), _sameness(definition)

    # Segment by segment

    def segments(self) -> Iterator[SegmentDifference]:
        before = {one.name: one for one in self.old.segments}
        came_from = {new: old for old, new in self.moves.items()}
        pairs: list[tuple[Segment, Segment | None]] = []
        for segment in self.new.segments:
            stays = segment.name in before and segment.name not in self.moves
            old_name = segment.name if stays else came_from.get(segment.name)
            pairs.append((segment, None if old_name is None else before[old_name]))
        kept = [old.name for _, old in pairs if old is not None]
        moved = _out_of_order(kept, [one.name for one in self.old.segments if one.name in set(kept)])
        for segment, old in pairs:
            yield self._segment(segment, old, reordered=old is not None and old.name in moved)
        for old in self.old.segments:
            if old.name not in kept:
                yield SegmentDifference(old.name, old.name, ("removed",), _rule(old), None)

    def _segment(self, new: Segment, old: Segment | None, *, reordered: bool) -> SegmentDifference:
        if old is None:
            return SegmentDifference(new.name, None, ("added",), None, _rule(new))
        found: list[What] = []
        if old.name != new.name:
            found.append("renamed")
        if reordered:
            found.append("reordered")
        if self.old_reader.condition(old.when) != self.new_reader.condition(new.when):
            found.append("condition-changed")
        if _hold(old, self.old_reader) != _hold(new, self.new_reader):
            found.append("hold-changed")
        if old.draft != new.draft:
            found.append("drafted" if new.draft else "activated")
        found += [what for what, read in _SETTINGS if read(old) != read(new)]
        if _texts(self.old, old) != _texts(self.new, new):
            found.append("reworded")
        return SegmentDifference(new.name, old.name, tuple(found) or ("unchanged",), _rule(old), _rule(new))

    # The rest of the file

    def parts(self) -> Iterator[PartDifference]:
        old, new = self.old, self.new
        for part in ("plays", "personas", "teams", "qualifications", "experiments"):
            yield from _diff(part, getattr(old, part), getattr(new, part))
        yield from _diff("traits", self._traits(old, self.old_reader), self._traits(new, self.new_reader))
        yield from _diff("attributes", old.types, new.types)
        yield from _diff("suppression", self._suppressions(old, self.old_reader),
                         self._suppressions(new, self.new_reader))  # fmt: skip
        yield from _diff("tests", {one.name: one for one in old.tests}, {one.name: one for one in new.tests})
        settings = (
            "retain",
            "cooldown_after_lost",
            "limits",
            "family",
            "dropped",
            "personal",
            "same",
            "sources",
        )
        yield from _diff(
            "file",
            {name: getattr(old, name) for name in settings},
            {name: getattr(new, name) for name in settings},
        )

    def _traits(self, definition: Definition, reader: Reader) -> dict[str, Number]:
        return {name: reader.trait(name) for name in definition.traits}

    def _suppressions(self, definition: Definition, reader: Reader) -> dict[str, Any]:
        """Return each suppression with its place, because the first that holds is the reason reported."""
        conditions = {gate.name: reader.condition(gate.condition) for gate in definition.gates}
        found: dict[str, Any] = {}
        for place, one in enumerate(definition.suppression):
            name = one if isinstance(one, str) else one.name
            found[name] = (
                place,
                conditions.get(f"suppress:{name}"),
                None if isinstance(one, str) else one.file,
            )
        return found


def _sameness(definition: Definition) -> Any:
    """Return what decides which facts are one; the order of trust matters only where facts are compared."""
    same = definition.same
    return (frozenset(same.rules), same.trust) if same else None


def _hold(segment: Segment, reader: Reader) -> Any:
    hold = segment.hold
    return hold.min_dwell, hold.cooldown, reader.condition(hold.exit_when)


_SETTINGS: tuple[tuple[What, Callable[[Segment], Any]], ...] = (
    ("play-changed", lambda one: one.play),
    ("route-changed", lambda one: one.route),
    ("holdout-changed", lambda one: one.holdout),
)


def _texts(definition: Definition, segment: Segment) -> Any:
    raw: Any = definition.document.data
    for step in segment.path:
        raw = raw[step]
    return segment.layer, segment.hypothesis, raw.get("description"), segment.tags, segment.target


def _rule(segment: Segment) -> str:
    """Return the rule of a segment in words."""
    words = "all others" if segment.when is None else tell_whole(segment.when)
    hold = segment.hold
    if segment.draft:
        words = f"draft: {words}"
    return words + "".join(
        f"; {name} {told}"
        for name, told in (
            ("min_dwell", _duration(hold.min_dwell)),
            ("cooldown", _duration(hold.cooldown)),
            ("exit_when", hold.exit_when and tell_whole(hold.exit_when)),
        )
        if told
    )


def _duration(length: int) -> str | None:
    return format_duration(length) if length else None


def _diff(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[PartDifference]:
    for name, value in new.items():
        if name not in old:
            yield PartDifference(part, name, "added")
        elif old[name] != value:
            yield PartDifference(part, name, "changed")
    for name in old:
        if name not in new:
            yield PartDifference(part, name, "removed")


def _out_of_order(new: list[str], old: list[str]) -> set[str]:
    """Return which names have to move so that the old order becomes the new one: as few as possible."""
    place = {name: number for number, name in enumerate(old)}
    best: list[list[str]] = []
    """For each length, the rising sequence of that length that ends lowest."""
    for name in new:
        length = next((n for n, one in enumerate(best) if place[one[-1]] >= place[name]), len(best))
        best[length : length + 1] = [[*(best[length - 1] if length else ()), name]]
    return set(new) - set(best[-1] if best else ())
