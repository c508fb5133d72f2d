"""Find the tests of a file that a score may be made of: its terms, named conditions, single tests, and thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from resegment.segmentation.definition import Definition
from resegment.segmentation.language.conditions import Score
from resegment.segmentation.language.fields import attribute_types
from resegment.segmentation.language.limits import ACCOUNT, TESTS_OF_FACTS
from resegment.segmentation.language.parsing.raw_document import Written, conditions, tests
from resegment.segmentation.language.parsing.trait_parser import trait_type

_GROUPS: Final = ("all", "any", "not")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A condition that may become a term of the score. `text` is the condition as a file has it; `origin` says whose."""

    text: str
    when: Any
    origin: str


def write_test(when: Any) -> str:
    """Return a condition, or a name, in one line of YAML."""
    text = yaml.safe_dump(when, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text.removesuffix("...\n").strip()


def find_candidates(definition: Definition) -> list[Candidate]:
    """Return every condition of the file that a score may count, each once. None of them rests on a score."""
    data = definition.document.data
    scores = {name for name, one in definition.traits.items() if isinstance(one, Score)}
    graph = _Graph(data, scores)
    found: dict[str, Candidate] = {}

    def add(when: Any, origin: str) -> None:
        if not graph.rests_on_score(when):
            text = write_test(when)
            found.setdefault(text, Candidate(text, when, origin))

    for name in sorted(scores):
        for term in data["traits"][name]["score"]:
            add(term["when"], f"term of {name}")
    for name in definition.conditions:
        add({"condition": name}, "condition")
    for raw, _ in conditions(data):
        for when in _single_tests(raw):
            add(when, "test")
    return list(found.values())


def find_numbers(definition: Definition) -> tuple[str, ...]:
    """Return the attributes and traits with numbers that the file tests or defines, apart from scores."""
    numbers = {
        name
        for name, one in definition.traits.items()
        if not isinstance(one, Score) and trait_type(one, definition.attribute_kinds) == "number"
    }
    types = {**attribute_types(), **definition.attribute_kinds}
    for raw, path in conditions(definition.document.data):
        numbers |= {
            one.name
            for one in tests(raw, path)
            if one.test == "value" and one.name not in definition.traits and types.get(one.name) == "number"
        }
    return tuple(sorted(numbers))


def _single_tests(raw: Any) -> Iterator[Any]:
    """Yield each test of a condition alone."""
    if not isinstance(raw, dict):
        return
    word = next((one for one in TESTS_OF_FACTS if one in raw), None)
    own = () if word is None else TESTS_OF_FACTS[word]
    if word is not None:
        yield {key: value for key, value in raw.items() if key in own}
    for key, value in raw.items():
        if key in own or key in ("segment", "condition", ACCOUNT):
            continue
        if key in _GROUPS:
            for part in value if isinstance(value, list) else [value]:
                yield from _single_tests(part)
        else:
            yield {key: value}


class _Graph:
    """Knows which conditions lead to a score."""

    def __init__(self, data: Mapping[str, Any], scores: set[str]) -> None:
        self._scores = scores
        self._traits = data.get("traits") or {}
        self._named = {
            **{("condition", name): one for name, one in (data.get("conditions") or {}).items()},
            **{("segment", one["name"]): one["when"] for one in data["segments"]},
        }

    def rests_on_score(self, when: Any) -> bool:
        return any(self._leads(one) for one in tests(when, ()))

    def _leads(self, one: Written) -> bool:
        if one.test == "value":
            return self._is_score(one.name)
        named = self._named.get((one.test, one.name))
        return named is not None and self.rests_on_score(named)

    def _is_score(self, name: str) -> bool:
        trait = self._traits.get(name)
        ratio = trait.get("ratio") if isinstance(trait, dict) else None
        return name in self._scores or any(self._is_score(part) for part in ratio or ())
