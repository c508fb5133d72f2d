"""Read what came of touches from where it is, and measure it."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

from resegment.cli.definition.facts import report as report_refusals
from resegment.cli.options import Format
from resegment.console.progress import show_progress
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.measure import measure
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.options import WINDOWS, MeasureOptions
from resegment.outcomes.measuring.report import Report
from resegment.schemas.written import read_share
from resegment.segmentation.definition import Definition
from resegment.settings import ReaderSettings
from resegment.sources.files.located import Located
from resegment.sources.files.reader import Refusals, read_events
from resegment.sources.segments import load_definition
from resegment.streams.outcomes.files import read_dataset_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked on the command line; what is None follows from the data."""

    by: str = "segment"
    since: datetime | None = None
    at: datetime | None = None
    mature: bool = False
    windows: Mapping[str, int] = field(default_factory=dict)
    detect: float = 0.25
    power: float = 0.8
    confidence: float = 0.95

    def options(self, at: datetime, definitions: Iterable[Definition]) -> MeasureOptions:
        """Return how to measure as of an instant, with the holdouts that the definitions declare, the latest last."""
        shares: dict[str, float] = {}
        by_version: dict[str, dict[str, float]] = {}
        for definition in definitions:
            own = find_shares(definition)
            shares |= own
            by_version[definition.version] = own
        return MeasureOptions(
            until=self.at or at,
            since=self.since,
            by=By(self.by),
            mature=self.mature,
            windows={**WINDOWS, **self.windows},
            shares=shares,
            version_shares=by_version,
            confidence=self.confidence,
            detect=self.detect,
            power=self.power,
        )


def find_shares(definition: Definition) -> dict[str, float]:
    """Return the share of each segment that is held out."""
    return {one.name: read_share(one.holdout.share) for one in definition.segments if one.holdout is not None}


def measure_files(
    events: Sequence[str],
    commands: Sequence[str],
    form: Format | None,
    segments: str | None,
    question: Question,
) -> Report:
    """Measure recorded events and commands. Raises WrongFile and what `load_definition` raises."""
    definitions = [] if segments is None else [load_definition(segments)]
    refusals = Refusals()
    name = None if form is None else form.value
    with show_progress() as bars:
        located: Iterator[Located] = chain.from_iterable(
            read_events(path, name, bars.watch) for path in events
        )
        gc.disable()  # nothing that is read is garbage before the end
        try:
            dataset = read_dataset_files(located, commands, refusals, window=ReaderSettings().outcome_window)
        finally:
            gc.enable()
        gc.freeze()
        made = measure(dataset, question.options(last_of(dataset), definitions))
    report_refusals(refusals, len(dataset.outcomes))
    return made


def last_of(dataset: Dataset) -> datetime:
    """Return the time of the last touch or outcome: recorded data are measured as of then."""
    latest = [frame["at"].max() for frame in (dataset.touches, dataset.outcomes) if len(frame)]
    times = [one for one in latest if isinstance(one, datetime)]
    return max(times, default=datetime.now(UTC))
