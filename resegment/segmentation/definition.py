"""A segments file once it is read and found free of errors: frozen, and with a version of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import orjson
from pydantic import ValidationError

from resegment.documents.diagnostics import Diagnostic, InvalidSegments, Path, Problems
from resegment.documents.includes import KEY as INCLUDE
from resegment.documents.yaml import Document, merge_documents, parse_document
from resegment.schemas.segments import (
    BuiltInOptions,
    EnrollmentLimits,
    FallbackEntry,
    Holdout,
    Layer,
    Persona,
    Play,
    Qualification,
    Route,
    SegmentEntry,
    SegmentsFile,
    Suppression,
    Team,
    TestEntry,
)
from resegment.schemas.times import parse_duration
from resegment.segmentation.language.attribute_types import AttributeType, read_types
from resegment.segmentation.language.conditions import Compare, Condition, Every, Not, Score, Some, Trait
from resegment.segmentation.language.gates import Gate, read_gates
from resegment.segmentation.language.list_files import ListFiles, ReadFile, find_no_file
from resegment.segmentation.language.moves import check_moves
from resegment.segmentation.language.parsing.checks_parser import ChecksParser, read_lists
from resegment.segmentation.language.parsing.parser import Grammar
from resegment.segmentation.language.parsing.schema_errors import check_durations, report_shape
from resegment.segmentation.language.parsing.sections import (
    Conditions,
    read_conditions,
    read_named,
    read_traits,
)
from resegment.segmentation.language.references import check_actionable, check_names, check_traits
from resegment.segmentation.language.sameness import Sameness, check_sameness, read_sameness, read_sources
from resegment.segmentation.plays.drawing import Draws
from resegment.segmentation.plays.experiment_checks import check_experiments
from resegment.segmentation.plays.experiments import Experiment, read_experiments
from resegment.segmentation.plays.rendering import CompiledPlay, compile_plays
from resegment.segmentation.plays.validation import check_templates

_UNKNOWN_ANYWHERE: Final = frozenset({"unknown-key", "unknown-kind", "unknown-operator"})
"""Words that no other part of the file could make known."""


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
    holdout: Holdout | None = None
    draft: bool = False
    """Whether it takes no account."""
    tags: tuple[str, ...] = ()
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a definition was read from: the segments files by name, and the files of lists by path."""

    segments: tuple[tuple[str, bytes], ...]
    lists: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """A segments file that is free of errors. `segments` are in priority order, the fallback last.

    `version` tells apart what the segmenter uses, `digest` everything that has a meaning.
    """

    version: str
    segments: tuple[Segment, ...]
    traits: Mapping[str, Trait]
    conditions: Mapping[str, Condition]
    types: Mapping[str, AttributeType]
    plays: Mapping[str, Play]
    personas: Mapping[str, Persona]
    teams: Mapping[str, Team]
    qualifications: Mapping[str, Qualification]
    experiments: Mapping[str, Experiment]
    suppression: tuple[str | Suppression, ...]
    cooldown_after_lost: int
    limits: EnrollmentLimits | None
    family: frozenset[str]
    gates: tuple[Gate, ...]
    tests: tuple[TestEntry, ...]
    retain: int
    moved: Mapping[str, str]
    """The new names of segments that the version before named otherwise, each with the old one."""
    dropped: frozenset[str]
    """The fields of events that are never kept."""
    personal: frozenset[str]
    """The fields of events that are personal, beside those of the contract."""
    same: Sameness
    """Which facts of different sources are one."""
    sources: Mapping[str, int | None]
    """How often (ms) something comes from a source, None if it is never silent; without the `/` before its name."""
    warnings: tuple[Diagnostic, ...]
    document: Document
    compiled_plays: Mapping[str, CompiledPlay] = field(compare=False, repr=False)
    """The plays as they are rendered. Segmenter and router share them, so each play is compiled once."""
    draws: Draws = field(compare=False, repr=False)
    """What an account gets that enters a segment: the play, the holdout, the variant of an experiment."""
    digest: str = field(compare=False)
    content: Content = field(compare=False, repr=False)

    @property
    def fallback(self) -> Segment:
        return self.segments[-1]

    @property
    def attribute_kinds(self) -> dict[str, str]:
        """What the values of the file's own attributes are: `text`, `number`, `collection` or `any`."""
        return {name: one.kind for name, one in self.types.items()}

    def segment(self, name: str) -> Segment:
        """Return the segment of that name. Raises KeyError."""
        for one in self.segments:
            if one.name == name:
                return one
        raise KeyError(name)


