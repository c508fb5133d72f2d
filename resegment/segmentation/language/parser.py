"""From the file's plain data to conditions and traits; every error is collected with its path."""

from __future__ import annotations

import math
from typing import Any, Final

import re2

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.fact import KINDS
from resegment.schemas.times import NEVER, format_duration, parse_duration
from resegment.segmentation.language.conditions import (
    Aggregate,
    AtLeastOne,
    Check,
    Checks,
    Compare,
    Condition,
    Decay,
    Every,
    Growth,
    InSegment,
    Matcher,
    Not,
    Occurs,
    Ratio,
    Sequence,
    Some,
    Trait,
    Window,
)
from resegment.segmentation.language.fields import attribute_types, field_types
from resegment.segmentation.language.operators import (
    EQUALITIES,
    ON_COLLECTIONS,
    ON_TEXT,
    OPERATORS,
    ORDERINGS,
    compile_regex,
    type_of,
)

WORDS: Final = frozenset(
    {"all", "any", "not", "event", "sequence", "segment", "where", "within", "ago", "count", "gap"}
)
"""Words of the language: neither an attribute nor a trait is tested by such a name."""

MAX_DEPTH: Final = 24
MAX_CONDITIONS: Final = 5_000
MAX_LIST: Final = 5_000
MAX_PATTERN: Final = 1_000
MAX_DURATION: Final = 365_000 * 86_400_000
"""In ms: a thousand years, so that every deadline is an instant of the calendar."""

_AGGREGATIONS: Final = ("count", "sum", "distinct", "min", "max", "avg", "latest", "earliest")
_DECAY_OPERATORS: Final = frozenset({"gt", "gte", "lt", "lte", "between", "exists"})


