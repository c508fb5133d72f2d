"""What pydantic finds in a segments file, in the file's own terms: each value once, at its place."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.segments import SegmentsFile
from resegment.schemas.times import format_duration, parse_duration
from resegment.segmentation.language.limits import MAX_DURATION

_EXPECTED: Final = {
    "string_type": "a text",
    "dict_type": "a map",
    "model_type": "a map",
    "list_type": "a list",
    "int_type": "a whole number",
    "string_too_short": "some text",
    "too_short": "at least one",
    "string_too_long": "a shorter text",
    "greater_than": "a greater number",
}


def report_shape(error: ValidationError, data: Any, problems: Problems) -> None:
    """Missing and unknown keys, and values of a wrong type."""
    wrong: dict[Path, list[str]] = {}
    deeper: set[Path] = set()
    for one in error.errors(include_url=False):
        location, kind = one["loc"], one["type"]
        path = _existing(location, data)
        deeper.update(path[:depth] for depth in range(len(path)))
        if kind == "missing":
            deeper.add(path)
            problems.error("missing-key", f"{location[-1]} is required", path)
        elif kind == "extra_forbidden":
            message = f"{location[-1]!r} is no key of this place"
            problems.error("unknown-key", message, path, "take it out", at_key=True)
        elif kind == "value_error":
            message = one["msg"].removeprefix("Value error, ")
            problems.error("wrong-duration" if "duration" in message else "wrong-value", message, path)
        elif kind == "literal_error":
            problems.error("wrong-value", f"expected {one.get('ctx', {}).get('expected', 'another')}", path)
        else:
            wrong.setdefault(path, []).append(_EXPECTED.get(kind, f"something else: {one['msg']}"))
    for path, expected in wrong.items():
        # Of the alternatives of a union, the one that got further tells more.
        if path not in deeper:
            problems.error("wrong-type", f"expected {' or '.join(dict.fromkeys(expected))}", path)


def _existing(location: tuple[int | str, ...], data: Any) -> Path:
    """The location without the names of model classes that pydantic puts into those of unions."""
    path: list[int | str] = []
    for part in location:
        inside = part in data if isinstance(data, dict) else _is_index(part, data)
        if inside:
            data = data[part]
            path.append(part)
    return tuple(path)


def _is_index(part: int | str, data: Any) -> bool:
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def check_durations(file: SegmentsFile, problems: Problems) -> None:
    """Times of `hold` and `retain` that no calendar has."""
    durations: list[tuple[str | None, Path]] = [
        (file.retain, ("retain",)),
        (file.cooldown_after_lost, ("cooldown_after_lost",)),
    ]
    for name, treatment in file.qualifications.items():
        durations.append((treatment.sla, ("qualifications", name, "sla")))
    if file.fallback.route is not None:
        durations.append((file.fallback.route.cooldown, ("fallback", "route", "cooldown")))
    for index, entry in enumerate(file.segments):
        durations.append((entry.route.cooldown, ("segments", index, "route", "cooldown")))
        if entry.hold is not None:
            path: Path = ("segments", index, "hold")
            durations.append((entry.hold.min_dwell, (*path, "min_dwell")))
            durations.append((entry.hold.cooldown, (*path, "cooldown")))
    for text, path in durations:
        if text is not None and parse_duration(text) > MAX_DURATION:
            problems.error("wrong-duration", f"{text} is more than {format_duration(MAX_DURATION)}", path)
