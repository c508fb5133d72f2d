"""Say in words what differs between two definitions: rules and values, not lines of files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from resegment.schemas.times import format_duration
from resegment.segmentation.definition import Definition, Segment, walk
from resegment.segmentation.language.conditions import Compare, Condition, InSegment, Named
from resegment.segmentation.versions.condition_changes import tell_changes
from resegment.segmentation.versions.data_changes import tell_data_changes
from resegment.segmentation.versions.differences import Differences, PartDifference, SegmentDifference


@dataclass(frozen=True, slots=True)
class ToldDifference:
    """One part of a file that differs: `what` are the slugs of `Differences`, `words` its changes, one each."""

    part: str
    name: str
    old_name: str | None
    what: tuple[str, ...]
    words: tuple[str, ...]


def tell_differences(old: Definition, new: Definition, differences: Differences) -> list[ToldDifference]:
    """Return each segment and each other part that differs, in the order of the new file, with its changes in words."""
    teller = _Teller(old, new)
    found = [
        ToldDifference("segments", one.name, one.old_name, one.what, tuple(teller.segment(one)))
        for one in differences.segments
        if one.what != ("unchanged",)
    ]
    found += [
        ToldDifference(one.part, one.name, None, (one.what,), tuple(teller.part(one)))
        for one in differences.parts
    ]
    return found


@dataclass(frozen=True, slots=True)
class _Teller:
    old: Definition
    new: Definition

    def segment(self, one: SegmentDifference) -> Iterator[str]:
        if "added" in one.what or "removed" in one.what:
            yield (one.after if "added" in one.what else one.before) or ""
            return
        before, after = self.old.segment(one.old_name or one.name), self.new.segment(one.name)
        if "renamed" in one.what:
            yield f"renamed from {before.name}"
        if "reordered" in one.what:
            places = [self.old.segments.index(before) + 1, self.new.segments.index(after) + 1]
            yield f"priority {places[0]} → {places[1]}"
        if "condition-changed" in one.what:
            yield from self._condition(before.when, after.when, one)
        if "hold-changed" in one.what:
            yield from self._hold(before, after)
        if before.draft != after.draft:
            yield "now a draft" if after.draft else "no longer a draft"
        keys = ("play", "route", "holdout", "layer", "hypothesis", "description", "tags", "target")
        old, new = _raw(self.old, before), _raw(self.new, after)
        yield from tell_data_changes(
            {key: old[key] for key in keys if key in old}, {key: new[key] for key in keys if key in new}
        )

    def _condition(
        self, before: Condition | None, after: Condition | None, one: SegmentDifference
    ) -> Iterator[str]:
        told = [*tell_changes(before, after), *self._references(before, after, set())]
        yield from told or [f"{one.before} → {one.after}"]

    def _hold(self, before: Segment, after: Segment) -> Iterator[str]:
        old, new = before.hold, after.hold
        for name in ("min_dwell", "cooldown"):
            times = [getattr(old, name), getattr(new, name)]
            if times[0] != times[1]:
                shown = [format_duration(time) if time else "none" for time in times]
                yield f"hold.{name} {shown[0]} → {shown[1]}"
        for told in tell_changes(old.exit_when, new.exit_when):
            yield f"hold.exit_when: {told}"

    def _references(self, before: Condition | None, after: Condition | None, seen: set[str]) -> Iterator[str]:
        """Yield the changes of what both conditions refer to by name."""
        parts = set(walk(before))
        for part in walk(after):
            if part not in parts or str(part) in seen:
                continue
            seen.add(str(part))
            match part:
                case Named(name):
                    yield from self._named(name, seen)
                case InSegment(name):
                    old, new = (_when(one, name) for one in (self.old, self.new))
                    for told in tell_changes(old, new):
                        yield f"segment {name}: {told}"
                    yield from self._references(old, new, seen)
                case Compare(name) if name in self.new.traits and name in self.old.traits:
                    for told in self._data("traits", name):
                        yield f"trait {name}: {told}"
                case _:
                    pass

    def _named(self, name: str, seen: set[str]) -> Iterator[str]:
        before, after = self.old.conditions[name], self.new.conditions[name]
        for told in tell_changes(before, after):
            yield f"condition {name}: {told}"
        yield from self._references(before, after, seen)

    def part(self, one: PartDifference) -> Iterator[str]:
        if one.what == "changed":
            yield from self._data(one.part, one.name)
        if one.part == "experiments":
            yield from self._experiment(one)

    def _experiment(self, one: PartDifference) -> Iterator[str]:
        """Yield what becomes of the touches that an experiment has."""
        if one.what == "removed":
            yield "stopped: it has a result only if it was over"
        elif one.what == "changed":
            old, new = self.old.experiments[one.name], self.new.experiments[one.name]
            if old.draw_terms != new.draw_terms:
                yield "another draw: its touches so far no longer count, so give it a new name"
            elif old.reading_terms != new.reading_terms:
                yield "it is read in another way than was declared when it began"

    def _data(self, part: str, name: str) -> list[str]:
        found = [_find(one.document.data, part, name) for one in (self.old, self.new)]
        return list(tell_data_changes(*found))


def _raw(definition: Definition, segment: Segment) -> dict[str, Any]:
    """Return a segment as the file has it."""
    data: Any = definition.document.data
    for step in segment.path:
        data = data[step]
    return dict(data)


def _when(definition: Definition, name: str) -> Condition | None:
    return definition.segment(name).when if any(one.name == name for one in definition.segments) else None


def _find(data: dict[str, Any], part: str, name: str) -> Any:
    """Return the part of a file as it is written; None where it is not."""
    if part == "file":
        privacy = data.get("privacy") or {}
        own = {"family": None, "dropped": privacy.get("drop"), "personal": privacy.get("personal")}
        return own.get(name, data.get(name))
    listed = data.get(part)
    if isinstance(listed, list):
        return next((one for one in listed if isinstance(one, dict) and one.get("name") == name), None)
    return (listed or {}).get(name)
