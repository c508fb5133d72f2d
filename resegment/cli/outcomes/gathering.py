"""Gather what is learned from: the file, facts, touches and outcomes, from files, a running prefix or an archive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from resegment.cli.definition.facts import read_facts
from resegment.cli.definition.facts import report as report_refusals
from resegment.cli.operations.session import open_session
from resegment.cli.options import Format
from resegment.cli.past.looking import PastView, view_archive, view_log
from resegment.cli.servers import ServerOptions
from resegment.console.progress import show_progress
from resegment.console.terminal import print_note
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.learning.observing import Observations, Observer
from resegment.schemas.fact import Fact
from resegment.segmentation.definition import Definition
from resegment.settings import ReaderSettings
from resegment.sources.segments import load_definition
from resegment.streams.outcomes.archived import read_dataset_log
from resegment.streams.outcomes.files import read_dataset_facts
from resegment.streams.outcomes.live import read_dataset
from resegment.streams.prefix import identities_of
from resegment.streams.recovery.past import FactsByAccount


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was gathered. `now` (ms) is when it is looked at: the last touch or outcome, if it comes from files.

    `facts` are by account where they come from a log, and `identify` says which account one is now.
    """

    definition: Definition
    facts: Sequence[Fact] | FactsByAccount
    dataset: Dataset
    now: int
    identify: Callable[[str], str] = str

    def observe(self, touches: pl.DataFrame) -> Observations:
        """Return what was true of accounts at touches."""
        observer = Observer(self.definition)
        if not isinstance(self.facts, dict):
            return observer.observe(self.facts, touches)
        accounts = {name: self.identify(name) for name in touches["account"].unique().to_list()}
        today = touches.with_columns(pl.col("account").replace(list(accounts), list(accounts.values())))
        return observer.observe_known(self.facts, today)


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


async def gather_past(servers: ServerOptions, archive: str | None, at: int | None) -> Gathered:
    """Read the log of a running prefix, or an archive. Raises as `open_past` does, and HistoryGone."""
    if archive is not None:
        view = await view_archive(servers, archive, time.time_ns() // 1_000_000 if at is None else at)
        reach = view.known_until if view.known_until is not None else 0
        merged = (await view.read_identities()).merged()
        dataset = await read_dataset_log(view.source, window=ReaderSettings().outcome_window, accounts=merged)
        return await _look(view, dataset, reach if at is None else at)
    async with open_session(servers) as session:
        now = await session.now() if at is None else at
        view = await view_log(session, now)
        dataset = await read_dataset(
            session.reader, window=session.settings.outcome_window, accounts=identities_of(session.held)[1]
        )
        return await _look(view, dataset, now)


async def _look(view: PastView, dataset: Dataset, at: int) -> Gathered:
    identify = await view.identify()
    definitions = view.registry.definitions
    print_note(f"From {view.place}, with {view.tell_version(at)}.")
    if reach := view.tell_reach(at):
        print_note(reach)
    facts = await view.past.facts_under(identify, at)
    return Gathered(definitions.definition_of(definitions.in_force(at)), facts, dataset, at, identify)
