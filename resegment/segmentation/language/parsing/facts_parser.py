"""Read the parts that tests of events and traits over facts share: matchers, windows, fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.fact import KINDS
from resegment.schemas.times import NEVER, format_duration, parse_duration
from resegment.segmentation.language.attribute_types import AttributeType
from resegment.segmentation.language.conditions import Checks, Matcher, OpenThings, Window
from resegment.segmentation.language.fields import field_types
from resegment.segmentation.language.limits import MAX_DURATION
from resegment.segmentation.language.parsing.checks_parser import ChecksParser, fact_field

_BY = {"hiring": "job", "tech": "technology"}
"""What groups the facts of a kind, unless the file says otherwise."""


class FactsParser:
    """Reads what selects facts. `types` are those of the file's own attributes."""

    def __init__(self, problems: Problems, checks: ChecksParser, types: Mapping[str, AttributeType]) -> None:
        self.problems, self.checks, self.types = problems, checks, types

    def field_type(self, kind: str, field: str) -> str:
        """Return what type a field of a kind has."""
        if kind == "firmographic" and field in self.types:
            return self.types[field].kind
        return field_types(kind).get(field, "any")

    def allow(self, raw: dict[str, Any], allowed: tuple[str, ...], path: Path) -> bool:
        """Whether the map has no other keys; those that it has are errors."""
        unknown = [key for key in raw if key not in allowed]
        for key in unknown:
            known = f"use one of {', '.join(allowed)}"
            self.problems.error(
                "unknown-key", f"{key!r} can't be used here", (*path, key), known, at_key=True
            )
        return not unknown

    def read_selection(self, raw: dict[str, Any], path: Path, key: str) -> Matcher | None:
        """Return the matcher of an event test or trait: its kind under `key`, `where`, `not_followed_by`."""
        matcher = self.read_matcher(raw.get(key), raw.get("where"), path, key)
        if "not_followed_by" not in raw:
            return matcher
        unless = self._read_follower(raw["not_followed_by"], (*path, "not_followed_by"))
        if matcher is None or unless is None:
            return None
        return Matcher(matcher.kind, matcher.where, unless)

    def _read_follower(self, raw: Any, path: Path) -> Matcher | None:
        if not isinstance(raw, dict):
            self.problems.error(
                "wrong-type", "not_followed_by takes an event test like {event: outcome}", path
            )
            return None
        fine = self.allow(raw, ("event", "where"), path)
        matcher = self.read_matcher(raw.get("event"), raw.get("where"), path, "event")
        return matcher if fine else None

    def read_open(self, raw: dict[str, Any], path: Path) -> OpenThings | None:
        """Return what an `open` test or trait counts."""
        matcher = self.read_matcher(raw["open"], raw.get("where"), path, "open")
        by = raw.get("by", None if matcher is None else _BY.get(matcher.kind))
        if matcher is not None and (not isinstance(by, str) or not by):
            self.problems.error(
                "missing-key",
                f"open {matcher.kind} needs by, the field that identifies each one",
                (*path, "by"),
            )
            return None
        if matcher is None or not isinstance(by, str):
            return None
        self._check_listed(matcher.kind, by, (*path, "by") if "by" in raw else (*path, "open"))
        if self.field_type(matcher.kind, by) not in ("text", "any"):
            self.problems.error("never-matches", f"by takes a text field, and {by} is not one", (*path, "by"))
            return None
        return OpenThings(matcher.kind, by, matcher.where)

    def _check_listed(self, kind: str, field: str, path: Path) -> None:
        if kind != "firmographic" and field not in field_types(kind):
            self.problems.warn(
                "unlisted-field", f"the contract has no field {field!r} for {kind} events", path
            )

    def read_matcher(self, kind: Any, where: Any, path: Path, key: str) -> Matcher | None:
        """Return the facts of a kind that pass every test."""
        if not isinstance(kind, str) or kind not in KINDS:
            self.problems.error(
                "unknown-kind",
                "it names no kind of event" if kind is None else f"{kind!r} is not a kind of event",
                (*path, key),
                f"use one of {', '.join(KINDS)}",
            )
            return None
        if where is None:
            return Matcher(kind)
        if not isinstance(where, dict):
            self.problems.error("wrong-type", "where takes a map of tests", (*path, "where"))
            return None
        tests: list[tuple[str, Checks]] = []
        for field, raw in where.items():
            here = (*path, "where", field)
            self._check_listed(kind, field, here)
            checks = self.checks.read(raw, here, fact_field(self.field_type(kind, field)))
            if checks is not None:
                tests.append((field, checks))
        if len(tests) < len(where):
            return None
        return Matcher(kind, tuple(sorted(tests, key=lambda test: test[0])))

    def read_window(self, raw: dict[str, Any], path: Path) -> Window | None:
        """Return the window that `within` and `ago` give together."""
        opens, closes, wrong = 0, NEVER, False
        if "within" in raw:
            length = self.read_duration(raw["within"], (*path, "within"))
            closes, wrong = (length, wrong) if length is not None else (closes, True)
        if "ago" in raw:
            bounds = raw["ago"]
            here = (*path, "ago")
            if not isinstance(bounds, list) or len(bounds) != 2:
                self.problems.error("wrong-type", "ago takes two durations like [30d, 90d]", here)
                return None
            first = self.read_duration(bounds[0], (*here, 0), zero=True)
            second = self.read_duration(bounds[1], (*here, 1))
            if first is None or second is None:
                return None
            if first >= second:
                self.problems.error(
                    "empty-window",
                    "the window is empty or negative",
                    here,
                    "write the shorter duration first",
                )
                return None
            if first >= closes:
                self.problems.warn(
                    "empty-window", "within ends before ago begins, so no fact ever counts", here
                )
            opens, closes = first, max(first, min(closes, second))
        if wrong:
            return None
        return Window(opens, closes)

    def read_duration(
        self, raw: Any, path: Path, missing: str | None = None, zero: bool = False
    ) -> int | None:
        """Return a duration in ms. It is not zero, unless `zero`; `missing` says what lacks where there is none."""
        if raw is None and missing is not None:
            self.problems.error("missing-key", missing, path[:-1], "give it a duration like 90d")
            return None
        try:
            length = parse_duration(raw)
        except ValueError as error:
            self.problems.error("wrong-duration", str(error), path)
            return None
        if length > MAX_DURATION:
            self.problems.error("wrong-duration", f"{raw} is more than {format_duration(MAX_DURATION)}", path)
            return None
        if length == 0 and not zero:
            self.problems.error("empty-window", "the window has no length", path, "give it a length like 90d")
            return None
        return length

    def read_field(
        self, raw: dict[str, Any], path: Path, matcher: Matcher | None, *, required: bool
    ) -> str | None:
        """Return the field that a trait takes."""
        field = raw.get("field")
        if field is None and not required and "field" not in raw:
            return None
        if not isinstance(field, str) or not field:
            self.problems.error(
                "missing-key", "field must name a field of the event's data", (*path, "field")
            )
            return None
        if matcher is not None:
            self._check_listed(matcher.kind, field, (*path, "field"))
        return field
