"""Count and log the attempts to deliver to one endpoint."""

from __future__ import annotations

import time

import structlog

from resegment.agents.delivery import AttemptResult, Job
from resegment.metrics import Metrics
from resegment.redaction import hide_persons
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
            log.error(
                "command not delivered: it is in the dead letters",
                **about,
                reason=job.refused.reason,
                why=_why(job, sent),
            )
        else:
            log.warning("command not delivered yet", **about, why=_why(job, sent))


def _why(job: Job, sent: SendResult | None) -> str:
    """Return what came back; nothing of a record that is no command, which the message may quote."""
    if sent is not None:
        return hide_persons(str(sent))
    assert job.refused is not None
    return hide_persons(job.refused.message) if job.refused.reason == "undeliverable" else ""
