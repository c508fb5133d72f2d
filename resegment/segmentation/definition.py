"""A segments file once it is read and found free of errors: frozen, and with a version of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson
from pydantic import ValidationError

from resegment.schemas.events import Firmographic
from resegment.schemas.segments import (
    FallbackEntry,
    Layer,
    Persona,
    Play,
    Route,
    SegmentEntry,
    SegmentsFile,
    Team,
    TestEntry,
)
from resegment.schemas.times import parse_duration
from resegment.segmentation.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Every,
    InSegment,
    Matcher,
    Not,
    Occurs,
    Ratio,
    Some,
    Trait,
)
from resegment.segmentation.diagnostics import Diagnostic, InvalidSegments, Path, Problems
from resegment.segmentation.document import Document, merge_documents, parse_document
from resegment.segmentation.grammar import WORDS, Grammar, trait_type


@dataclass(frozen=True, slots=True)
class Hold:
    """Keeps an account from flapping; times in ms, 0 where not given."""

    min_dwell: int = 0
    cooldown: int = 0
    exit_when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; the fallback has no condition and is the last."""

    name: str
    when: Condition | None
    hold: Hold
    layer: Layer | None
    hypothesis: str | None
    play: str | None
    route: Route | None
    path: Path


@dataclass(frozen=True, slots=True)
class Definition:
    """A segments file that is free of errors. `segments` are in priority order, the fallback last."""

    version: str
    segments: tuple[Segment, ...]
    traits: Mapping[str, Trait]
    plays: Mapping[str, Play]
    personas: Mapping[str, Persona]
    teams: Mapping[str, Team]
    tests: tuple[TestEntry, ...]
    retain: int
    warnings: tuple[Diagnostic, ...]
    document: Document

    @property
    def fallback(self) -> Segment:
        return self.segments[-1]

    def segment(self, name: str) -> Segment:
        """The segment of that name. Raises KeyError."""
        for one in self.segments:
            if one.name == name:
                return one
        raise KeyError(name)


def read_definition(files: Sequence[tuple[str, str | bytes]]) -> Definition:
    """The definition that the files (name, content) give together. Raises InvalidSegments with every error."""
    documents: list[Document] = []
    broken: list[Diagnostic] = []
    for name, content in files:
        try:
            documents.append(parse_document(content, name))
        except InvalidSegments as error:
            broken.extend(error.diagnostics)
    if broken:
        raise InvalidSegments(broken)
    document = merge_documents(documents)
    problems = Problems(document.places)
    definition = _read(document, problems)
    if problems.errors or definition is None:
        raise InvalidSegments(one for one in problems.in_order() if one.severity == "error")
    return definition


def _read(document: Document, problems: Problems) -> Definition | None:
    data = document.data
    if not isinstance(data, dict):
        problems.error("wrong-type", "a segments file is a map with version, segments and fallback", ())
        return None
    grammar = Grammar(problems)
    traits = _read_traits(data.get("traits"), grammar, problems)
    conditions = _read_conditions(data.get("segments"), grammar)
    try:
        file = SegmentsFile.model_validate(data)
    except ValidationError as error:
        _report(error, data, problems)
        return None
    segments = _join(file, conditions, problems)
    _check_names(file, problems)
    _check_references(segments, traits, problems)
    _check_actionable(file, problems)
    if problems.errors:
        return None
    known = {name: trait for name, trait in traits.items() if trait is not None}
    return Definition(
        version=_hash(data),
        segments=segments,
        traits=MappingProxyType(known),
        plays=MappingProxyType(file.plays),
        personas=MappingProxyType(file.personas),
        teams=MappingProxyType({name: team or Team() for name, team in file.teams.items()}),
        tests=tuple(file.tests),
        retain=parse_duration(file.retain) if file.retain else 0,
        warnings=problems.in_order(),
        document=document,
    )


def _hash(data: Any) -> str:
    return hashlib.sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def _read_traits(raw: Any, grammar: Grammar, problems: Problems) -> dict[str, Trait | None]:
    traits: dict[str, Trait | None] = {}
    if not isinstance(raw, dict):
        return traits
    for name, entry in raw.items():
        path: Path = ("traits", name)
        if name in WORDS:
            problems.error("reserved-name", f"{name!r} is a word of the language", path, "give the trait another name")
        if name in Firmographic.model_fields:
            problems.error("hidden-attribute", f"the trait {name!r} hides an attribute", path, "give the trait another name")
        trait = grammar.read_trait(name, entry, path)
        traits[name] = trait
        grammar.trait_types[name] = "any" if trait is None else trait_type(trait)
        if isinstance(trait, Decay):
            grammar.decays.add(name)
    return traits


