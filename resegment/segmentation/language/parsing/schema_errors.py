"""Report what pydantic finds in a segments file in plain words: each value once, at its place."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.segments import SegmentsFile
from resegment.schemas.times import format_duration, parse_duration
from resegment.segmentation.language.limits import MAX_DURATION
from resegment.segmentation.language.parsing.known_keys import keys_at
from resegment.segmentation.language.parsing.suggestions import find_word, suggest_word

_EXPECTED: Final = {
    "string_type": "text",
    "dict_type": "a map",
    "model_type": "a map",
    "list_type": "a list",
    "int_type": "a whole number",
    "string_too_short": "some text",
    "too_short": "at least one",
    "string_too_long": "a shorter text",
}
_BOUNDS: Final = {
    "greater_than": ("gt", "a number greater than {:,}"),
    "greater_than_equal": ("ge", "a number of at least {:,}"),
    "less_than": ("lt", "a number less than {:,}"),
    "less_than_equal": ("le", "a number of at most {:,}"),
}
"""Kinds of pydantic's errors about ranges, where each keeps its bound, and what to say."""


_DURATION: Final = "a duration like 90d"
_LIKE: Final[dict[str | int, str]] = {
    "holdout": "a share like 10%",
    "share": "a share like 10%",
    "baseline": "a share like 10%",
    "difference": "a share like 10%",
    "power": "a share like 80%",
    "confidence": "a share like 95%",
    "horizon": _DURATION,
    "min_dwell": _DURATION,
    "cooldown": _DURATION,
    "cooldown_after_lost": _DURATION,
    "over": _DURATION,
    "sla": _DURATION,
    "retain": _DURATION,
    "after": _DURATION,
    "per": _DURATION,
    "settle": _DURATION,
    "hours": "hours like mon-fri 09:00-17:00",
    "target": "a number like 50",
}
"""What to write for keys whose values look like nothing else, where another type is written."""
_MOST_SHOWN: Final = 80


def report_shape(error: ValidationError, data: Any, problems: Problems) -> None:
    """Missing and unknown keys, and values of a wrong type."""
    wrong: dict[Path, list[str]] = {}
    given: dict[Path, Any] = {}
    deeper: set[Path] = set()
    for one in error.errors(include_url=False):
        location, kind = one["loc"], one["type"]
        path = _existing(location, data)
        deeper.update(path[:depth] for depth in range(len(path)))
        if kind == "missing":
            deeper.add(path)
            problems.error("missing-key", f"{location[-1]} is required", path)
        elif kind == "extra_forbidden":
            key = str(location[-1])
            message = f"{key!r} is not a key here"
            remedy = suggest_word(key, keys_at(path[:-1])) if path else None
            problems.error("unknown-key", message, path, remedy, at_key=True)
        elif kind == "value_error":
            message = one["msg"].removeprefix("Value error, ")
            remedy = getattr(one.get("ctx", {}).get("error"), "remedy", None)
            problems.error(
                "wrong-duration" if "duration" in message else "wrong-value", message, path, remedy
            )
            deeper.add(path)
        elif kind == "literal_error":
            expected = str(one.get("ctx", {}).get("expected", "another value"))
            meant = find_word(str(one["input"]), re.findall(r"'([^']*)'", expected))
            remedy = None if meant is None else f"did you mean {meant!r}?"
            problems.error("wrong-value", f"expected {expected}, not {_show(one['input'])}", path, remedy)
        else:
            wrong.setdefault(path, []).append(_expected(one))
            given[path] = one["input"]
    for path, alternatives in wrong.items():
        # Of the alternatives of a union, the one that got further tells more.
        if path not in deeper:
            like = _LIKE.get(path[-1]) if path else None
            told = like or " or ".join(dict.fromkeys(alternatives))
            problems.error("wrong-type", f"expected {told}{_but(given[path])}", path)


def _expected(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind in _BOUNDS:
        bound, text = _BOUNDS[kind]
        return text.format(error["ctx"][bound])
    return _EXPECTED.get(kind, f"another value: {error['msg']}")


def _but(value: Any) -> str:
    return "" if isinstance(value, str | list | dict) or value is None else f", not {_show(value)}"


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    return repr(value) if len(repr(value)) <= _MOST_SHOWN else f"{repr(value)[:_MOST_SHOWN]}..."


def _existing(location: tuple[int | str, ...], data: Any) -> Path:
    """Return the location without the names of model classes that pydantic puts into those of unions."""
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
    """Report durations that no calendar has."""
    durations: list[tuple[str | None, Path]] = [
        (file.retain, ("retain",)),
        (file.cooldown_after_lost, ("cooldown_after_lost",)),
        (None if file.limits is None else file.limits.per, ("limits", "per")),
    ]
    for name, treatment in file.qualifications.items():
        durations.append((treatment.sla, ("qualifications", name, "sla")))
    for name, experiment in file.experiments.items():
        durations.append((experiment.horizon, ("experiments", name, "horizon")))
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
