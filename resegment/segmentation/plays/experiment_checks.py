"""What is wrong with the experiments of a file, found on its plain data, so that no other error hides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.written import read_share
from resegment.segmentation.language.parsing.raw_document import entries
from resegment.segmentation.language.references import choices


def check_experiments(data: Mapping[str, Any], problems: Problems) -> None:
    """Report segments and plays that do not exist, and experiments that would draw the same accounts at a time."""
    experiments = dict(_experiments(data))
    segments = {one["name"]: one for one, _ in entries(dict(data)) if isinstance(one.get("name"), str)}
    for name, one in experiments.items():
        _check_one(name, one, segments, data, problems)
    for (first, one), (second, other) in combinations(experiments.items(), 2):
        if (
            isinstance(one.get("segment"), str)
            and one["segment"] == other.get("segment")
            and _meet(one, other)
        ):
            problems.error(
                "overlapping-experiments",
                f"{first!r} and {second!r} draw the accounts of {one['segment']!r} at the same time",
                ("experiments", second, "segment"),
                "let one of them end before the other starts",
            )


def _experiments(data: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    listed = data.get("experiments")
    for name, one in listed.items() if isinstance(listed, dict) else ():
        if isinstance(one, dict) and isinstance(name, str):
            yield name, one


def _check_one(
    name: str,
    one: Mapping[str, Any],
    segments: Mapping[str, Mapping[str, Any]],
    data: Mapping[str, Any],
    problems: Problems,
) -> None:
    path: Path = ("experiments", name)
    wanted = one.get("segment")
    segment = segments.get(wanted) if isinstance(wanted, str) else None
    if isinstance(wanted, str) and segment is None:
        problems.error(
            "unknown-segment", f"no segment is named {wanted!r}", (*path, "segment"), choices(segments)
        )
    if segment is not None and segment.get("holdout") is not None and one.get("holdout") is not None:
        problems.error(
            "overlapping-experiments",
            f"{wanted!r} has a holdout of its own",
            (*path, "holdout"),
            "remove one of the two",
        )
    plays, known = one.get("plays"), data.get("plays")
    named = plays if isinstance(plays, list) else []
    for index, play in enumerate(named):
        if isinstance(play, str) and play and isinstance(known, dict | None) and play not in (known or {}):
            where = (*path, "plays", index)
            problems.error("unknown-play", f"no play is named {play!r}", where, choices(known or ()))
    if len(named) == 2 and named[0] == named[1]:
        problems.error(
            "duplicate-name", "a play is compared with itself", (*path, "plays", 1), "name another play"
        )
    shares = _share(one.get("baseline")), _share(one.get("difference"))
    if None not in shares and sum(one or 0 for one in shares) >= 1:
        problems.error(
            "wrong-value",
            "baseline and difference together come to 100% or more",
            (*path, "difference"),
            "give the difference in percentage points: 3% on a baseline of 6% is 9%",
        )


def _share(raw: Any) -> float | None:
    try:
        return read_share(raw) if isinstance(raw, str) else None
    except ValueError:  # reported with its place elsewhere
        return None


def _meet(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two experiments run on one day; days are texts like 2026-12-24, which sort as they follow each other."""
    return _starts(one) <= _ends(other) and _starts(other) <= _ends(one)


def _starts(one: Mapping[str, Any]) -> str:
    day = one.get("starts")
    return day if isinstance(day, str) else ""


def _ends(one: Mapping[str, Any]) -> str:
    day = one.get("ends")
    return day if isinstance(day, str) else "~"
