"""Read traits: named values computed from what is known about an account."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.language.conditions import (
    FACT_TIME,
    Aggregate,
    Condition,
    Decay,
    Growth,
    OpenThings,
    Ratio,
    Score,
    Term,
    Trait,
    is_instant,
)
from resegment.segmentation.language.fields import field_types
from resegment.segmentation.language.limits import WORDS
from resegment.segmentation.language.operators import type_of
from resegment.segmentation.language.parsing.checks_parser import INSTANT
from resegment.segmentation.language.parsing.facts_parser import FactsParser

AGGREGATIONS: Final = ("count", "sum", "distinct", "min", "max", "avg", "latest", "earliest")
FUNCTIONS: Final = (*AGGREGATIONS, "decay", "ratio", "growth", "open", "score")
MAX_POINTS: Final = 10**15

ReadCondition = Callable[[Any, Path], Condition | None]


class TraitParser:
    """Reads the traits of one file. The conditions of scores are read by `read_condition`."""

    def __init__(self, problems: Problems, facts: FactsParser, read_condition: ReadCondition) -> None:
        self.problems, self.facts, self._read_condition = problems, facts, read_condition

    def read(self, name: str, raw: Any, path: Path) -> Trait | None:
        """Return the trait, or None where it has errors (then collected)."""
        if not isinstance(raw, dict):
            self.problems.error("wrong-type", "a trait is a map like {count: hiring, within: 60d}", path)
            return None
        kinds = [key for key in FUNCTIONS if key in raw]
        if len(kinds) != 1:
            self.problems.error(
                "wrong-shape",
                f"the trait {name!r} needs exactly one function",
                path,
                f"use one of {', '.join(FUNCTIONS)}",
            )
            return None
        function = kinds[0]
        match function:
            case "decay":
                return self._read_decay(raw, path)
            case "ratio":
                return self._read_ratio(raw, path)
            case "growth":
                return self._read_growth(raw, path)
            case "open":
                return self._read_open(raw, path)
            case "score":
                return self._read_score(raw, path)
            case _:
                return self._read_aggregate(function, raw, path)

    def _read_open(self, raw: dict[str, Any], path: Path) -> OpenThings | None:
        fine = self.facts.allow(raw, ("open", "by", "where"), path)
        things = self.facts.read_open(raw, path)
        return things if fine else None

    def _read_score(self, raw: dict[str, Any], path: Path) -> Score | None:
        fine = self.facts.allow(raw, ("score",), path)
        listed = raw["score"]
        here = (*path, "score")
        if not isinstance(listed, list) or not listed:
            code = "empty-group" if listed == [] else "wrong-type"
            self.problems.error(code, "score takes a list like [{when: {employees: 5}, points: 10}]", here)
            return None
        terms = [self._read_term(one, (*here, index)) for index, one in enumerate(listed)]
        good = tuple(one for one in terms if one is not None)
        return Score(good) if fine and len(good) == len(terms) else None

    def _read_term(self, raw: Any, path: Path) -> Term | None:
        if not isinstance(raw, dict):
            self.problems.error("wrong-type", "a term is a map like {when: {employees: 5}, points: 10}", path)
            return None
        fine = self.facts.allow(raw, ("when", "points"), path)
        points = raw.get("points")
        if type_of(points) != "number" or not math.isfinite(points) or abs(points) > MAX_POINTS:  # type: ignore[arg-type]  # a number
            self.problems.error("wrong-operand", "points: expected a number", (*path, "points"))
            fine = False
        if "when" not in raw:
            self.problems.error("missing-key", "a term of a score needs when", path)
            return None
        when = self._read_condition(raw["when"], (*path, "when"))
        return Term(when, points) if fine and when is not None else None  # type: ignore[arg-type]  # a number

    def _read_aggregate(self, function: str, raw: dict[str, Any], path: Path) -> Trait | None:
        needs_field = function != "count"
        allowed = (
            function,
            *(("field",) if needs_field else ()),
            "where",
            "not_followed_by",
            "within",
            "ago",
        )
        fine = self.facts.allow(raw, allowed, path)
        matcher = self.facts.read_selection(raw, path, function)
        window = self.facts.read_window(raw, path)
        field = self._read_taken(function, raw, path, matcher) if needs_field else None
        if not fine or matcher is None or window is None or (needs_field and field is None):
            return None
        if field is not None and function in ("sum", "min", "max", "avg"):
            kind = self.facts.field_type(matcher.kind, field)
            if kind not in ("number", "any"):
                self.problems.error(
                    "never-matches", f"{function} needs numbers, and {field} is {kind}", (*path, "field")
                )
                return None
        return Aggregate(function, matcher, window, field)  # type: ignore[arg-type]  # one of AGGREGATIONS

    def _read_decay(self, raw: dict[str, Any], path: Path) -> Trait | None:
        fine = self.facts.allow(
            raw, ("decay", "field", "half_life", "where", "not_followed_by", "within", "ago"), path
        )
        matcher = self.facts.read_selection(raw, path, "decay")
        window = self.facts.read_window(raw, path)
        half_life = self.facts.read_duration(
            raw.get("half_life"), (*path, "half_life"), "a decay needs half_life"
        )
        field = self.facts.read_field(raw, path, matcher, required=False)
        if (
            not fine
            or matcher is None
            or window is None
            or half_life is None
            or ("field" in raw and field is None)
        ):
            return None
        return Decay(matcher, window, half_life, field)

    def _read_taken(self, function: str, raw: dict[str, Any], path: Path, matcher: Any) -> str | None:
        if raw.get("field") == FACT_TIME and function in ("latest", "earliest"):
            return FACT_TIME
        return self.facts.read_field(raw, path, matcher, required=True)

    def _read_ratio(self, raw: dict[str, Any], path: Path) -> Trait | None:
        fine = self.facts.allow(raw, ("ratio",), path)
        pair = raw["ratio"]
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            self.problems.error(
                "wrong-type", "ratio takes two names like [revenue_usd, employees]", (*path, "ratio")
            )
            return None
        for word in WORDS.intersection(pair):
            self.problems.error("reserved-name", f"{word!r} is a reserved word", (*path, "ratio"))
            fine = False
        return Ratio(*pair) if fine else None

    def _read_growth(self, raw: dict[str, Any], path: Path) -> Trait | None:
        fine = self.facts.allow(raw, ("growth", "over"), path)
        over = self.facts.read_duration(raw.get("over"), (*path, "over"), "growth needs over")
        attribute = raw["growth"]
        if not isinstance(attribute, str) or not attribute:
            self.problems.error("wrong-type", "growth takes the name of an attribute", (*path, "growth"))
            return None
        if attribute in WORDS:
            self.problems.error("reserved-name", f"{attribute!r} is a reserved word", (*path, "growth"))
            return None
        if self.facts.field_type("firmographic", attribute) not in ("number", "any"):
            self.problems.error(
                "never-matches", f"{attribute} is not a number, so it has no growth", (*path, "growth")
            )
            return None
        return Growth(attribute, over) if fine and over is not None else None


def trait_type(trait: Trait, types: Mapping[str, str] | None = None) -> str:
    """Return what the value of a trait is: `number`, or the type of the field that it takes.

    `types` are those of the file's own attributes.
    """
    if is_instant(trait):
        return INSTANT
    if isinstance(trait, Aggregate) and trait.function in ("latest", "earliest"):
        field = trait.field or ""
        if trait.matcher.kind == "firmographic" and types and field in types:
            return types[field]
        return field_types(trait.matcher.kind).get(field, "any")
    return "number"