def read_definition(
    files: Sequence[tuple[str, str | bytes]], read_file: ReadFile = find_no_file
) -> Definition:
    """Return the definition that the files (name, content) give together. Raises InvalidSegments with every error.

    `read_file` returns the content of the files that `in_file` names.
    """
    documents: list[Document] = []
    broken: list[Diagnostic] = []
    for name, content in files:
        try:
            documents.append(parse_document(content, name))
        except InvalidSegments as error:
            broken.extend(error.diagnostics)
    if not documents:
        raise InvalidSegments(broken)
    document = merge_documents(documents)
    problems = Problems(document.places, [*broken, *document.errors], document.keys)
    texts = tuple((name, one.encode() if isinstance(one, str) else one) for name, one in files)
    definition = _read(document, problems, ListFiles(read_file, problems), texts)
    if broken or any(len(one.path) < 2 for one in document.errors):
        problems.found = [one for one in problems.found if not _rests_on_the_whole(one)]
    if problems.errors or definition is None:
        found = problems.in_order()
        raise InvalidSegments(
            (one for one in found if one.severity == "error"),
            (one for one in found if one.severity == "warning"),
            document,
        )
    return definition


def _rests_on_the_whole(one: Diagnostic) -> bool:
    """Whether what is said to be missing may stand in a part that could not be read."""
    if one.code == "missing-key":
        return one.path == ()
    return one.code.startswith("unknown-") and one.code not in _UNKNOWN_ANYWHERE


def _read(
    document: Document, problems: Problems, lists: ListFiles, texts: tuple[tuple[str, bytes], ...]
) -> Definition | None:
    data = document.data
    if not isinstance(data, dict):
        problems.error("wrong-type", "expected a map with version, segments and fallback", ())
        return None
    types = read_types(data.get("attributes"), problems)
    grammar = Grammar(problems, ChecksParser(problems, read_lists(data.get("lists"), problems), lists), types)
    traits = read_traits(data.get("traits"), grammar, problems)
    named = read_named(data.get("conditions"), grammar)
    conditions = read_conditions(data.get("segments"), grammar)
    gates = read_gates(data, grammar, problems)
    check_names(data, problems)
    check_moves(data, problems)
    check_sameness(data, problems)
    check_actionable(data, problems)
    check_traits(traits, {name: one.kind for name, one in types.items()}, problems)
    check_experiments(data, problems)
    check_templates(data, conditions, named, traits, problems)
    if isinstance(data.get("version"), bool | float):
        problems.error("wrong-value", "expected 1", ("version",))
    if data.get("segments") == []:
        problems.error("empty-group", "the file has no segments", ("segments",))
    try:
        file = SegmentsFile.model_validate(data)
    except ValidationError as error:
        report_shape(error, data, problems)
        return None
    check_durations(file, problems)
    if problems.errors:
        return None
    known = {name: trait for name, trait in traits.items() if trait is not None}
    joined, experiments = _join(file, conditions), read_experiments(file.experiments)
    meant = {key: value for key, value in data.items() if key != INCLUDE}  # files may be cut in any way
    return Definition(
        version=_hash(meant, lists.digests),
        segments=joined,
        traits=MappingProxyType(known),
        conditions=MappingProxyType({name: one for name, one in named.items() if one is not None}),
        types=MappingProxyType(types),
        plays=MappingProxyType(file.plays),
        personas=MappingProxyType(file.personas),
        teams=MappingProxyType({name: team or Team() for name, team in file.teams.items()}),
        qualifications=MappingProxyType(file.qualifications),
        experiments=MappingProxyType(experiments),
        suppression=tuple(one.name if isinstance(one, BuiltInOptions) else one for one in file.suppression),
        cooldown_after_lost=parse_duration(file.cooldown_after_lost),
        limits=file.limits,
        family=frozenset(
            one.name for one in file.suppression if isinstance(one, BuiltInOptions) and one.family
        ),
        gates=gates,
        tests=tuple(file.tests),
        retain=parse_duration(file.retain) if file.retain else 0,
        moved=MappingProxyType(dict(file.moved)),
        dropped=frozenset(file.privacy.drop if file.privacy else ()),
        personal=frozenset(file.privacy.personal if file.privacy else ()),
        same=read_sameness(file.same),
        sources=read_sources(file.sources),
        warnings=problems.in_order(),
        document=document,
        compiled_plays=MappingProxyType(compile_plays(file.plays, file.personas)),
        draws=Draws(joined, experiments),
        digest=_digest({**meant, "files of lists": dict(lists.digests)}),
        content=Content(texts, tuple(sorted(lists.contents.items()))),
    )


