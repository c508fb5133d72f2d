"""Read the data sets that ship with the package: real companies, and real funding rounds."""

from __future__ import annotations

import csv
import io
import lzma
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.port import Context, Event, Remark
from resegment.sources.conversion import Source, convert_files
from resegment.sources.registry import find_adapter

ROUNDS: Final = "crunchbase-2013"
_FILES: Final = {
    "rounds.csv.xz": "company_permalink",
    "companies.csv.xz": "permalink",
    "acquisitions.csv.xz": "company_permalink",
}
"""The files of rounds, each with the column that names the company."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """What became of the rows: events, repeats of an event, and what was refused by file and reason."""

    rows: Mapping[str, int]
    events: int
    repeated: int
    companies: int
    refused: Mapping[str, int]

    def describe(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        return asdict(self)


def read_rounds(folder: Path) -> tuple[list[Event], Rounds]:
    """Read CrunchBase's rounds, companies and acquisitions of 2013: each row is an event, or is counted as refused.

    The export has no domains: `/company/acme` is the account `acme.example`, a domain that nobody can own. Raises OSError
    if a file cannot be read.
    """
    accounts: dict[str, str] = {}
    rows: Counter[str] = Counter()
    for file, column in _FILES.items():
        for row in _rows(folder / file):
            accounts[row[column]] = f"{row[column].removeprefix('/company/')}.example"
            rows[file.partition(".")[0]] += 1
    source = Source(find_adapter(ROUNDS), Context(accounts=accounts))
    events: dict[str, Event] = {}
    repeated = 0
    refused: Counter[str] = Counter()
    for file, _, item in convert_files([str(folder / name) for name in _FILES], source):
        if isinstance(item, RefusedEvent):
            refused[f"{Path(file).name.partition('.')[0]}: {item.reason}"] += 1
        elif not isinstance(item, Remark):
            repeated += item["id"] in events
            events[item["id"]] = item
    subjects = {one["subject"] for one in events.values()}
    return list(events.values()), Rounds(dict(rows), len(events), repeated, len(subjects), dict(refused))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with lzma.open(path) as file:
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))
