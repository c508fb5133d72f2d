"""Count and log what sinks do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

import structlog

from resegment.agents.delivery import Job
from resegment.agents.sending.sender import SendOutcome
from resegment.agents.sending.work import Done
from resegment.metrics import Metrics
from resegment.redaction import outline
from resegment.sinks.port import Answer, Request

log = structlog.get_logger(__name__)


class SinkReporter:
    """Puts what each attempt and each request led to into the metrics and the log."""

    def __init__(self, sink: str, metrics: Metrics) -> None:
        self._sink, self._metrics = sink, metrics

    def report(self, job: Job, outcome: SendOutcome, done: Done | None) -> None:
        """Record an attempt."""
        sink, command = self._sink, job.command
        self._metrics.sink_commands.labels(sink, command.action, outcome).inc()
        about = {
            "sink": sink,
            "id": command.id,
            "account": command.account,
            "action": command.action,
            "workflow": command.workflow,
            "tries": job.attempts,
        }
        if done is not None:
            for one in done.result.contacts:
                self._metrics.sink_contacts.labels(sink, one.outcome).inc()
        if outcome in {"applied", "skipped"}:
            self._metrics.sink_delay.labels(sink).observe(
                max(0.0, time.time() - job.written),
                {"partition": str(job.batch.partition), "offset": str(job.record.offset)},
            )
            log.debug("command carried out", **about, outcome=outcome)
        elif outcome == "partial":
            log.warning("command carried out in part", **about, outcomes=_count(done))
        elif job.refused is not None:
            log.error(
                "command not carried out: it is in the dead letters", **about, reason=job.refused.reason
            )
        else:
            log.warning("command not carried out yet", **about, outcome=outcome)

    def made(self, request: Request, answer: Answer, took: float) -> None:
        """Record a request. The URL stays out of the log: it may hold a key or a person's address."""
        self._metrics.sink_requests.labels(self._sink, str(answer.status)).inc()
        self._metrics.sink_seconds.labels(self._sink).observe(took)
        log.debug(
            "request sent",
            sink=self._sink,
            method=request.method,
            status=answer.status,
            seconds=round(took, 3),
        )

    def withheld(self, request: Request) -> None:
        """Record a request that a dry run did not send: the log has its outline, `resegment sinks send` shows all."""
        log.info(
            "dry run: not sent",
            sink=self._sink,
            method=request.method,
            path=request.path,
            request=outline(request.body),
        )


def _count(done: Done | None) -> Mapping[str, int]:
    """Return how many contacts had each outcome: what the vendor said of one may name a person."""
    return {} if done is None else Counter(one.outcome for one in done.result.contacts)