Conditions = dict[tuple[int, str], Condition | None]


def _read_conditions(raw: Any, grammar: Grammar) -> Conditions:
    conditions: Conditions = {}
    for index, entry in enumerate(raw if isinstance(raw, list) else ()):
        if not isinstance(entry, dict):
            continue
        path: Path = ("segments", index)
        if "when" in entry:
            conditions[index, "when"] = grammar.read_condition(entry["when"], (*path, "when"))
        hold = entry.get("hold")
        if isinstance(hold, dict) and "exit_when" in hold:
            conditions[index, "exit_when"] = grammar.read_condition(
                hold["exit_when"], (*path, "hold", "exit_when")
            )
    return conditions


def _report(error: ValidationError, data: Any, problems: Problems) -> None:
    for one in error.errors(include_url=False, include_context=False):
        path = _existing(one["loc"], data)
        if one["type"] == "missing":
            problems.error("missing-key", f"{one['loc'][-1]} is required", path)
        elif one["type"] == "extra_forbidden":
            problems.error("unknown-key", f"{one['loc'][-1]!r} is no key of this place", path)
        else:
            problems.error("wrong-type", one["msg"], path)


def _existing(location: tuple[int | str, ...], data: Any) -> Path:
    """The location without the names of model classes that pydantic puts into those of unions."""
    path: list[int | str] = []
    for part in location:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path.append(part)
    return tuple(path)


def _join(file: SegmentsFile, conditions: Conditions, problems: Problems) -> tuple[Segment, ...]:
    segments = [
        _segment(entry, index, conditions) for index, entry in enumerate(file.segments)
    ]
    if not segments:
        problems.error("empty-group", "a file without segments segments nothing", ("segments",))
    fallback: FallbackEntry = file.fallback
    segments.append(
        Segment(
            name=fallback.name,
            when=None,
            hold=Hold(),
            layer=None,
            hypothesis=fallback.hypothesis,
            play=fallback.play,
            route=fallback.route,
            path=("fallback",),
        )
    )
    return tuple(segments)


def _segment(entry: SegmentEntry, index: int, conditions: Conditions) -> Segment:
    hold = Hold()
    if entry.hold is not None:
        hold = Hold(
            min_dwell=parse_duration(entry.hold.min_dwell) if entry.hold.min_dwell else 0,
            cooldown=parse_duration(entry.hold.cooldown) if entry.hold.cooldown else 0,
            exit_when=conditions.get((index, "exit_when")),
        )
    return Segment(
        name=entry.name,
        when=conditions.get((index, "when")),
        hold=hold,
        layer=entry.layer,
        hypothesis=entry.hypothesis,
        play=entry.play,
        route=entry.route,
        path=("segments", index),
    )


def _check_names(file: SegmentsFile, problems: Problems) -> None:
    seen: set[str] = set()
    entries: list[tuple[SegmentEntry | FallbackEntry, Path]] = [
        (entry, ("segments", index)) for index, entry in enumerate(file.segments)
    ]
    entries.append((file.fallback, ("fallback",)))
    for entry, path in entries:
        if entry.name in seen:
            problems.error("duplicate-name", f"a second segment named {entry.name!r}", (*path, "name"))
        seen.add(entry.name)
        if entry.play is not None and entry.play not in file.plays:
            problems.error("unknown-play", f"no play is named {entry.play!r}", (*path, "play"), _choices(file.plays))
        if entry.route is not None and entry.route.team is not None and entry.route.team not in file.teams:
            problems.error(
                "unknown-team", f"no team is named {entry.route.team!r}", (*path, "route", "team"), _choices(file.teams)
            )
    for name, play in file.plays.items():
        for index, persona in enumerate(play.personas):
            if isinstance(persona, str) and persona not in file.personas:
                problems.error(
                    "unknown-persona",
                    f"no persona is named {persona!r}",
                    ("plays", name, "personas", index),
                    _choices(file.personas),
                )
    for index, test in enumerate(file.tests):
        untils = test.until if isinstance(test.until, list) else [test.until] if test.until else []
        for expected in (test.expect, *(until.expect for until in untils)):
            if expected not in seen:
                problems.error(
                    "unknown-segment", f"no segment is named {expected!r}", ("tests", index), _choices(sorted(seen))
                )


