"""Count what the stages get done: for metrics, and for the monitor that looks for standstill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

import structlog

from resegment.agents.batch import TRACE, Batch
from resegment.agents.router import Routed
from resegment.errors import RefusedEvent
from resegment.metrics import Metrics
from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Kind

log = structlog.get_logger(__name__)

_MAX_UNLISTED: Final = 100
"""Of how many unlisted actions a worker warns."""


class Progress:
    """What a worker has done since its start.

    `now` (ms) measures how late deadlines are decided. None on the clock of facts, where nothing is ever late.
    """

    def __init__(self, metrics: Metrics, now: Callable[[], int] | None) -> None:
        self._metrics, self._now = metrics, now
        self.steps = 0
        """Batches and slices that were done. While there is lag, a number that stands still is a standstill."""
        self.changes_decided = 0
        self._unlisted: set[tuple[str, str]] = set()

    def timed(self, stage: str) -> AbstractContextManager[object]:
        """Measure how long a stage works on a batch."""
        return self._metrics.batch_seconds.labels(stage).time()

    def count_batch(self, stage: str, batch: Batch, made: int, refused: Sequence[RefusedEvent]) -> None:
        """Count a batch that a stage has done, with the number of messages it made, and log what it refused.

        The log says where and why, never in which words: the dead letter has them.
        """
        self.steps += 1
        metrics = self._metrics
        metrics.events_in.labels(stage).inc(len(batch.records))
        metrics.events_out.labels(stage).inc(made)
        self._observe_delay(stage, batch)
        for one in refused:
            metrics.refused.labels(stage, one.reason).inc()
            log.warning(
                "refused",
                stage=stage,
                topic=batch.topic,
                partition=batch.partition,
                offset=one.offset,
                reason=one.reason,
                field=one.field,
            )

    def _observe_delay(self, stage: str, batch: Batch) -> None:
        """Measure how long the oldest record of a batch was on its way; the exemplar says which record that was."""
        oldest = batch.records[0]
        if self._now is not None and oldest.timestamp > 0:
            waited = max(0, self._now() - oldest.timestamp) / 1000
            place = {"partition": str(batch.partition), "offset": str(oldest.offset)}
            if (trace := TRACE.get()) is not None:
                place["trace_id"] = trace.id
            self._metrics.stage_delay.labels(stage).observe(waited, place)

    def count_ahead(self, batch: Batch, count: int) -> None:
        """Count the records of a batch whose producer's clock is ahead, and warn."""
        if count:
            self._metrics.clocks_ahead.labels(batch.topic).inc(count)
            log.warning(
                "a producer's clock is ahead: its facts count as known when they were received",
                topic=batch.topic,
                partition=batch.partition,
                offset=batch.records[0].offset,
                records=count,
            )

    def count_waiting(self, count: int, forgotten: int = 0) -> None:
        """Count events that wait until somebody says which account they are about, and those left out as forgotten."""
        if count:
            self._metrics.unresolved.inc(count)
        if forgotten:
            self._metrics.forgotten_events.inc(forgotten)

    def count_unlisted(self, actions: Mapping[tuple[Kind, str], int]) -> None:
        """Count events whose action the contract does not list, and warn once of each such action."""
        for (kind, action), count in actions.items():
            self._metrics.unlisted_actions.labels(kind).inc(count)
            if (kind, action) not in self._unlisted and len(self._unlisted) < _MAX_UNLISTED:
                self._unlisted.add((kind, action))
                log.warning(
                    "the contract does not list this action: no suppression counts it",
                    kind=kind,
                    action=action[:100],
                )

    def count_due(self, changes: Sequence[SegmentChange]) -> None:
        """Count a slice of deadlines that the segmenter has decided."""
        self.steps += 1
        self._metrics.events_out.labels("deadlines").inc(len(changes))
        self.count_changes(changes)

    def count_changes(self, changes: Sequence[SegmentChange]) -> None:
        """Count segment changes by where they lead, and how late those of a deadline were decided."""
        self.changes_decided += len(changes)
        for (left, taken), count in Counter(
            (change.from_ or "", change.to or "") for change in changes
        ).items():
            self._metrics.flows.labels(left, taken).inc(count)
        if self._now is not None:
            now = self._now()
            for change in changes:
                if change.cause.deadline is not None:
                    self._metrics.deadline_lateness.observe((now - change.effective_at) / 1000)

    def count_routed(self, routed: Routed) -> None:
        """Count what the router decided and commanded."""
        for decision, count in routed.decisions:
            self._metrics.routed.labels(decision).inc(count)
        for action, count in Counter(routed.actions).items():
            self._metrics.commands.labels(action).inc(count)

    def count_routed_due(self, routed: Routed) -> None:
        """Count a slice of deadlines that the router has decided."""
        self.steps += 1
        self.count_routed(routed)

    def count_failure(self, stage: str, error: BaseException) -> None:
        """Count a try that failed."""
        self._metrics.failures.labels(stage, type(error).__name__).inc()
