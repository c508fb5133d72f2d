"""What is wrong with the templates of a file's plays, so that rendering one never meets what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.language.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Every,
    InSegment,
    IsOpen,
    Named,
    Not,
    Occurs,
    OpenThings,
    Score,
    Sequence,
    Some,
    Trait,
)
from resegment.segmentation.language.fields import attribute_types
from resegment.segmentation.language.operators import KNOWN_WITHIN
from resegment.segmentation.language.parsing.raw_document import conditions as written_conditions
from resegment.segmentation.language.parsing.raw_document import entries, tests
from resegment.segmentation.plays.filters import MAX_TEXT
from resegment.segmentation.plays.template_checker import Known, TemplateChecker
from resegment.segmentation.plays.templates import GIVEN, is_template

_ALWAYS: Final = ("count", "sum", "distinct")
"""The aggregates that have a value without any fact."""
_TEXTS: Final = frozenset({"description", "message", "personas", "assets", "cta", "titles", "cares_about"})
"""The parts of a play, or of a persona, that templates may stand in."""

Conditions = Mapping[tuple[int, str], Condition | None]


def check_templates(
    data: Mapping[str, Any],
    conditions: Conditions,
    named: Mapping[str, Condition | None],
    traits: Mapping[str, Trait | None],
    problems: Problems,
) -> None:
    """Collect errors and warnings about every template of the file's plays and personas.

    `data` is the file as it is written, perhaps with other errors; `conditions` are those of its segments, `named` those
    that have a name.
    """
    plays, personas = _maps(data.get("plays")), _maps(data.get("personas"))
    if not any(True for _ in _templates(plays, ("plays",))) and not any(
        True for _ in _templates(personas, ("personas",))
    ):
        return
    known = _known_to_plays(data, conditions, named, traits)
    mentioned = _mentioned(data, traits)
    everything = Known(None, None)
    to_personas: dict[str, Known] = {}
    for name, play in plays.items():
        here = known.get(name, everything)
        for persona in play["personas"] if isinstance(play.get("personas"), list) else ():
            if isinstance(persona, str):
                to_personas[persona] = to_personas.get(persona, everything) & here
    for parts, root, scope in ((plays, "plays", known), (personas, "personas", to_personas)):
        for text, path in _templates(parts, (root,)):
            misplaced = path[2] not in _TEXTS and not (root == "personas" and path[2] == "message")
            if misplaced or path[-1] == "name":
                problems.error(
                    "misplaced-template", "templates are not allowed here", path, "write the text out"
                )
                continue
            checker = TemplateChecker(path, problems, scope.get(str(path[1]), everything), traits, mentioned)
            checker.check(text)


def _maps(raw: Any) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in raw.items() if isinstance(one, dict)} if isinstance(raw, dict) else {}


def _templates(raw: Any, path: Path) -> Iterator[tuple[str, Path]]:
    if isinstance(raw, str):
        if is_template(raw) and len(raw) <= MAX_TEXT:  # what is longer is refused elsewhere
            yield raw, path
    elif isinstance(raw, dict):
        for key, value in raw.items():
            yield from _templates(value, (*path, key))
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from _templates(value, (*path, index))


# What is surely known


def _known_to_plays(
    data: Mapping[str, Any],
    conditions: Conditions,
    named: Mapping[str, Condition | None],
    traits: Mapping[str, Trait | None],
) -> dict[str, Known]:
    always = frozenset(
        name
        for name, one in traits.items()
        if one is None
        or isinstance(one, Decay | OpenThings | Score)
        or (isinstance(one, Aggregate) and one.function in _ALWAYS)
    )
    whens: Whens = {
        InSegment(str(entry.get("name"))): conditions.get((int(path[1]), "when"))
        for entry, path in entries(dict(data))
        if path != ("fallback",)
    }
    whens.update((Named(name), one) for name, one in named.items())
    found: dict[str, Known] = {}
    for entry, path in entries(dict(data)):
        here = Known(always, frozenset())
        if path != ("fallback",):
            here = _known_in(entry, conditions.get((int(path[1]), "when")), whens, always)
        for play in _plays_of(entry, data):
            found[play] = found[play] & here if play in found else here
    return found


def _plays_of(entry: Mapping[str, Any], data: Mapping[str, Any]) -> set[str]:
    """Return the plays that the accounts of a segment may get, by the segment or by an experiment."""
    found = [entry.get("play")]
    for one in _maps(data.get("experiments")).values():
        if one.get("segment") == entry.get("name") and isinstance(one.get("plays"), list):
            found += one["plays"]
    return {one for one in found if isinstance(one, str)}


Whens = dict[InSegment | Named, Condition | None]
"""The conditions that others name."""


def _known_in(
    entry: Mapping[str, Any],
    when: Condition | None,
    whens: Whens,
    always: frozenset[str],
) -> Known:
    """Return what is known of every account in a segment."""
    if when is None:
        return Known(None, None)  # it has errors, which are told elsewhere
    hold = entry.get("hold")
    kept = isinstance(hold, dict) and ("min_dwell" in hold or "exit_when" in hold)
    return Known(always if kept else always | _required(when, whens), _kinds_tested(when, whens))


def _required(when: Condition | None, whens: Whens) -> frozenset[str]:
    """Return the names that are known wherever the condition is true."""
    names: set[str] = set()
    todo, seen = [when], set[Condition]()
    while todo:
        part = todo.pop()
        if isinstance(part, Every):
            todo.extend(part.parts)
        elif isinstance(part, InSegment | Named) and part not in seen:
            seen.add(part)
            todo.append(whens.get(part))
        elif isinstance(part, Compare) and any(
            check.operand is True if check.operator == "exists" else check.operator != KNOWN_WITHIN
            for check in part.checks
        ):
            names.add(part.name)
    return frozenset(names)


def _kinds_tested(when: Condition | None, whens: Whens) -> frozenset[str]:
    """Return the kinds of events that a reason for the condition can name."""
    kinds: set[str] = set()
    todo, seen = [when], set[Condition]()
    while todo:
        part = todo.pop()
        if isinstance(part, Every | Some):
            todo.extend(part.parts)
        elif isinstance(part, Not):
            todo.append(part.part)
        elif isinstance(part, Occurs):
            kinds.add(part.matcher.kind)
        elif isinstance(part, IsOpen):
            kinds.add(part.things.kind)
        elif isinstance(part, Sequence):
            kinds.update(step.kind for step in part.steps)
        elif isinstance(part, InSegment | Named) and part not in seen:
            seen.add(part)
            todo.append(whens.get(part))
    return frozenset(kinds)


def _mentioned(data: Mapping[str, Any], traits: Mapping[str, Trait | None]) -> frozenset[str]:
    """Every attribute or trait that the file speaks of, and those of the contract."""
    names = {*traits, *attribute_types(), *GIVEN}
    for raw, path in written_conditions(dict(data)):
        names.update(test.name for test in tests(raw, path) if test.test == "value")
    for trait in traits.values():
        for part in ("over", "under", "attribute"):
            name = getattr(trait, part, None)
            if isinstance(name, str):
                names.add(name)
    listed = data.get("tests")
    for test in listed if isinstance(listed, list) else ():
        given = test.get("given") if isinstance(test, dict) else None
        attributes = given.get("attributes") if isinstance(given, dict) else None
        names.update(attributes if isinstance(attributes, dict) else ())
    return frozenset(names)


# One template