def _choices(names: Any) -> str:
    listed = ", ".join(list(names)[:12])
    return f"there is {listed}" if listed else "there is none"


def _check_references(
    segments: tuple[Segment, ...], traits: dict[str, Trait | None], problems: Problems
) -> None:
    names = {one.name for one in segments if one.when is not None}
    refers: dict[str, list[str]] = {}
    for one in segments:
        for key, condition in (("when", one.when), ("exit_when", one.hold.exit_when)):
            path = (*one.path, key) if key == "when" else (*one.path, "hold", key)
            for part in walk(condition):
                if isinstance(part, InSegment) and part.name not in names:
                    problems.error("unknown-segment", f"no segment with a condition is named {part.name!r}", path)
                elif isinstance(part, InSegment) and key == "when":
                    refers.setdefault(one.name, []).append(part.name)
    for one in segments:
        if _reaches(one.name, one.name, refers):
            problems.error("cycle", f"the segment {one.name!r} refers to itself", (*one.path, "when"))
    ratios = {name: [t.over, t.under] for name, t in traits.items() if isinstance(t, Ratio)}
    for name, parts in ratios.items():
        path: Path = ("traits", name, "ratio")
        if _reaches(name, name, ratios):
            problems.error("cycle", f"the trait {name!r} refers to itself", path)
        for part in parts:
            if isinstance(traits.get(part), Decay):
                problems.error("decay-operator", f"{part!r} is a decayed sum: it stands in no ratio", path)
            elif part in traits:
                trait = traits[part]
                if trait is not None and trait_type(trait) not in ("number", "any"):
                    problems.error("never-matches", f"{part!r} is no number: it stands in no ratio", path)
            elif (info := attribute_kind(part)) not in ("number", "any"):
                problems.error("never-matches", f"{part!r} is {info}: it stands in no ratio", path)
    for name, trait in traits.items():
        attribute = getattr(trait, "attribute", None)
        if attribute in traits:
            problems.error("wrong-type", f"growth takes an attribute, {attribute!r} is a trait", ("traits", name))


def attribute_kind(name: str) -> str:
    """The type of a contract's attribute; `any` for a custom one."""
    from resegment.segmentation.fields import attribute_types

    return attribute_types().get(name, "any")


def _reaches(start: str, goal: str, edges: Mapping[str, list[str]]) -> bool:
    todo, seen = list(edges.get(start, ())), set[str]()
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(edges.get(name, ()))
    return False


def _check_actionable(file: SegmentsFile, problems: Problems) -> None:
    if file.fallback.play is None and file.fallback.route is None:
        problems.error("not-actionable", "the fallback has neither play nor route", ("fallback",))
    seen: dict[tuple[str | None, str], str] = {}
    entries: list[tuple[SegmentEntry | FallbackEntry, Path]] = [
        (entry, ("segments", index)) for index, entry in enumerate(file.segments)
    ]
    for entry, path in [*entries, (file.fallback, ("fallback",))]:
        route = entry.route.model_dump_json() if entry.route is not None else ""
        twin = seen.setdefault((entry.play, route), entry.name)
        if twin != entry.name:
            problems.error(
                "not-actionable",
                f"{entry.name!r} has the play and the route of {twin!r}",
                path,
                "give it another play or route, or merge the two",
            )


def walk(condition: Condition | None) -> Iterator[Condition]:
    """The condition and every part of it."""
    if condition is None:
        return
    yield condition
    if isinstance(condition, Every | Some):
        for part in condition.parts:
            yield from walk(part)
    elif isinstance(condition, Not):
        yield from walk(condition.part)


def matchers_of(definition: Definition) -> Iterator[Matcher]:
    """Every matcher that a condition or trait of the file uses."""
    for segment in definition.segments:
        for root in (segment.when, segment.hold.exit_when):
            for part in walk(root):
                if isinstance(part, Occurs):
                    yield part.matcher
                elif hasattr(part, "steps"):
                    yield from part.steps
    for trait in definition.traits.values():
        if isinstance(trait, Aggregate | Decay):
            yield trait.matcher


def names_tested(definition: Definition) -> Iterator[str]:
    """Every attribute or trait that a condition tests."""
    for segment in definition.segments:
        for root in (segment.when, segment.hold.exit_when):
            for part in walk(root):
                if isinstance(part, Compare):
                    yield part.name
