"""Gather what experiments and learning need: facts, touches, outcomes, and versions of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from resegment.cli.definition.facts import read_facts
from resegment.cli.definition.facts import report as report_refusals
from resegment.cli.options import Format
from resegment.console.progress import show_progress
from resegment.outcomes.dataset import Dataset
from resegment.schemas.fact import Fact
from resegment.segmentation.definition import Definition
from resegment.settings import ReaderSettings
from resegment.sources.segments import load_definition
from resegment.streams.outcomes.files import read_dataset_facts


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was gathered. `now` (ms) is when it is looked at: the last touch or outcome, if it comes from files."""

    definition: Definition
    facts: Sequence[Fact]
    dataset: Dataset
    now: int


def gather_files(
    segments: str, events: Sequence[str], commands: Sequence[str], form: Format | None, at: int | None
) -> Gathered:
    """Read recorded events and commands. Raises WrongFile and what `load_definition` raises."""
    definition = load_definition(segments)
    with show_progress() as bars:
        facts, refusals = read_facts(list(events), form, bars, definition=definition)
        dataset = read_dataset_facts(facts, commands, window=ReaderSettings().outcome_window)
    report_refusals(refusals, len(facts))
    return Gathered(definition, facts, dataset, find_last(dataset) if at is None else at)


def find_last(dataset: Dataset) -> int:
    """Return when (ms) the last touch or outcome was; recorded data are looked at as of then."""
    times = pl.concat([dataset.touches["at"], dataset.outcomes["at"]]).dt.epoch("ms")
    return int(times.max() or 0)  # type: ignore[arg-type]  # instants in ms
