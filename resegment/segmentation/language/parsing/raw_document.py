"""Walk the plain data of the file part by part, each with its path, and skip broken parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from resegment.documents.diagnostics import Path
from resegment.segmentation.language.limits import TESTS_OF_FACTS


@dataclass(frozen=True, slots=True)
class Written:
    """One test as the file has it: of events (`name` is the kind), of a value, or of another condition by its name."""

    test: Literal["event", "value", "segment", "condition"]
    name: str
    operand: Any
    path: Path
    beside_events: bool = False
    """Whether it stands in one map with an event test or a sequence."""


def entries(data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Path]]:
    """Every segment and, last, the fallback."""
    segments = data.get("segments")
    for index, entry in enumerate(segments if isinstance(segments, list) else ()):
        if isinstance(entry, dict):
            yield entry, ("segments", index)
    if isinstance(data.get("fallback"), dict):
        yield data["fallback"], ("fallback",)


def conditions(data: dict[str, Any]) -> Iterator[tuple[Any, Path]]:
    """Every condition: `when` and `exit_when`, named conditions, terms of scores, suppressions, territories."""
    for entry, path in entries(data):
        if "when" in entry:
            yield entry["when"], (*path, "when")
        hold = entry.get("hold")
        if isinstance(hold, dict) and "exit_when" in hold:
            yield hold["exit_when"], (*path, "hold", "exit_when")
    yield from named_conditions(data)
    for name in _maps(data.get("traits")):
        yield from terms(data, name)
    yield from gates(data)


def named_conditions(data: dict[str, Any]) -> Iterator[tuple[Any, Path]]:
    """Yield the conditions under `conditions`."""
    for name, entry in _maps(data.get("conditions")).items():
        yield entry, ("conditions", name)


def terms(data: dict[str, Any], trait: str) -> Iterator[tuple[Any, Path]]:
    """Yield the conditions of a score; none if the trait is no score."""
    listed = _maps(_maps(data.get("traits")).get(trait)).get("score")
    for index, term in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(term, dict) and "when" in term:
            yield term["when"], ("traits", trait, "score", index, "when")


def _maps(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def gates(data: dict[str, Any]) -> Iterator[tuple[Any, Path]]:
    """Yield the conditions of suppressions and territories."""
    listed = data.get("suppression")
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(entry, dict) and "when" in entry:
            yield entry["when"], ("suppression", index, "when")
    for _, member, path in territories(data):
        yield member["territory"], path


def territories(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """Yield the members that have a territory, each with the team and the path of the territory."""
    for team, entry in _maps(data.get("teams")).items():
        members = entry.get("members") if isinstance(entry, dict) else None
        for index, member in enumerate(members if isinstance(members, list) else ()):
            if isinstance(member, dict) and member.get("territory") is not None:
                yield team, member, ("teams", team, "members", index, "territory")


def tests(raw: Any, path: Path) -> Iterator[Written]:
    """Every test of a condition; each step of a sequence is a test of events."""
    if not isinstance(raw, dict):
        return
    word = next((one for one in TESTS_OF_FACTS if one in raw), None)
    if word == "event":
        yield Written("event", str(raw["event"]), raw, path)
        if isinstance(unless := raw.get("not_followed_by"), dict):
            yield Written("event", str(unless.get("event")), unless, (*path, "not_followed_by"))
    elif word == "open":
        yield Written("event", str(raw["open"]), raw, path)
    elif word == "sequence":
        steps = raw["sequence"]
        for index, step in enumerate(steps if isinstance(steps, list) else ()):
            if isinstance(step, dict):
                yield Written("event", str(step.get("event")), step, (*path, "sequence", index))
    own = () if word is None else TESTS_OF_FACTS[word]
    for key, value in raw.items():
        if key not in own:
            yield from _tests_under(key, value, (*path, key), word is not None)


def _tests_under(key: str, value: Any, path: Path, beside: bool) -> Iterator[Written]:
    if key in ("all", "any"):
        for index, part in enumerate(value if isinstance(value, list) else ()):
            yield from tests(part, (*path, index))
    elif key == "not":
        yield from tests(value, path)
    elif key in ("segment", "condition"):
        if isinstance(value, str):
            yield Written("segment" if key == "segment" else "condition", value, value, path)
    else:
        yield Written("value", key, value, path, beside)
