"""Problems of a definition that can be read: what cannot work, and what nobody will understand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from resegment.documents.diagnostics import Diagnostic, InvalidSegments, Path, Problems
from resegment.segmentation.analysis.dropped_fields import check_dropped
from resegment.segmentation.analysis.experiments import check_experiments
from resegment.segmentation.analysis.habits import check_habits
from resegment.segmentation.analysis.high_counts import check_counts
from resegment.segmentation.analysis.implication import Reasoner
from resegment.segmentation.analysis.same_facts import check_same, check_sources
from resegment.segmentation.analysis.spelling import check_choices, check_spelling, lists_in
from resegment.segmentation.analysis.team_hours import check_teams
from resegment.segmentation.definition import Definition, Segment, names_tested, walk
from resegment.segmentation.language.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Growth,
    InSegment,
    IsOpen,
    Named,
    Occurs,
    OpenThings,
    Ratio,
    Score,
    Sequence,
    Trait,
)
from resegment.segmentation.language.fields import attribute_types
from resegment.segmentation.language.limits import ACCOUNT, FACTS_OF_A_TEST, WORDS
from resegment.segmentation.language.parsing.raw_document import Written, conditions, entries, tests
from resegment.segmentation.plays.templates import names_of

MANY_SEGMENTS: Final = 8
MAX_COMPARED: Final = 300
"""Among more segments than that, none is compared with the others: it would take too long."""


def lint(
    definition: Definition,
    known_attributes: Collection[str] | None = None,
    *,
    facts_per_test: int = FACTS_OF_A_TEST,
    seen: Mapping[str, Collection[str]] | None = None,
) -> tuple[Diagnostic, ...]:
    """Return every problem, in the order of the file; the warnings that reading the file gave are among them.

    `known_attributes` are the attributes that any account has; without it, none is reported as not measurable.
    `facts_per_test` is how many facts a test counts: one that asks for more is an error. `seen` are the sources of
    facts, by kind; without it, no rule of `same` is reported for having nothing to compare.
    """
    problems = Problems(definition.document.places, list(definition.warnings))
    _check_reach(definition, problems)
    _check_texts(definition.document.data, problems)
    _check_traits(definition, problems)
    _check_tested(definition, problems)
    _check_names(definition.document.data, definition.traits, problems, known_attributes)
    _check_trait_sources(definition, problems, known_attributes)
    check_habits(definition, problems)
    check_counts(definition, problems, facts_per_test)
    check_choices(definition, problems)
    check_dropped(definition, problems)
    check_same(definition, problems)
    check_teams(definition, problems)
    check_experiments(definition, problems)
    if seen is not None:
        check_sources(definition, seen, problems)
    return problems.in_order()


def lint_broken(refused: InvalidSegments) -> tuple[Diagnostic, ...]:
    """Every error of a file, and those warnings that hold whatever becomes of the errors, in the order of the file."""
    document = refused.document
    if document is None or not isinstance(document.data, dict):
        return refused.diagnostics
    problems = Problems(document.places, [*refused.diagnostics, *refused.warnings])
    _check_texts(document.data, problems)
    traits = document.data.get("traits")
    # what a trait is made of may be among the errors: texts that it is compared with are not looked at
    _check_names(document.data, dict.fromkeys(traits) if isinstance(traits, dict) else {}, problems, None)
    return problems.in_order()


def _check_names(
    data: dict[str, Any],
    traits: Mapping[str, Trait | None],
    problems: Problems,
    known: Collection[str] | None,
) -> None:
    for raw, path in conditions(data):
        for test in tests(raw, path):
            if test.test == "value":
                _check_name(test, traits, problems, known)
            check_spelling(test, traits, lists_in(data), problems)


# Segments against each other


def _check_reach(definition: Definition, problems: Problems) -> None:
    segments = [one for one in definition.segments if one.when is not None and not one.draft]
    reasoner = Reasoner(definition)
    lost: set[str] = set()
    for segment in segments:
        path = (*segment.path, "when")
        if reasoner.is_never(InSegment(segment.name)):
            lost.add(segment.name)
            problems.warn(
                "never-true",
                f"{segment.name!r} takes no account: its tests contradict each other",
                path,
                "remove one of them",
            )
        elif segment.hold.exit_when is not None and reasoner.implies(
            InSegment(segment.name), segment.hold.exit_when
        ):
            lost.add(segment.name)
            problems.warn(
                "never-true",
                f"{segment.name!r} takes no account: exit_when is true whenever when is true",
                (*segment.path, "hold", "exit_when"),
                "change exit_when so that it is false when an account enters",
            )
    if len(segments) > MAX_COMPARED:
        return
    for number, lower in enumerate(segments):
        if lower.name in lost:
            continue
        # While a cooldown or an exit_when keeps a higher segment from taking an account, the lower one may.
        higher = [
            one
            for one in segments[:number]
            if one.name not in lost and not one.hold.cooldown and one.hold.exit_when is None
        ]
        covering = _find_covering(reasoner, lower, higher)
        if covering:
            names = " and ".join(repr(one.name) for one in covering)
            problems.warn(
                "unreachable",
                f"{lower.name!r} takes no account: {names} above it always {'take' if len(covering) > 1 else 'takes'} it first",
                (*lower.path, "when"),
                "move it up, or narrow the segments above it",
            )
            lost.add(lower.name)
    _check_order([one for one in segments if one.name not in lost], definition, reasoner, problems)


def _find_covering(reasoner: Reasoner, lower: Segment, higher: list[Segment]) -> list[Segment]:
    """Return the higher segments that together leave the lower one nothing: one alone if possible."""
    when = InSegment(lower.name)
    for one in higher:
        if reasoner.implies(when, InSegment(one.name)):
            return [one]
    if not reasoner.implies(when, *(InSegment(one.name) for one in higher)):
        return []
    needed = list(higher)
    for one in higher:
        rest = [other for other in needed if other is not one]
        if reasoner.implies(when, *(InSegment(other.name) for other in rest)):
            needed = rest
    return needed


def _check_order(
    segments: list[Segment], definition: Definition, reasoner: Reasoner, problems: Problems
) -> None:
    """Warn where a segment about what a company is stands above one about what it does or needs."""
    for number, upper in enumerate(segments):
        if upper.layer not in (None, "firmographic") or not _is_firmographic(upper.when, definition):
            continue
        hidden = [
            lower.name
            for lower in segments[number + 1 :]
            if _is_live(lower, definition)
            and not reasoner.excludes(InSegment(upper.name), InSegment(lower.name))
        ]
        if hidden:
            problems.warn(
                "firmographic-first",
                f"{upper.name!r} tests only what a company is, and takes accounts from {', '.join(hidden)} below it",
                upper.path,
                "move it below them",
            )


def _is_firmographic(when: Condition | None, definition: Definition) -> bool:
    """Whether every test is of an attribute, or of what follows from attributes alone."""
    for part in _parts(when, definition):
        if not isinstance(part, Compare) or "technologies" in _sources(part.name, definition):
            return False
        if any(
            isinstance(definition.traits.get(name), Aggregate | Decay | OpenThings)
            for name in _sources(part.name, definition)
        ):
            return False
    return True


def _is_live(segment: Segment, definition: Definition) -> bool:
    """Whether the segment is about what accounts do or need."""
    if segment.layer is not None:
        return segment.layer in ("behavioral", "needs")
    return not _is_firmographic(segment.when, definition)


def _parts(when: Condition | None, definition: Definition) -> Iterator[Condition]:
    """Yield the tests of a condition and of the segments that it refers to."""
    todo, seen = [when], set[object]()
    while todo:
        for part in walk(todo.pop()):
            if isinstance(part, Compare):
                yield part
                todo += _terms(part.name, definition, seen)
            elif isinstance(part, Occurs | Sequence | IsOpen):
                yield part
            elif isinstance(part, InSegment | Named) and part not in seen:
                seen.add(part)
                todo.append(
                    definition.conditions[part.name]
                    if isinstance(part, Named)
                    else definition.segment(part.name).when
                )


def _terms(name: str, definition: Definition, seen: set[object]) -> list[Condition | None]:
    """Return the conditions of the scores that a value is made of."""
    found: list[Condition | None] = []
    for one in _sources(name, definition):
        trait = definition.traits.get(one)
        if isinstance(trait, Score) and one not in seen:
            seen.add(one)
            found += [term.when for term in trait.terms]
    return found


def _sources(name: str, definition: Definition) -> set[str]:
    """Return the name, and what its value is made of: attributes and traits."""
    found: set[str] = set()
    todo = [name]
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found.add(one)
        match definition.traits.get(one):
            case Ratio(over, under):
                todo += [over, under]
            case Growth(attribute, _):
                found.add(attribute)
    return found


# The file as people read it


def _check_texts(data: dict[str, Any], problems: Problems) -> None:
    segments = [(entry, path) for entry, path in entries(data) if path != ("fallback",)]
    if len(segments) > MANY_SEGMENTS:
        problems.warn(
            "many-segments",
            f"{len(segments)} segments: more than {MANY_SEGMENTS} are hard to keep apart",
            segments[MANY_SEGMENTS][1],
            "merge segments with similar plays",
        )
    for entry, path in segments:
        misspelled = get_close_matches("hypothesis", entry.keys() - {"hypothesis"}, 1, 0.75)
        if entry.get("hypothesis") is None and not misspelled:
            problems.warn(
                "no-hypothesis",
                f"{entry.get('name', 'it')!r} does not say why its accounts should buy",
                path,
                "add a hypothesis: one sentence that outcomes can prove wrong",
            )


def _check_traits(definition: Definition, problems: Problems) -> None:
    said = {name for play in definition.plays.values() for name in names_of(play, definition.personas)}
    used = {source for name in (*names_tested(definition), *said) for source in _sources(name, definition)}
    for name in definition.traits:
        if name not in used:
            problems.warn(
                "unused-trait",
                f"no condition or play uses the trait {name!r}",
                ("traits", name),
                "remove it",
            )


def _check_tested(definition: Definition, problems: Problems) -> None:
    expected: set[str] = set()
    for test in definition.tests:
        later = test.until if isinstance(test.until, list) else [test.until] if test.until else []
        expected.update((test.expect, *(one.expect for one in later)))
    for segment in definition.segments:
        if segment.when is None or segment.draft:
            continue
        if segment.name not in expected:
            lacks = "that expects it" if expected else "at all"
            problems.warn(
                "untested",
                f"{segment.name!r} has no test {lacks}",
                segment.path,
                "add a test with an account that belongs in it, and one with an account that just misses",
            )
        elif expected == {segment.name}:
            problems.warn(
                "untested",
                f"{segment.name!r} has no test with an account that it does not take",
                segment.path,
                "add one to tests",
            )


# Names and spellings


def _check_name(
    test: Written, traits: Mapping[str, Trait | None], problems: Problems, known: Collection[str] | None
) -> None:
    if test.name in traits or test.name == ACCOUNT:
        return
    close = (
        get_close_matches(test.name, WORDS, 1, 0.75) if test.beside_events and test.name not in WORDS else []
    )
    reported = any(one.code == "misspelt-word" and one.path == test.path for one in problems.found)
    if close and not reported and test.name not in attribute_types() and test.name not in (known or ()):
        problems.warn(
            "misspelt-word",
            f"{test.name!r} is read as the name of an attribute",
            test.path,
            f"did you mean {close[0]!r}?",
        )
        return
    _check_measurable(test.name, test.path, problems, known)


def _check_measurable(name: str, path: Path, problems: Problems, known: Collection[str] | None) -> None:
    if known is None or name in known:
        return
    close = get_close_matches(name, known, 1, 0.75)
    problems.warn(
        "not-measurable",
        f"no known account has the attribute {name!r}",
        path,
        f"did you mean {close[0]!r}?" if close else "add a source for it, or remove the test",
    )


def _check_trait_sources(definition: Definition, problems: Problems, known: Collection[str] | None) -> None:
    for name, trait in definition.traits.items():
        path: Path = ("traits", name)
        match trait:
            case Ratio(over, under):
                for index, part in enumerate((over, under)):
                    if part not in definition.traits:
                        _check_measurable(part, (*path, "ratio", index), problems, known)
            case Growth(attribute, _):
                _check_measurable(attribute, (*path, "growth"), problems, known)
            case Aggregate() | Decay() | OpenThings():
                raw = definition.document.data["traits"][name]
                kind = trait.kind if isinstance(trait, OpenThings) else trait.matcher.kind
                test = Written("event", kind, raw, path)
                lists = lists_in(definition.document.data)
                check_spelling(test, definition.traits, lists, problems)
