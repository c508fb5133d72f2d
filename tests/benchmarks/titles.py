"""Measure how often the role of a title is right, with the interval of 95 %, and how many titles name no role.

Run `python -m tests.benchmarks.titles [FILE...]`: each FILE has a title on each line, and is counted by what they become.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from resegment.sources.normalizers.titles import read_title

LABELED: Final = Path(__file__).parents[1] / "data" / "titles.tsv"


def interval(right: int, all_: int) -> tuple[float, float]:
    """Return Wilson's interval of a share."""
    if not all_:
        return 0.0, 1.0
    z, p = 1.96, right / all_
    middle, spread = p + z * z / (2 * all_), z * math.sqrt((p * (1 - p) + z * z / (4 * all_)) / all_)
    return (middle - spread) / (1 + z * z / all_), (middle + spread) / (1 + z * z / all_)


def measure() -> dict[str, tuple[int, int, int]]:
    """Return by role: titles that were given it, those of them that are right, and those that have it."""
    given: Counter[str] = Counter()
    right: Counter[str] = Counter()
    labeled: Counter[str] = Counter()
    for line in LABELED.read_text("utf-8").splitlines():
        label, _, title = line.split("\t")
        found = read_title(title).role or "-"
        given[found] += 1
        labeled[label] += 1
        right[found] += found == label
    return {role: (given[role], right[role], labeled[role]) for role in sorted({*given, *labeled} - {"-"})}


def main(files: list[str]) -> None:
    """Print the tables."""
    print(
        "| role | titles given it | right | precision | 95 % interval | found of labeled |\n| --- | --- | --- | --- | --- | --- |"
    )
    for role, (given, right, labeled) in measure().items():
        low, high = interval(right, given)
        share = f"{right / given:.1%}" if given else "-"
        print(f"| `{role}` | {given} | {right} | {share} | {low:.1%} to {high:.1%} | {right} of {labeled} |")
    for file in files:
        titles = Path(file).read_text("utf-8").splitlines()
        found = [read_title(title) for title in titles]
        print(f"\n{file}: {len(titles):,} titles")
        for part in ("role", "function", "seniority"):
            counts = Counter(getattr(one, part) or "unknown" for one in found)
            print(
                f"{part}: "
                + ", ".join(
                    f"{name} {number:,} ({number / len(titles):.1%})" for name, number in counts.most_common()
                )
            )


if __name__ == "__main__":
    main(sys.argv[1:])