def _hash(data: dict[str, Any], digests: Mapping[str, str]) -> str:
    """Return a hash of everything that the segmenter uses, the files of `in_file` among it.

    Teams, qualifications, limits, sources and suppression lists are left out: they may change while a prefix runs.
    """
    kept = {
        key: value
        for key, value in data.items()
        if key not in ("teams", "qualifications", "limits", "sources", "suppression")
    }
    judged = [one for one in data.get("suppression") or () if not (isinstance(one, dict) and "file" in one)]
    if judged:
        kept["suppression"] = judged
    if teams := {name: found for name, team in (data.get("teams") or {}).items() if (found := _judged(team))}:
        kept["teams"] = teams
    if digests:
        kept["files of lists"] = dict(digests)
    return _digest(kept)


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def _judged(team: Any) -> dict[str, Any]:
    """Return what the segmenter uses of a team: territories, and the order whose values changes carry."""
    team = team if isinstance(team, dict) else {}
    members = [one for one in team.get("members") or () if isinstance(one, dict) and "territory" in one]
    territories = {one["name"]: one["territory"] for one in members}
    order = team.get("order")
    return {
        **({"territories": territories} if territories else {}),
        **({"order": order} if isinstance(order, dict) else {}),
    }


def _join(file: SegmentsFile, conditions: Conditions) -> tuple[Segment, ...]:
    segments = [_segment(entry, index, conditions) for index, entry in enumerate(file.segments)]
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
        holdout=Holdout(share=entry.holdout) if isinstance(entry.holdout, str) else entry.holdout,
        draft=entry.status == "draft",
        tags=tuple(entry.tags),
        target=entry.target,
    )


def walk(condition: Condition | None) -> Iterator[Condition]:
    """Yield the condition and every part of it."""
    if condition is None:
        return
    yield condition
    if isinstance(condition, Every | Some):
        for part in condition.parts:
            yield from walk(part)
    elif isinstance(condition, Not):
        yield from walk(condition.part)


def names_tested(definition: Definition) -> Iterator[str]:
    """Every attribute or trait that a condition tests."""
    roots: list[Condition | None] = [*definition.conditions.values()]
    for segment in definition.segments:
        roots += [segment.when, segment.hold.exit_when]
    roots += [gate.condition for gate in definition.gates]
    roots += [term.when for one in definition.traits.values() if isinstance(one, Score) for term in one.terms]
    for root in roots:
        for part in walk(root):
            if isinstance(part, Compare):
                yield part.name
