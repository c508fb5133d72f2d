"""Read what came of touches from where it is, and measure it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

from resegment.cli.definition.facts import report as report_refusals
from resegment.cli.operations.session import open_session
from resegment.cli.options import Format
from resegment.cli.outcomes.gathering import Gathered, gather_files, gather_past
from resegment.cli.past.looking import view_archive
from resegment.cli.servers import ServerOptions
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
from resegment.streams.definitions.history import Definitions
from resegment.streams.outcomes.archived import read_dataset_log
from resegment.streams.outcomes.files import read_dataset_files
from resegment.streams.outcomes.live import read_dataset
from resegment.streams.prefix import identities_of


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


async def measure_past(
    servers: ServerOptions, segments: str | None, archive: str | None, question: Question, *, explore: bool
) -> Report:
    """Measure a running prefix, or an archive if one is given."""
    if explore:
        return await explore_past(servers, archive, question)
    if archive is not None:
        return await measure_archive(servers, archive, question)
    return await measure_prefix(servers, segments, question)


async def measure_prefix(servers: ServerOptions, segments: str | None, question: Question) -> Report:
    """Measure a running prefix. Raises as `open_session` does, StoreUnavailable and BrokenState."""
    async with open_session(servers, segments=segments) as session:
        registry = await session.load_registry()
        now = await session.now()
        dataset = await read_dataset(
            session.reader,
            window=session.settings.outcome_window,
            accounts=identities_of(session.held)[1],
        )
    options = question.options(_instant(now), find_definitions(registry.definitions, dataset))
    return await asyncio.to_thread(measure, dataset, options)


async def measure_archive(servers: ServerOptions, path: str, question: Question) -> Report:
    """Measure what an archive has; it needs no servers. Raises as `view_archive` does."""
    now = time.time_ns() // 1_000_000
    view = await view_archive(servers, path, int(question.at.timestamp() * 1000) if question.at else now)
    merged = (await view.read_identities()).merged()
    dataset = await read_dataset_log(view.source, window=ReaderSettings().outcome_window, accounts=merged)
    reach = now if view.known_until is None else view.known_until
    options = question.options(_instant(reach), find_definitions(view.registry.definitions, dataset))
    return await asyncio.to_thread(measure, dataset, options)


def explore_files(
    events: Sequence[str], commands: Sequence[str], form: Format | None, segments: str, question: Question
) -> Report:
    """Measure recorded events and commands, and search the groups. Raises as `gather_files` does."""
    return _explore(gather_files(segments, events, commands, form, _ms(question.at)), question)


async def explore_past(servers: ServerOptions, archive: str | None, question: Question) -> Report:
    """Measure a running prefix or an archive, and search the groups. Raises as `gather_past` does."""
    gathered = await gather_past(servers, archive, _ms(question.at))
    return await asyncio.to_thread(_explore, gathered, question)


def _explore(gathered: Gathered, question: Question) -> Report:
    options = question.options(_instant(gathered.now), [gathered.definition])
    features = gathered.observe(gathered.dataset.touches).frame
    return measure(gathered.dataset, options, features)


def _ms(instant: datetime | None) -> int | None:
    return None if instant is None else round(instant.timestamp() * 1000)


def find_definitions(definitions: Definitions, dataset: Dataset) -> list[Definition]:
    """Return the versions that touches were made by, the oldest first."""
    used = set(dataset.touches["definition_version"].unique())
    numbers = sorted(definitions.versions)
    return [
        definitions.definition_of(number)
        for number in numbers
        if definitions.version(number).fingerprint in used or number == definitions.current
    ]


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def last_of(dataset: Dataset) -> datetime:
    """Return the time of the last touch or outcome: recorded data are measured as of then."""
    latest = [frame["at"].max() for frame in (dataset.touches, dataset.outcomes) if len(frame)]
    times = [one for one in latest if isinstance(one, datetime)]
    return max(times, default=datetime.now(UTC))
