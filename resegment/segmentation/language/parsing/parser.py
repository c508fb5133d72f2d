"""Read conditions and traits from the plain data of the YAML; every error is collected with its path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.language.attribute_types import AttributeType
from resegment.segmentation.language.conditions import (
    AtLeastOne,
    Checks,
    Compare,
    Condition,
    Decay,
    Every,
    InSegment,
    IsOpen,
    Matcher,
    Named,
    Not,
    Occurs,
    Sequence,
    Some,
    Trait,
)
from resegment.segmentation.language.limits import (
    ACCOUNT,
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_STEPS,
    TESTS_OF_FACTS,
    WORDS,
)
from resegment.segmentation.language.operators import KNOWN_WITHIN
from resegment.segmentation.language.parsing.checks_parser import ACCOUNT_NAME, COUNT, ChecksParser, Subject
from resegment.segmentation.language.parsing.facts_parser import FactsParser
from resegment.segmentation.language.parsing.misspellings import find_meant, is_rest_of_number
from resegment.segmentation.language.parsing.trait_parser import TraitParser, trait_type

_DECAY_OPERATORS: Final = frozenset({"gt", "gte", "lt", "lte", "between", "exists"})


class Grammar:
    """Reads conditions and traits of one file. Traits are read before the conditions that test them."""

    def __init__(self, problems: Problems, checks: ChecksParser, types: Mapping[str, AttributeType]) -> None:
        self.problems, self.types = problems, types
        self._checks = checks
        self._facts = FactsParser(problems, checks, types)
        self._traits = TraitParser(problems, self._facts, self.read_condition)
        self._trait_types: dict[str, str] = {}
        self._decays: set[str] = set()
        self._left = MAX_CONDITIONS

    # Traits

    def expect_trait(self, name: str, kind: str) -> None:
        """Let conditions test a trait of this kind that is read later."""
        self._trait_types[name] = kind

    def read_trait(self, name: str, raw: Any, path: Path) -> Trait | None:
        """Return the trait, or None where it has errors (then collected)."""
        trait = self._traits.read(name, raw, path)
        kinds = {field: one.kind for field, one in self.types.items()}
        self._trait_types[name] = "any" if trait is None else trait_type(trait, kinds)
        if isinstance(trait, Decay):
            self._decays.add(name)
        return trait

    # Conditions

    def read_condition(self, raw: Any, path: Path, depth: int = 0) -> Condition | None:
        """Return the condition, or None where it has errors (then collected)."""
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            limit = (
                f"a condition is nested deeper than {MAX_DEPTH}"
                if depth > MAX_DEPTH
                else f"the file has more than {MAX_CONDITIONS} tests"
            )
            self.problems.error("too-large", limit, path, "split them into segments or traits")
            return None
        if not isinstance(raw, dict):
            self.problems.error("wrong-type", "a condition is a map like {employees: {gte: 50}}", path)
            return None
        if not raw:
            self.problems.error("empty-group", "the condition is empty", path)
            return None
        asked = [one for one in TESTS_OF_FACTS if one in raw]
        if len(asked) > 1:
            self.problems.error("wrong-shape", "event, sequence and open can't be in the same map", path)
            return None
        words = TESTS_OF_FACTS[asked[0]] if asked else ()
        rest = dict(raw)
        own = {key: rest.pop(key) for key in words if key in rest}
        parts = [self._read_facts(asked[0], own, path)] if asked else []
        for key, value in rest.items():
            here = (*path, key)
            mistaken = self._report_mistaken(key, value, here, words)
            parts.append(None if mistaken else self._read_part(key, value, here, depth))
        if any(part is None for part in parts):
            return None
        whole = [part for part in parts if part is not None]
        return whole[0] if len(whole) == 1 else Every(tuple(whole))

    def _report_mistaken(self, key: str, value: Any, path: Path, words: tuple[str, ...]) -> bool:
        """Report a key that was meant as one of the words of the test beside it, or as a part of a number."""
        if is_rest_of_number(key, value):
            message = f"{key!r} is read as a name: a comma ends a value here"
            self.problems.error(
                "wrong-operand", message, path, "write numbers without commas, like {gte: 1000}", at_key=True
            )
            return True
        if key in WORDS or key in self._trait_types or self._subject(key).kind != "any":
            return False
        meant = find_meant(key, value, words)
        if meant is not None:
            message = f"{key!r} is not a key of this test"
            self.problems.error("misspelt-word", message, path, f"did you mean {meant!r}?", at_key=True)
        return meant is not None

    def _read_part(self, key: str, value: Any, path: Path, depth: int) -> Condition | None:
        if key in ("all", "any"):
            return self._read_group(key, value, path, depth)
        if key == "not":
            part = self.read_condition(value, path, depth + 1)
            return None if part is None else Not(part)
        if key in ("segment", "condition"):
            if not isinstance(value, str):
                self.problems.error("wrong-type", f"{key} takes a {key}'s name", path)
                return None
            return InSegment(value) if key == "segment" else Named(value)
        if key in WORDS and key != ACCOUNT:
            self.problems.error(
                "wrong-shape", f"{key!r} can only be used in an event test, a sequence or a trait", path
            )
            return None
        return self._read_compare(key, value, path)

    def _read_group(self, key: str, value: Any, path: Path, depth: int) -> Condition | None:
        if not isinstance(value, list):
            self.problems.error("wrong-type", f"{key} takes a list of conditions", path)
            return None
        if not value:
            self.problems.error("empty-group", f"{key} is empty", path)
            return None
        parts = [self.read_condition(one, (*path, index), depth + 1) for index, one in enumerate(value)]
        whole = tuple(part for part in parts if part is not None)
        if len(whole) < len(parts):
            return None
        return Every(whole) if key == "all" else Some(whole)

    def _read_compare(self, name: str, raw: Any, path: Path) -> Condition | None:
        checks = self._checks.read(raw, path, self._subject(name))
        if checks is None:
            return None
        if name in self._decays:
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

    def _subject(self, name: str) -> Subject:
        if name == ACCOUNT:
            return ACCOUNT_NAME
        if name in self._trait_types:
            return Subject(self._trait_types[name])
        kind = self._facts.field_type("firmographic", name)
        refused = frozenset({KNOWN_WITHIN}) if name == "technologies" else frozenset()
        return Subject(kind, refused)

    def _read_count(self, raw: dict[str, Any], path: Path) -> Checks | None:
        if "count" not in raw:
            return AtLeastOne
        return self._checks.read(raw["count"], (*path, "count"), COUNT)

    def _read_facts(self, word: str, raw: dict[str, Any], path: Path) -> Condition | None:
        match word:
            case "event":
                return self._read_occurs(raw, path)
            case "sequence":
                return self._read_sequence(raw, path)
            case _:
                return self._read_is_open(raw, path)

    def _read_occurs(self, raw: dict[str, Any], path: Path) -> Condition | None:
        matcher = self._facts.read_selection(raw, path, "event")
        window = self._facts.read_window(raw, path)
        count = self._read_count(raw, path)
        if matcher is None or window is None or count is None:
            return None
        return Occurs(matcher, window, count)

    def _read_is_open(self, raw: dict[str, Any], path: Path) -> Condition | None:
        things = self._facts.read_open(raw, path)
        count = self._read_count(raw, path)
        return None if things is None or count is None else IsOpen(things, count)

    def _read_sequence(self, raw: dict[str, Any], path: Path) -> Condition | None:
        steps = raw["sequence"]
        order = raw.get("order", "strict")
        if order not in ("strict", "loose"):
            self.problems.error("wrong-value", "order takes strict or loose", (*path, "order"))
            return None
        within = self._facts.read_duration(raw.get("within"), (*path, "within"), "a sequence needs within")
        gap = self._facts.read_duration(raw["gap"], (*path, "gap")) if "gap" in raw else None
        if not isinstance(steps, list) or not steps:
            code = "empty-group" if steps == [] else "wrong-type"
            self.problems.error(code, "sequence takes a list of event tests", (*path, "sequence"))
            return None
        if len(steps) > MAX_STEPS:
            self.problems.error("too-large", f"a sequence has at most {MAX_STEPS} steps", (*path, "sequence"))
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
            matcher = self._facts.read_matcher(step.get("event"), step.get("where"), here, "event")
            if matcher is not None:
                matchers.append(matcher)
        if within is None or len(matchers) < len(steps) or ("gap" in raw and gap is None):
            return None
        return Sequence(tuple(matchers), within, gap, order == "loose")
