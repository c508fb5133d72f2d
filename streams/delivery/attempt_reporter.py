"""Count and log the attempts to deliver to one endpoint."""

from __future__ import annotations

import time

import structlog

from resegment.agents.delivery import AttemptResult, Job
from resegment.metrics import Metrics
from resegment.sinks.webhook.port import SendResult

log = structlog.get_logger(__name__)


class AttemptReporter:
    """Puts what each attempt led to into the metrics and the log."""

    def __init__(self, endpoint: str, metrics: Metrics) -> None:
        self._endpoint, self._metrics = endpoint, metrics

    def report(self, job: Job, result: AttemptResult, sent: SendResult | None) -> None:
        """Record an attempt. `sent` is None if nothing was sent: a record that is no command, or a pause until the end."""
        metrics, endpoint = self._metrics, self._endpoint
        metrics.deliveries.labels(endpoint, result).inc()
        if sent is not None:
            metrics.delivery_seconds.labels(endpoint).observe(sent.took)
        about = {
            "endpoint": endpoint,
            "id": job.command.id,
            "account": job.command.account,
            "tries": job.attempts,
        }
        if result == "delivered":
            metrics.delivery_delay.labels(endpoint).observe(
                max(0.0, time.time() - job.written),
                {"partition": str(job.batch.partition), "offset": str(job.record.offset)},
            )
            log.debug("command delivered", **about)
        elif result == "buried":
            assert job.refused is not None
            log.error("command not delivered: it is in the dead letters", **about, why=job.refused.message)
        else:
            log.warning("command not delivered yet", **about, why=str(sent))
