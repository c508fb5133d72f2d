"""Make a plan: take every account once, then say what the switch does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from resegment.schemas.fact import Fact
from resegment.schemas.state import AccountState
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.planning.drift import News
from resegment.segmentation.planning.judging import Judge, Judgment
from resegment.segmentation.planning.plan import (
    Changes,
    Difference,
    EnrollmentForecast,
    Folding,
    PartitionInstant,
    Plan,
    PlannedFlow,
    Sample,
    VersionName,
    hash_plan,
)
from resegment.segmentation.planning.samples import explain_sample
from resegment.segmentation.planning.tally import Counts, Sampled, Tally
from resegment.segmentation.versions.timeline import Timeline

DIGEST_BITS = 64


class PlannedSwitch(NamedTuple):
    """What is planned: from which version to which, and how they differ."""

    base: VersionName
    target: VersionName
    changes: Changes
    differences: tuple[Difference, ...]
    route: str | tuple[str, ...] = "none"
    rollback_of: int | None = None
    needs: tuple[str, ...] = ()
    """Facts that the new version reads and the state of the old one lacks, in words."""
    renamed: Mapping[str, str] = MappingProxyType({})
    """New names of segments, by the old ones."""
    digest: str = ""
    """Of all that the new version says: its fingerprint is only of what judges accounts."""

    @property
    def judges(self) -> bool:
        """Whether accounts are judged again."""
        return self.changes in ("segments", "gates")


class Part(NamedTuple):
    """What a planner has taken: other processes can send it."""

    counts: Counts
    digests: dict[int, int]
    latest: dict[int, dict[str, int]]
    told: list[Judgment]
    news: News | None


class Planner:
    """Takes the accounts of a prefix, one by one, in whatever order they come."""

    def __init__(
        self,
        switch: PlannedSwitch,
        *,
        present: Timeline,
        planned: Callable[[int], Timeline],
        engines: tuple[Engine, Engine],
        news: News | None = None,
    ) -> None:
        """Judge by the versions in force, `present`, and by those with the switch at an instant (ms), `planned`.

        `engines` are of the version in force and of the new one.
        """
        self.switch, self.at = switch, 0
        self._present, self._planned, self._engines, self._news = present, planned, engines, news
        self._judge = Judge(present, present, 0)
        self._number = self._clock = 0
        self.tally = Tally(engines[1].program, [one.name for one in engines[0].program.segments])
        self._digests: dict[int, int] = {}
        self._latest: dict[int, dict[str, int]] = {}
        self.told: list[Judgment] = []
        """Accounts that the router hears of: those that move, and those whose gates change."""

    def begin(self, partition: int, at: int, clock: int = -1) -> None:
        """Take the accounts of a partition from now on, and judge them at `at` (ms). `clock` is that of the partition."""
        self._judge = Judge(self._present, self._planned(at), at)
        self._number, self._clock, self.at = partition, clock, max(self.at, at)

    def skip(self, at: int) -> None:
        """Take no account: the switch at `at` (ms) judges none."""
        self.at = max(self.at, at)

    def take(
        self, name: str, value: bytes, folded: AccountState | None = None, facts: Sequence[Fact] = ()
    ) -> None:
        """Judge one account by its stored state, facts folded in from the log, and those of the instant itself.

        Raises msgspec.DecodeError.
        """
        one = self._judge.judge(name, value, folded, facts)
        if one is None:
            return
        self.tally.add(one, Sampled(value, self._judge.at, folded, facts))
        place = f"{one.account}\0{one.before}\0{one.after}"
        drawn = int.from_bytes(hashlib.blake2b(place.encode(), digest_size=DIGEST_BITS // 8).digest(), "big")
        self._digests[self._number] = (self._digests.get(self._number, 0) + drawn) % (1 << DIGEST_BITS)
        if one.news >= self._clock >= 0:
            self._latest.setdefault(self._number, {})[one.account] = one.latest
        if one.change is not None or one.gate_change is not None:
            self.told.append(one._replace(values=[], due=()))
        if self._news is not None:
            self._news.note(one, self._number)

    def split(self) -> Part:
        """Return what was taken since the last call, for the planner of another process."""
        part = Part(self.tally.counts, self._digests, self._latest, self.told, self._news)
        self.tally.counts, self._digests, self._latest, self.told = Counts(), {}, {}, []
        if self._news is not None:
            self._news = self._news.restart()
        return part

    def join(self, part: Part) -> None:
        """Add what the planner of another process has taken."""
        self.tally.counts.add(part.counts)
        self.told += part.told
        for number, digest in part.digests.items():
            self._digests[number] = (self._digests.get(number, 0) + digest) % (1 << DIGEST_BITS)
        for number, latest in part.latest.items():
            self._latest.setdefault(number, {}).update(latest)
        if self._news is not None and part.news is not None:
            self._news.add(part.news)

    def digest(self, partition: int) -> str:
        """Return a digest of where each account of a partition is before and after, whatever their order."""
        return f"{self._digests.get(partition, 0):016x}"

    def latest(self, partition: int) -> dict[str, int]:
        """Return the accounts of a partition that learned of facts right at its clock, with how many these are."""
        return dict(sorted(self._latest.get(partition, {}).items()))

    def finish(
        self,
        *,
        enrollments: Sequence[EnrollmentForecast] = (),
        folding: Folding | None = None,
        partitions: Sequence[PartitionInstant] = (),
        warnings: Sequence[str] = (),
        accounts: int | None = None,
    ) -> Plan:
        """Return the plan, after all accounts were taken; `accounts` is how many there are where none had to be."""
        tally, switch = self.tally, self.switch
        moved = len(tally.moves) - tally.renamed
        return Plan(
            hash=hash_plan(
                switch.base,
                switch.digest or switch.target.fingerprint,
                switch.route,
                switch.rollback_of,
                moved,
            ),
            at=format_instant(self.at),
            base=switch.base,
            target=switch.target,
            changes=switch.changes,
            rollback_of=switch.rollback_of,
            route=switch.route,
            differences=switch.differences,
            accounts=tally.accounts if accounts is None else accounts,
            judged=tally.accounts,
            moved=moved,
            renamed=tally.renamed,
            sizes=tally.sizes(switch.renamed),
            flows=tuple(self._flows()),
            overlaps=tally.overlaps(),
            shadowed=tally.shadowed(),
            unjudged=tally.unjudged(),
            gates=tally.gates(),
            enrollments=tuple(enrollments),
            folding=folding,
            due=tally.due(),
            warnings=(*tally.warnings(), *warnings),
            partitions=tuple(partitions),
            moves=tuple(sorted(tally.moves)),
        )

    def _flows(self) -> list[PlannedFlow]:
        return [
            PlannedFlow(
                from_=from_,
                to=to,
                accounts=count,
                renamed=renamed,
                samples=() if renamed else tuple(self._explain(from_, to)),
            )
            for (from_, to, renamed), count in self.tally.ordered_flows()
        ]

    def _explain(self, from_: str, to: str) -> list[Sample]:
        samples = []
        for name, sampled in self.tally.samples((from_, to, False)):
            planned = self._planned(sampled.at)
            old, new = self._present.load(name, sampled.value), planned.load(name, sampled.value)
            if sampled.folded is not None:
                planned.join_folded(new, sampled.folded)
            for eras, account in ((self._present, old), (planned, new)):
                eras.advance(account, sampled.at - 1)
                if sampled.facts:
                    eras.apply_facts(account, sampled.facts, sampled.at)
                eras.advance(account, sampled.at)
            samples.append(
                explain_sample(*self._engines, (old, new), sampled.at, (from_, to), self.switch.renamed)
            )
        return samples
