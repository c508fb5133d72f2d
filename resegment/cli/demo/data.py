"""The data sets of the demo, and their events."""

# ruff: noqa: PLC0415 -- what is heavy is imported when the demo runs
from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from resegment.errors import ResegmentError, explain_os_error

if TYPE_CHECKING:
    from resegment.console.runtime.demo import Companies
    from resegment.schemas.fact import Fact
    from resegment.segmentation.definition import Definition
    from resegment.sources.shipped import Rounds


class DemoFailed(ResegmentError):
    """The demo did not finish, or its result is wrong."""


class Dataset(StrEnum):
    """The data sets that ship with the package."""

    YC = "yc"
    ROUNDS = "crunchbase-2013"


UNTIL: Final = {Dataset.YC: "2025-04-01T00:00:00Z", Dataset.ROUNDS: "2014-01-01T00:00:00Z"}
"""The end of each replay: shortly after the last facts."""


@dataclass(frozen=True, slots=True)
class Data:
    """The events of the demo, each with its bytes, and figures about them."""

    definition: Definition
    events: list[tuple[Fact, bytes]]
    companies: Companies | Rounds
    names: dict[str, str]
    until: str


class Reading(NamedTuple):
    """Reads the events of a data set, and writes them to a file if that is asked for."""

    dataset: Dataset
    events: Path | None = None

    def read(self) -> Data:
        """Return the events. Raises WrongFile or NoSegmentsFile if they are missing."""
        found = _read_companies() if self.dataset is Dataset.YC else _read_rounds()
        if self.events is not None:
            try:
                self.events.write_bytes(b"".join(value + b"\n" for _, value in found.events))
            except OSError as error:
                raise DemoFailed(f"cannot write {self.events}: {explain_os_error(error)}") from error
        return found


def _read_companies() -> Data:
    """Return the events of the directory, and invented ones."""
    from resegment.cli.runtime.examples import FOLDER
    from resegment.console.runtime.demo import Companies
    from resegment.sources.files.reader import read_events
    from resegment.sources.providers.yc import read_files

    synthetic = read_events(str(FOLDER / "synthetic.jsonl.gz"))
    directory, counts = read_files(
        FOLDER / "yc" / "snapshot-2021-12-02.jsonl.gz", FOLDER / "yc" / "changes-2022-2025.jsonl.gz"
    )
    values = [orjson.dumps(event) for event in directory]
    values += [event.value for event in synthetic]
    companies = Companies(
        counts.companies, counts.accounts, counts.companies - counts.placed, counts.moved, counts.events
    )
    return _decode(FOLDER / "segments.yaml", values, companies, Dataset.YC)


def _read_rounds() -> Data:
    """Return the events of the rounds."""
    from resegment.cli.runtime.examples import FOLDER
    from resegment.sources.shipped import ROUNDS, read_rounds

    events, rounds = read_rounds(FOLDER / ROUNDS)
    values = [orjson.dumps(event) for event in events]
    return _decode(FOLDER / ROUNDS / "segments.yaml", values, rounds, Dataset.ROUNDS)


def _decode(segments: Path, values: list[bytes], about: Companies | Rounds, dataset: Dataset) -> Data:
    from resegment.identity.resolution import resolve_event
    from resegment.schemas.cloudevents.decoding import decode_event
    from resegment.sources.segments import load_definition

    events = [(resolve_event(decode_event(value)), value) for value in values]
    names = {fact.account: fact.data["name"] for fact, _ in events if fact.data.get("name") is not None}
    return Data(load_definition(str(segments)), events, about, names, UNTIL[dataset])
