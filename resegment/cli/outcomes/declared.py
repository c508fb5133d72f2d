"""Find the experiments that a prefix or a file has declared, and read them out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from resegment.cli.operations.session import Session
from resegment.cli.past.looking import FutureTime
from resegment.errors import ResegmentError
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.experiments.reading import ReadOptions, read_experiment
from resegment.outcomes.experiments.readout import Look, Readout
from resegment.schemas.times import format_instant
from resegment.segmentation.definition import Definition
from resegment.segmentation.plays.experiments import Experiment
from resegment.streams.audit.reading import read_audit_log
from resegment.streams.definitions.history import Definitions
from resegment.streams.outcomes.live import read_dataset
from resegment.streams.prefix import identities_of

ACTION = "experiments show"
"""The action of the audit log under which looks are recorded."""


@dataclass(frozen=True, slots=True)
class DeclaredExperiment:
    """An experiment as it was declared last. `versions` are the fingerprints of the versions that draw as it does."""

    experiment: Experiment
    versions: frozenset[str] | None = None
    stopped: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclaredExperiments:
    """The experiments, by name, and what they are read from as of `now` (ms)."""

    experiments: dict[str, DeclaredExperiment]
    dataset: Dataset
    now: int
    looks: dict[str, list[Look]] = field(default_factory=dict)

    def read(self, name: str, *, early: bool = False) -> Readout:
        """Read one experiment out. Raises KeyError."""
        one = self.experiments[name]
        options = ReadOptions(
            self.now,
            early=early,
            versions=one.versions,
            stopped=one.stopped,
            looks=self.looks.get(name, ()),
            notes=one.notes,
        )
        return read_experiment(one.experiment, self.dataset, options)

    def read_all(self) -> list[Readout]:
        """Read how far each experiment is, and nothing of what it says."""
        return [_hide(self.read(name)) for name in self.experiments]


def _hide(readout: Readout) -> Readout:
    variants = tuple(msgspec.structs.replace(one, came=None, low=None, high=None) for one in readout.variants)
    return msgspec.structs.replace(readout, comparison=None, variants=variants)


def declared_in(definition: Definition) -> dict[str, DeclaredExperiment]:
    """Return the experiments of a file."""
    return {name: DeclaredExperiment(one) for name, one in definition.experiments.items()}


async def declared_by(session: Session, at: int | None) -> DeclaredExperiments:
    """Return the experiments of every version that was in force, the latest of each name.

    Raises FutureTime, TopicUnreadable, PrefixDiffers, StoreUnavailable.
    """
    present = await session.now()
    if at is not None and at > present:
        raise FutureTime(at)
    now = present if at is None else at
    definitions = (await session.load_registry()).definitions
    dataset = await read_dataset(
        session.reader, window=session.settings.outcome_window, accounts=identities_of(session.held)[1]
    )
    return DeclaredExperiments(find_declared(definitions, now), dataset, now, await _read_looks(session))


def find_declared(definitions: Definitions, now: int) -> dict[str, DeclaredExperiment]:
    """Return the experiments of the versions that were in force up to `now` (ms)."""
    current = definitions.in_force(now)
    in_force = {
        min(definitions.versions, default=0),
        *(one.version for one in definitions.standing if one.at <= now),
    }
    history: dict[str, list[tuple[int, str, Experiment]]] = {}
    for number in sorted(in_force):
        with suppress(ResegmentError):  # a version that this release cannot read
            definition = definitions.definition_of(number)
            for name, one in definition.experiments.items():
                history.setdefault(name, []).append((number, definition.version, one))
    return {name: _follow(known, current) for name, known in history.items()}


def _follow(known: Sequence[tuple[int, str, Experiment]], current: int) -> DeclaredExperiment:
    latest, _, experiment = known[-1]
    same = [one for one in known if one[2].draw_terms == experiment.draw_terms]
    notes = [
        f"version {number} changed how it is read, after it had begun"
        for (_, _, before), (number, _, after) in pairwise(same)
        if before.reading_terms != after.reading_terms
    ]
    return DeclaredExperiment(
        experiment, frozenset(version for _, version, _ in same), latest != current, tuple(notes)
    )


async def _read_looks(session: Session) -> dict[str, list[Look]]:
    looks: dict[str, list[Look]] = {}
    topic = session.topics.audit_log.name
    for one in await read_audit_log(session.bootstrap, topic, security=session.security):
        name = one.begun.arguments.get("experiment")
        if one.begun.action == ACTION and isinstance(name, str):
            # one that did not say what it showed counts as early if that was asked for
            told = one.begun.arguments if one.ended is None or one.ended.result is None else one.ended.result
            looks.setdefault(name, []).append(
                Look(format_instant(one.begun.at), one.begun.actor, bool(told.get("early")))
            )
    return looks
