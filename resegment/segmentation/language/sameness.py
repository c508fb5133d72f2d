"""Say which facts of different sources are one fact: what the file's `same` means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from resegment.documents.diagnostics import Problems
from resegment.schemas.fact import Kind
from resegment.schemas.sources.written import Same, Source
from resegment.schemas.times import parse_duration

COMPARED: Final[dict[Kind, tuple[str, ...]]] = {
    "funding": ("round", "amount", "amount_usd", "currency"),
    "leadership": ("change", "role", "person"),
    "hiring": ("change", "url", "title", "location"),
}
"""The kinds that `same` takes, and the fields by which their facts are compared."""
RAW: Final = "_raw"
TOGETHER: Final = {"currency": "amount"}
"""Fields that are taken from the same fact as another one, as a field's `_raw` is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When two facts of a kind are the same; times in ms. `amount` is the share of the larger amount."""

    kind: Kind
    within: int
    amount: Fraction | None = None
    person: int = 0

    @property
    def reach(self) -> int:
        """How far apart (ms) two facts can be that are the same."""
        return max(self.within, self.person)


@dataclass(frozen=True, slots=True)
class Sameness:
    """The rules of a file, and the sources that it trusts, the most trusted first."""

    rules: tuple[Rule, ...] = ()
    trust: tuple[str, ...] = ()

    def rule(self, kind: str) -> Rule | None:
        """Return the rule of a kind; None if its facts are never taken for the same."""
        return next((one for one in self.rules if one.kind == kind), None)

    def __bool__(self) -> bool:
        return bool(self.rules)


def read_sameness(same: Same | None) -> Sameness:
    """Return what a file says under `same`."""
    return Sameness() if same is None else Sameness(tuple(_rules(same)), tuple(map(plain_source, same.trust)))


def _rules(same: Same) -> Iterator[Rule]:
    if (funding := same.funding) is not None:
        share = None if funding.amount is None else Fraction(funding.amount.removesuffix("%")) / 100
        yield Rule("funding", parse_duration(funding.within), amount=share)
    if (leadership := same.leadership) is not None:
        person = parse_duration(leadership.person) if leadership.person else 0
        yield Rule("leadership", parse_duration(leadership.within), person=person)
    if same.hiring is not None:
        yield Rule("hiring", parse_duration(same.hiring.within))


def read_sources(sources: Mapping[str, Source]) -> dict[str, int | None]:
    """Return how often (ms) something comes from each source that a file lists; None if it is never silent."""
    return {
        plain_source(name): None if one.every == "never" else parse_duration(one.every)
        for name, one in sources.items()
    }


def plain_source(source: str) -> str:
    """Return a source as `trust` may name it: without the `/` before it."""
    return source.removeprefix("/")


def base_of(field: str) -> str:
    """Return the field that a field is taken together with; itself, for most."""
    return TOGETHER.get(field, field.removesuffix(RAW))


def check_sameness(data: dict[str, Any], problems: Problems) -> None:
    """Report a source that `trust` lists twice."""
    same = data.get("same")
    trust = same.get("trust") if isinstance(same, dict) else None
    seen: dict[str, str] = {}
    for index, source in enumerate(trust if isinstance(trust, list) else ()):
        if not isinstance(source, str):
            continue
        name = plain_source(source)
        if name in seen:
            problems.error(
                "duplicate-name",
                f"{seen[name]!r} and {source!r} are the same source"
                if seen[name] != source
                else f"{source!r} is listed twice",
                ("same", "trust", index),
                "keep one of them",
            )
        seen.setdefault(name, source)
