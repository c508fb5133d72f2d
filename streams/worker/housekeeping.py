"""What a worker does beside its events, slowly: check accounts, ask for attributes, count outcomes and dead letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from resegment.agents.batch import Publisher
from resegment.agents.deciding.decided import Owned
from resegment.metrics import Metrics
from resegment.segmentation.evaluation.account import Account
from resegment.settings import Settings
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.preparing import SignalLog
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.refresh import RefreshAsker
from resegment.streams.worker.loops.credit_counter import CreditCounter
from resegment.streams.worker.loops.dead_letter_watcher import DeadLetterWatcher
from resegment.streams.worker.loops.refresher import Refresher, RefreshPlan
from resegment.streams.worker.loops.spot_checker import SpotChecker
from resegment.streams.worker.partitions import PartitionManager

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """The loops that no event waits for."""

    spot_checker: SpotChecker
    refresher: Refresher
    letters: DeadLetterWatcher
    credits: CreditCounter

    @classmethod
    def of(
        cls,
        settings: Settings,
        client: Redis,
        registry: DefinitionRegistry,
        metrics: Metrics,
        partitions: PartitionManager[Account],
        log: SignalLog,
        publisher: Publisher,
        now: Callable[[], int],
    ) -> Self:
        """Build all. `now` is the wall clock, ms."""
        reader = PrefixReader(client, settings.prefix, settings.partitions)
        older, every = _to_ms(settings.refresh_older), _to_ms(settings.refresh_every)

        def time_of(owned: Owned) -> int:
            clock = owned.position.clock
            return max(clock, now()) if settings.clock == "wall" else clock

        return cls(
            SpotChecker(
                registry,
                partitions,
                client,
                reader,
                log,
                metrics,
                within=settings.spot_check.total_seconds(),
                trusts_log=settings.kafka is not None,
            ),
            Refresher(
                registry,
                partitions,
                reader,
                RefreshAsker(client, reader, log.topics, publisher, every),
                RefreshPlan(older, settings.refresh_per_day) if older else None,
                metrics,
                now=time_of,
            ),
            DeadLetterWatcher(
                log.bootstrap,
                log.topics.dead_letters.name,
                log.security,
                lambda: partitions.get(0) is not None,
                metrics,
                now,
            ),
            CreditCounter(partitions, client, reader, metrics, settings.outcome_window),
        )


def _to_ms(length: timedelta) -> int:
    return int(length.total_seconds() * 1000)