class Grammar:
    """Reads conditions and traits of one file. `trait_types` maps a trait to what its value is."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.trait_types: dict[str, str] = {}
        self.decays: set[str] = set()
        self._left = MAX_CONDITIONS

    # Conditions

    def read_condition(self, raw: Any, path: Path, depth: int = 0) -> Condition | None:
        """The condition, or None where it has errors (then collected)."""
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            limit = (
                f"nested deeper than {MAX_DEPTH}"
                if depth > MAX_DEPTH
                else f"more than {MAX_CONDITIONS} tests"
            )
            self.problems.error(
                "too-large", f"conditions {limit}", path, "split them into segments or traits"
            )
            return None
        if not isinstance(raw, dict):
            self.problems.error("wrong-type", "a condition is a map like {employees: {gte: 50}}", path)
            return None
        if not raw:
            self.problems.error("empty-group", "an empty condition tests nothing", path)
            return None
        parts: list[Condition | None] = []
        rest = dict(raw)
        if "event" in raw and "sequence" in raw:
            self.problems.error("wrong-shape", "one map holds an event test or a sequence, not both", path)
            return None
        if "event" in raw:
            own = {key: rest.pop(key) for key in ("event", "where", "within", "ago", "count") if key in rest}
            parts.append(self._read_occurs(own, path))
        elif "sequence" in raw:
            own = {key: rest.pop(key) for key in ("sequence", "within", "gap") if key in rest}
            parts.append(self._read_sequence(own, path))
        for key, value in rest.items():
            parts.append(self._read_part(key, value, (*path, key), depth))
        if any(part is None for part in parts):
            return None
        whole = [part for part in parts if part is not None]
        return whole[0] if len(whole) == 1 else Every(tuple(whole))

    def _read_part(self, key: str, value: Any, path: Path, depth: int) -> Condition | None:
        if key in ("all", "any"):
            return self._read_group(key, value, path, depth)
        if key == "not":
            part = self.read_condition(value, path, depth + 1)
            return None if part is None else Not(part)
        if key == "segment":
            if not isinstance(value, str):
                self.problems.error("wrong-type", "segment takes a segment's name", path)
                return None
            return InSegment(value)
        if key in WORDS:
            self.problems.error(
                "wrong-shape", f"{key!r} belongs to an event test, a sequence or a trait", path
            )
            return None
        return self._read_compare(key, value, path)

    def _read_group(self, key: str, value: Any, path: Path, depth: int) -> Condition | None:
        if not isinstance(value, list):
            self.problems.error("wrong-type", f"{key} takes a list of conditions", path)
            return None
        if not value:
            self.problems.error("empty-group", f"an empty {key} tests nothing", path)
            return None
        parts = [self.read_condition(one, (*path, index), depth + 1) for index, one in enumerate(value)]
        whole = tuple(part for part in parts if part is not None)
        if len(whole) < len(parts):
            return None
        return Every(whole) if key == "all" else Some(whole)

    def _read_compare(self, name: str, raw: Any, path: Path) -> Condition | None:
        kind = self.trait_types.get(name) or attribute_types().get(name, "any")
        checks = self._read_checks(raw, path, kind)
        if checks is None:
            return None
        if name in self.decays:
            for check in checks:
                if check.operator not in _DECAY_OPERATORS:
                    self.problems.error(
                        "decay-operator",
                        f"{check.operator} does not apply to {name}, a decayed sum",
                        path,
                        f"use one of {', '.join(sorted(_DECAY_OPERATORS))}",
                    )
                    return None
        return Compare(name, checks)

    def _read_occurs(self, raw: dict[str, Any], path: Path) -> Condition | None:
        matcher = self._read_matcher(raw.get("event"), raw.get("where"), path, "event")
        window = self._read_window(raw, path)
        count: Checks | None = AtLeastOne
        if "count" in raw:
            count = self._read_checks(raw["count"], (*path, "count"), "number")
        if matcher is None or window is None or count is None:
            return None
        return Occurs(matcher, window, count)

    def _read_sequence(self, raw: dict[str, Any], path: Path) -> Condition | None:
        steps = raw["sequence"]
        within = self._read_duration(raw.get("within"), (*path, "within"), "a sequence needs within")
        gap = self._read_duration(raw["gap"], (*path, "gap")) if "gap" in raw else None
        if not isinstance(steps, list) or not steps:
            code = "empty-group" if steps == [] else "wrong-type"
            self.problems.error(code, "sequence takes a list of event tests", (*path, "sequence"))
            return None
        if len(steps) > 20:
            self.problems.error("too-large", "a sequence has at most 20 steps", (*path, "sequence"))
            return None
        matchers: list[Matcher] = []
        for index, step in enumerate(steps):
            here = (*path, "sequence", index)
            if not isinstance(step, dict):
                self.problems.error("wrong-type", "a step is an event test like {event: hiring}", here)
                continue
            for key in step:
                if key not in ("event", "where"):
                    self.problems.error(
                        "unknown-key", f"a step takes event and where, not {key!r}", (*here, key), at_key=True
                    )
            matcher = self._read_matcher(step.get("event"), step.get("where"), here, "event")
            if matcher is not None:
                matchers.append(matcher)
        if within is None or len(matchers) < len(steps) or ("gap" in raw and gap is None):
            return None
        return Sequence(tuple(matchers), within, gap)

    # Parts of event tests and traits

    def _read_matcher(self, kind: Any, where: Any, path: Path, key: str) -> Matcher | None:
        if not isinstance(kind, str) or kind not in KINDS:
            self.problems.error(
                "unknown-kind", f"{kind!r} is no kind of event", (*path, key), f"one of {', '.join(KINDS)}"
            )
            return None
        if where is None:
            return Matcher(kind)
        if not isinstance(where, dict):
            self.problems.error("wrong-type", "where takes a map of tests", (*path, "where"))
            return None
        types = field_types(kind)
        tests: list[tuple[str, Checks]] = []
        for field, raw in where.items():
            here = (*path, "where", field)
            if field not in types and kind != "firmographic":
                self.problems.warn(
                    "unlisted-field", f"the contract lists no field {field!r} for {kind}", here
                )
            checks = self._read_checks(raw, here, types.get(field, "any"))
            if checks is not None:
                tests.append((field, checks))
        if len(tests) < len(where):
            return None
        return Matcher(kind, tuple(sorted(tests, key=lambda test: test[0])))

    def _read_window(self, raw: dict[str, Any], path: Path) -> Window | None:
        opens, closes, wrong = 0, NEVER, False
        if "within" in raw:
            length = self._read_duration(raw["within"], (*path, "within"))
            closes, wrong = (length, wrong) if length is not None else (closes, True)
        if "ago" in raw:
            bounds = raw["ago"]
            here = (*path, "ago")
            if not isinstance(bounds, list) or len(bounds) != 2:
                self.problems.error("wrong-type", "ago takes two durations like [30d, 90d]", here)
                return None
            first = self._read_duration(bounds[0], (*here, 0), zero=True)
            second = self._read_duration(bounds[1], (*here, 1))
            if first is None or second is None:
                return None
            if first >= second:
                self.problems.error(
                    "empty-window",
                    "the window is empty or negative",
                    here,
                    "the first duration is the shorter",
                )
                return None
            if first >= closes:
                self.problems.warn("empty-window", "within ends before ago begins: no fact ever counts", here)
            opens, closes = first, max(first, min(closes, second))
        if wrong:
            return None
        return Window(opens, closes)

    def _read_duration(
        self, raw: Any, path: Path, missing: str | None = None, zero: bool = False
    ) -> int | None:
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
            self.problems.error("empty-window", "a window of zero length", path, "give it a length like 90d")
            return None
        return length

    def _read_checks(self, raw: Any, path: Path, kind: str) -> Checks | None:
        """`scalar`, `[a, b]` or a map of operators; `kind` is what the value tested can be."""
        if isinstance(raw, dict):
            if not raw:
                self.problems.error("empty-group", "an empty test", path)
                return None
            checks = [self._read_check(name, operand, (*path, name), kind) for name, operand in raw.items()]
            good = tuple(check for check in checks if check is not None)
            return good if len(good) == len(checks) else None
        operator = "in" if isinstance(raw, list) else "eq"
        check = self._read_check(operator, raw, path, kind)
        return None if check is None else (check,)

    def _read_check(self, name: str, operand: Any, path: Path, kind: str) -> Check | None:
        if name not in OPERATORS:
            known = f"one of {', '.join(OPERATORS)}"
            self.problems.error("unknown-operator", f"{name!r} is no operator", path, known, at_key=True)
            return None
        wrong = _operand_error(name, operand)
        if wrong:
            self.problems.error("wrong-operand", f"{name}: {wrong}", path)
            return None
        if not _can_match(name, operand, kind):
            article = {"collection": "a list", "bool": "a yes or no"}.get(kind, f"a {kind}")
            self.problems.error("never-matches", f"{name} {operand!r} cannot match {article}", path)
            return None
        return Check(name, tuple(operand) if isinstance(operand, list) else operand)

    # Traits

    def read_trait(self, name: str, raw: Any, path: Path) -> Trait | None:
        """The trait, or None where it has errors (then collected)."""
        if not isinstance(raw, dict):
            self.problems.error("wrong-type", "a trait is a map like {count: hiring, within: 60d}", path)
            return None
        kinds = [key for key in (*_AGGREGATIONS, "decay", "ratio", "growth") if key in raw]
        if len(kinds) != 1:
            self.problems.error(
                "wrong-shape",
                f"{name!r} is no trait: it needs exactly one function",
                path,
                "one of count sum distinct min max avg latest earliest decay ratio growth",
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
            case _:
                return self._read_aggregate(function, raw, path)

    def _allow(self, raw: dict[str, Any], allowed: tuple[str, ...], path: Path) -> bool:
        unknown = [key for key in raw if key not in allowed]
        for key in unknown:
            known = f"one of {', '.join(allowed)}"
            self.problems.error(
                "unknown-key", f"{key!r} does not belong here", (*path, key), known, at_key=True
            )
        return not unknown

    def _read_aggregate(self, function: str, raw: dict[str, Any], path: Path) -> Trait | None:
        needs_field = function != "count"
        allowed = (function, *(("field",) if needs_field else ()), "where", "within", "ago")
        fine = self._allow(raw, allowed, path)
        matcher = self._read_matcher(raw[function], raw.get("where"), path, function)
        window = self._read_window(raw, path)
        field = self._read_field(raw, path, matcher, required=True) if needs_field else None
        if not fine or matcher is None or window is None or (needs_field and field is None):
            return None
        if field is not None and function in ("sum", "min", "max", "avg"):
            kind = field_types(matcher.kind).get(field, "any")
            if kind not in ("number", "any"):
                self.problems.error(
                    "never-matches", f"{function} needs numbers, {field} is {kind}", (*path, "field")
                )
                return None
        return Aggregate(function, matcher, window, field)  # type: ignore[arg-type]  # one of _AGGREGATIONS

    def _read_decay(self, raw: dict[str, Any], path: Path) -> Trait | None:
        fine = self._allow(raw, ("decay", "field", "half_life", "where", "within", "ago"), path)
        matcher = self._read_matcher(raw["decay"], raw.get("where"), path, "decay")
        window = self._read_window(raw, path)
        half_life = self._read_duration(raw.get("half_life"), (*path, "half_life"), "a decay needs half_life")
        field = self._read_field(raw, path, matcher, required=False)
        if (
            not fine
            or matcher is None
            or window is None
            or half_life is None
            or ("field" in raw and field is None)
        ):
            return None
        return Decay(matcher, window, half_life, field)

    def _read_field(
        self, raw: dict[str, Any], path: Path, matcher: Matcher | None, *, required: bool
    ) -> str | None:
        field = raw.get("field")
        if field is None and not required and "field" not in raw:
            return None
        if not isinstance(field, str) or not field:
            self.problems.error("missing-key", "field names a field of the event's data", (*path, "field"))
            return None
        if matcher is not None and matcher.kind != "firmographic" and field not in field_types(matcher.kind):
            self.problems.warn(
                "unlisted-field",
                f"the contract lists no field {field!r} for {matcher.kind}",
                (*path, "field"),
            )
        return field

    def _read_ratio(self, raw: dict[str, Any], path: Path) -> Trait | None:
        fine = self._allow(raw, ("ratio",), path)
        pair = raw["ratio"]
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            self.problems.error(
                "wrong-type", "ratio takes two names like [revenue_usd, employees]", (*path, "ratio")
            )
            return None
        for word in WORDS.intersection(pair):
            self.problems.error("reserved-name", f"{word!r} is a word of the language", (*path, "ratio"))
            fine = False
        return Ratio(*pair) if fine else None

    def _read_growth(self, raw: dict[str, Any], path: Path) -> Trait | None:
        fine = self._allow(raw, ("growth", "over"), path)
        over = self._read_duration(raw.get("over"), (*path, "over"), "growth needs over")
        attribute = raw["growth"]
        if not isinstance(attribute, str) or not attribute:
            self.problems.error("wrong-type", "growth takes an attribute's name", (*path, "growth"))
            return None
        if attribute in WORDS:
            self.problems.error(
                "reserved-name", f"{attribute!r} is a word of the language", (*path, "growth")
            )
            return None
        if attribute_types().get(attribute, "number") != "number":
            self.problems.error(
                "never-matches", f"{attribute} is no number: it cannot grow", (*path, "growth")
            )
            return None
        return Growth(attribute, over) if fine and over is not None else None


def trait_type(trait: Trait) -> str:
    """What the value of a trait is: `number`, or the type of the field that it takes."""
    if isinstance(trait, Aggregate) and trait.function in ("latest", "earliest"):
        return field_types(trait.matcher.kind).get(trait.field or "", "any")
    return "number"


def _is_finite(value: Any) -> bool:
    return type_of(value) == "number" and math.isfinite(value)


def _operand_error(name: str, operand: Any) -> str | None:  # noqa: PLR0911  # one line an operator
    if name == "exists":
        return None if isinstance(operand, bool) else "expected true or false"
    if name in ("eq", "ne"):
        return (
            None
            if type_of(operand) in ("text", "number", "bool")
            else "expected one word, number, true or false"
        )
    if name == "between":
        if not isinstance(operand, list) or len(operand) != 2 or not all(_is_finite(one) for one in operand):
            return "expected two numbers like [50, 100]"
        return None if operand[0] <= operand[1] else "the first number is the greater"
    if name in ORDERINGS:
        return None if _is_finite(operand) else "expected a number"
    if name in ON_TEXT:
        if not isinstance(operand, str):
            return "expected a text"
        return _regex_error(operand) if name == "matches" else None
    if not isinstance(operand, list):
        return "expected a list"
    if not operand:
        return "an empty list matches nothing"
    if len(operand) > MAX_LIST:
        return f"more than {MAX_LIST} values"
    if not all(type_of(one) in ("text", "number", "bool") for one in operand):
        return "expected words, numbers, true or false in the list"
    return None


def _regex_error(pattern: str) -> str | None:
    if len(pattern) > MAX_PATTERN:
        return f"a regular expression of more than {MAX_PATTERN} characters"
    try:
        compile_regex(pattern)
    except re2.error as error:
        cause = error.args[0] if error.args else error
        text = cause.decode("utf-8", "replace") if isinstance(cause, bytes) else str(cause)
        return f"not a regular expression of RE2: {text}"
    return None


def _can_match(name: str, operand: Any, kind: str) -> bool:
    if kind in ("any", "other") or name == "exists":
        return True
    if name in EQUALITIES:
        values = operand if isinstance(operand, list) else [operand]
        return any(type_of(one) == kind for one in values)
    if name in ORDERINGS:
        return kind == "number"
    if name in ON_TEXT:
        return kind == "text"
    return name in ON_COLLECTIONS and kind == "collection"
