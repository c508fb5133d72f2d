"""Compare what a shadow decides with what the version in force decides, account by account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.planning.judging import Judgment
from resegment.segmentation.planning.plan import Difference, Move, PlannedFlow, SegmentSize
from resegment.segmentation.planning.samples import explain_sample
from resegment.segmentation.planning.tally import Sampled, Tally
from resegment.segmentation.versions.timeline import Timeline


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where a shadow has accounts, beside the version in force.

    `sizes` and `flows` have the segments of the version in force as `before` and `from`, those of the shadow as
    `after` and `to`. `elsewhere` are the accounts of which the two differ.
    """

    version: int
    base: int
    since: str
    at: str
    differences: tuple[Difference, ...] = ()
    accounts: int = 0
    differ: int = 0
    sizes: tuple[SegmentSize, ...] = ()
    flows: tuple[PlannedFlow, ...] = ()
    warnings: tuple[str, ...] = ()
    elsewhere: tuple[Move, ...] = ()


class ShadowComparison:
    """Takes accounts by both versions. `eras` and `engines` are of the version in force and of the shadow.

    `renamed` has new names of segments, by the old ones: an account in both is not elsewhere.
    """

    def __init__(
        self,
        eras: tuple[Timeline, Timeline],
        engines: tuple[Engine, Engine],
        renamed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._eras, self._engines, self._renamed, self.at = eras, engines, renamed, 0
        self._now = 0
        self._tally = Tally(engines[1].program, [one.name for one in engines[0].program.segments])
        self._pairs: dict[str, tuple[bytes, bytes]] = {}

    def begin(self, at: int) -> None:
        """Compare the accounts that come from now on as they are at `at` (ms)."""
        self._now, self.at = at, max(self.at, at)

    def take(self, name: str, live: bytes, shadow: bytes) -> None:
        """Compare one account by its two states. Raises msgspec.DecodeError."""
        accounts = [
            eras.open(name, decode_state(value))
            for eras, value in zip(self._eras, (live, shadow), strict=True)
        ]
        for eras, account in zip(self._eras, accounts, strict=True):
            eras.advance(account, self._now)
        before, after = (account.state.membership.segment for account in accounts)
        if before is None or after is None:
            return
        self._engines[1].evaluate(accounts[1], self._now)
        same = self._renamed.get(before, before) == after
        if not same:
            self._pairs[name] = (live, shadow)
        judgment = Judgment(
            account=name,
            before=before,
            after=after,
            renamed=same,
            change=None,
            gate_change=None,
            gates=(accounts[0].state.active_gates, accounts[1].state.active_gates),
            values=accounts[1].values,
            news=0,
            latest=0,
            entered=0,
            came_from=None,
            due=(),
        )
        self._tally.add(judgment, Sampled(b"", self._now))

    def finish(
        self, *, version: int, base: int, since: int, differences: Sequence[Difference]
    ) -> ShadowReport:
        """Return the report, after all accounts were taken."""
        tally = self._tally
        return ShadowReport(
            version=version,
            base=base,
            since=format_instant(since),
            at=format_instant(self.at),
            differences=tuple(differences),
            accounts=tally.accounts,
            differ=len(tally.moves) - tally.renamed,
            sizes=tally.sizes(self._renamed),
            flows=tuple(self._flow(key, count) for key, count in tally.ordered_flows()),
            warnings=tuple(tally.warnings()),
            elsewhere=tuple(sorted(one for one in tally.moves if one.account in self._pairs)),
        )

    def _flow(self, key: tuple[str, str, bool], count: int) -> PlannedFlow:
        from_, to, renamed = key
        samples = []
        for name, sampled in () if renamed else self._tally.samples(key):
            accounts = [
                eras.open(name, decode_state(value))
                for eras, value in zip(self._eras, self._pairs[name], strict=True)
            ]
            for eras, account in zip(self._eras, accounts, strict=True):
                eras.advance(account, sampled.at)
            samples.append(
                explain_sample(
                    *self._engines, (accounts[0], accounts[1]), sampled.at, (from_, to), self._renamed
                )
            )
        return PlannedFlow(from_=from_, to=to, accounts=count, renamed=renamed, samples=tuple(samples))
