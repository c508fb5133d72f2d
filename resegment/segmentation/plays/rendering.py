"""Plays as they are said to one account: texts are compiled once, what has no template is a constant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from resegment.schemas.outgoing import describe_play
from resegment.schemas.segments import Persona, Play
from resegment.schemas.times import parse_instant
from resegment.segmentation.plays.templates import (
    FAILURES,
    Facts,
    Fields,
    Render,
    clean,
    compile_template,
    is_template,
    plain_part,
)

Cited = Mapping[str, Any]
"""A fact as evidence names it."""

NOTHING: Final = "…"
"""Stands for a required text of which nothing can be said."""


class Rendered(NamedTuple):
    """A play in plain data, and what could not be said: each text with the cause."""

    play: dict[str, Any]
    problems: tuple[str, ...] = ()


class _Part(Protocol):
    def render(self, variables: dict[str, Any], problems: list[str]) -> Any:
        """Return the part's plain data, or None where nothing is left of it."""
        ...


@dataclass(frozen=True, slots=True)
class _Text:
    path: str
    apply: Render

    def render(self, variables: dict[str, Any], problems: list[str]) -> str | None:
        try:
            return self.apply(variables) or None
        except FAILURES as error:
            problems.append(f"{self.path}: {error}")
            return None


@dataclass(frozen=True, slots=True)
class _List:
    items: tuple[Any, ...]

    def render(self, variables: dict[str, Any], problems: list[str]) -> list[Any] | None:
        said = [one.render(variables, problems) if isinstance(one, _PARTS) else one for one in self.items]
        return [one for one in said if one is not None] or None


@dataclass(frozen=True, slots=True)
class _Map:
    """`parts` are those of `base` that vary; `instead` is said where one that is required is lost."""

    base: dict[str, Any]
    parts: tuple[tuple[str, _Part], ...]
    instead: dict[str, Any]
    vital: str | None = None

    def render(self, variables: dict[str, Any], problems: list[str]) -> dict[str, Any] | None:
        said = dict(self.base)
        for key, part in self.parts:
            value = part.render(variables, problems)
            if value is not None:
                said[key] = value
            elif key in self.instead:
                said[key] = self.instead[key]
                problems.append(f"message.{key}: said without its expressions")
            elif key == self.vital:
                return None
            else:
                del said[key]
        return said


_PARTS: Final = (_Text, _List, _Map)
_REQUIRED: Final = ("pain", "value_prop", "proof_points")


class CompiledPlay:
    """A play that can be said; `constant` where it says the same to everybody."""

    def __init__(self, play: Mapping[str, Any]) -> None:
        self.plain = dict(play)
        self.asks_evidence = False
        self._root = self._compile(self.plain, "")
        self.constant = self._root is None

    def _compile(self, value: Any, path: str) -> _Part | None:
        if isinstance(value, str) and is_template(value):
            self.asks_evidence = self.asks_evidence or "evidence" in value
            return _Text(path, compile_template(value))
        if isinstance(value, list):
            items = [self._compile(one, f"{path}[{index}]") for index, one in enumerate(value)]
            if any(one is not None for one in items):
                return _List(tuple(one or raw for one, raw in zip(items, value, strict=True)))
        if isinstance(value, dict):
            found = ((key, self._compile(one, f"{path}.{key}".lstrip("."))) for key, one in value.items())
            parts = tuple((key, part) for key, part in found if part is not None)
            if parts:
                required = _REQUIRED if path == "message" else ()
                instead = {key: _say_plainly(value[key]) for key in required if key in dict(parts)}
                vital = "objection" if path.startswith("message.objections[") else None
                return _Map(value, parts, instead, vital)
        return None

    def render(
        self, *, account: str, segment: str, values: Mapping[str, Any], evidence: Iterable[Cited] = ()
    ) -> Rendered:
        """Return the play as it is said to an account. Never fails: see `render_play`."""
        if self._root is None:
            return Rendered(self.plain)
        variables = clean(values)
        variables.update(
            account=account,
            segment=segment,
            evidence=newest_of_kinds(evidence) if self.asks_evidence else Facts(),
        )
        problems: list[str] = []
        return Rendered(self._root.render(variables, problems), tuple(problems))


def _say_plainly(value: Any) -> Any:
    """Return a text without its expressions; for a list, at least one text."""
    if isinstance(value, str):
        return (plain_part(value) if is_template(value) else value) or NOTHING
    said = [plain_part(one) if is_template(one) else one for one in value]
    return [one for one in said if one][:1] or [NOTHING]


def with_personas(play: Play, personas: Mapping[str, Persona]) -> Play:
    """Return the play with the shared personas in it that it names."""
    found: list[str | Persona] = [
        personas[one].model_copy(update={"name": personas[one].name or one})
        if isinstance(one, str) and one in personas
        else one
        for one in play.personas
    ]
    return play.model_copy(update={"personas": found})


def compile_play(play: Play) -> CompiledPlay:
    """Return a play of a definition, ready to be said."""
    return CompiledPlay(describe_play(play))


def compile_plays(plays: Mapping[str, Play], personas: Mapping[str, Persona]) -> dict[str, CompiledPlay]:
    """Return the plays of a definition by name, ready to be said, with its shared personas in them."""
    return {name: compile_play(with_personas(play, personas)) for name, play in plays.items()}


def render_play(
    play: CompiledPlay,
    *,
    account: str,
    segment: str,
    values: Mapping[str, Any],
    evidence: Iterable[Cited] = (),
) -> Rendered:
    """Return the play as it is said to an account of a segment, from the values and evidence that its change carries.

    It never fails. A text that comes to nothing is left out; so is one that cannot be rendered, which is told among the
    problems. Of pain, value proposition and the proof points together, the words outside of expressions are said then.
    """
    return play.render(account=account, segment=segment, values=values, evidence=evidence)


def cited_in(reason: Mapping[str, Any]) -> list[Cited]:
    """Every fact that the reason of a change names."""
    return [fact for test in reason.get("holds", ()) for fact in test.get("evidence", ())]


def newest_of_kinds(evidence: Iterable[Cited]) -> Facts:
    """Kind to the fields of the newest fact of it, its `time` and `source` among them."""
    newest: dict[str, tuple[tuple[int, str], Cited]] = {}
    for fact in evidence:
        order = (parse_instant(fact["time"]), fact["id"])
        held = newest.get(fact["kind"])
        if held is None or held[0] < order:
            newest[fact["kind"]] = (order, fact)
    facts = Facts()
    for kind, (_, fact) in newest.items():
        fields: Fields = clean(fact.get("data") or {})
        fields.update(time=fact["time"], source=fact["source"])
        facts[kind] = fields
    return facts
