"""The alerts: when each fires, and what it means. docs/operations.md says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Severity = Literal["critical", "warning", "info"]
"""`critical`: work stands still or is lost, wake somebody. `warning`: look today. `info`: look when you can."""

RUNBOOK: Final = "docs/operations.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `hold` is how many seconds `expr` has to be true before it fires."""

    name: str
    expr: str
    hold: int
    severity: Severity
    summary: str

    @property
    def anchor(self) -> str:
        """Return the fragment of the alert's entry in the runbook."""
        return self.name.lower()


def _grows(metric: str, span: str, by: str) -> str:
    """Return an expression for a counter with labels, whose first value is not seen to grow from 0."""
    return f"sum by ({by}) (increase({metric}[{span}]) > 0 or ({metric} unless {metric} offset {span}))"


def _begins(metric: str, span: str) -> str:
    """Return an expression for a counter that a process may count as it starts, before it is looked at first."""
    return f"sum(increase({metric}[{span}]) > 0 or ({metric} > 0 unless {metric} offset {span}))"


def _counted(metric: str, span: str) -> str:
    """Return an expression for all that a counter counted in a time, the first value of new labels included."""
    return f"sum(({metric} unless {metric} offset {span}) or increase({metric}[{span}]))"


# processes that only deliver or take events in have the gauges of workers too, with 0
ALERTS: Final[Sequence[Alert]] = (
    Alert(
        "ResegmentWorkerDown",
        'up{job="resegment"} == 0'
        # what finds processes forgets one that has gone: then the other workers tell
        ' or label_replace(max(resegment_workers_lost) > 0, "instance", "A worker that was not stopped", "", "")',
        60,
        "critical",
        "{{ $labels.instance }} does not answer.",
    ),
    Alert(
        "ResegmentNoWorker",
        "absent(resegment_partitions > 0)",
        60,
        "critical",
        "No worker answers: events wait, and no account moves.",
    ),
    Alert(
        "ResegmentServersAway",
        "max by (instance) (resegment_servers_away) > 0",
        60,
        "critical",
        "Kafka or Redis does not answer {{ $labels.instance }}: events wait.",
    ),
    Alert(
        "ResegmentPartitionsUnowned",
        "sum(resegment_partitions_owned) < max(resegment_partitions)",
        120,
        "critical",
        "Only {{ $value }} partitions have a worker.",
    ),
    Alert(
        "ResegmentPartitionCounts",
        "max by (topic) (resegment_partitions_surplus) != 0",
        0,
        "critical",
        "{{ $labels.topic }} has {{ $value }} partitions more than the prefix: records in others are not read.",
    ),
    Alert(
        "ResegmentPartitionsWaiting",
        "sum(resegment_partitions_waiting) > 0",
        0,
        "critical",
        "{{ $value }} partitions wait for a rebuild: Redis has lost their state.",
    ),
    Alert(
        "ResegmentLag",
        "sum by (topic) (resegment_lag) > 1000"
        " and sum by (topic) (resegment_lag) >= sum by (topic) (resegment_lag offset 10m)",
        300,
        "warning",
        "{{ $value }} records of {{ $labels.topic }} wait, and no fewer than 10 minutes ago.",
    ),
    Alert(
        "ResegmentNotFresh",
        "max by (partition) (resegment_freshness_seconds) > 300"
        ' and max by (partition) (resegment_lag{topic=~".+[.]signals"}) > 0',
        120,
        "critical",
        "Signals of partition {{ $labels.partition }} wait, and the newest that was decided is {{ $value }} s old.",
    ),
    Alert(
        "ResegmentStageSlow",
        "histogram_quantile(0.95, sum by (stage, le) (rate(resegment_stage_delay_seconds_bucket[10m]))) > 60",
        600,
        "warning",
        "Of 20 batches, one takes {{ $value }} s from its oldest record to the end of the stage {{ $labels.stage }}.",
    ),
    Alert(
        "ResegmentDeadlinesLate",
        "histogram_quantile(0.95, sum by (le) (rate(resegment_deadline_lateness_seconds_bucket[10m]))) > 60",
        300,
        "warning",
        "Of 20 accounts whose window closes, one is decided {{ $value }} s late.",
    ),
    Alert(
        "ResegmentOutboxOld",
        "max by (partition) (resegment_outbox_age_seconds) > 60",
        60,
        "critical",
        "Changes of partition {{ $labels.partition }} have waited {{ $value }} s to be published.",
    ),
    Alert(
        "ResegmentBatchesFail",
        "sum by (stage, error) (increase(resegment_failures_total[10m])) > 5",
        300,
        "warning",
        "Batches of the stage {{ $labels.stage }} fail and are retried: {{ $labels.error }}.",
    ),
    Alert(
        "ResegmentClockAhead",
        "max by (partition) (resegment_partition_clock_ahead_seconds) > 60",
        60,
        "critical",
        "The clock of partition {{ $labels.partition }} is {{ $value }} s ahead: windows end too early there.",
    ),
    Alert(
        "ResegmentProducerClockAhead",
        _grows("resegment_clocks_ahead_total", "1h", "topic"),
        0,
        "info",
        "A producer of {{ $labels.topic }} has a clock that is ahead.",
    ),
    Alert(
        "ResegmentRecordsLost",
        _begins("resegment_log_gaps_total", "1h"),
        0,
        "critical",
        "Records were deleted before they were read.",
    ),
    Alert(
        "ResegmentNewLog",
        _begins("resegment_new_logs_total", "1h"),
        0,
        "critical",
        "A topic was deleted and created again.",
    ),
    Alert(
        "ResegmentManyRefused",
        f"{_counted('resegment_refused_total', '15m')} > 0.05 * "
        + _counted('resegment_events_in_total{stage="intake"}', "15m"),
        300,
        "warning",
        "More than 5 % of the records become dead letters.",
    ),
    Alert(
        "ResegmentDeadLettersWait",
        'max(resegment_dead_letters{age="1d"}) > 0',
        0,
        "warning",
        "{{ $value }} dead letters are between an hour and a day old, and nobody sent them again.",
    ),
    Alert(
        "ResegmentRepeatedIds",
        _grows("resegment_repeated_ids_total", "1h", "source"),
        0,
        "info",
        "{{ $labels.source }} corrects events under the id that they had, which changes nothing.",
    ),
    Alert(
        "ResegmentSourceSilent",
        "max by (source) (resegment_source_silent) > 0",
        60,
        "warning",
        "{{ $labels.source }} sends nothing: enrollments that rest on the absence of its events are held.",
    ),
    Alert(
        "ResegmentSpotCheckDiffers",
        "sum by (partition) (resegment_spot_check_differing_accounts) > 0",
        0,
        "critical",
        "{{ $value }} accounts of partition {{ $labels.partition }} are not in Redis as the log gives them.",
    ),
    Alert(
        "ResegmentSpotCheckBlocked",
        "sum(resegment_spot_check_blocked_partitions) > 0",
        86_400,
        "warning",
        "The accounts of {{ $value }} partitions are not checked against the log.",
    ),
    Alert(
        "ResegmentRedisMemory",
        "max(resegment_redis_memory_bytes) > 0.8 * (max(resegment_redis_memory_limit_bytes) > 0)",
        300,
        "warning",
        "Redis uses {{ $value | humanize1024 }}B, more than 80 % of what it may use.",
    ),
    Alert(
        "ResegmentKeyStoreAway",
        "min(resegment_key_store_up) == 0",
        60,
        "critical",
        "The key store does not answer: nothing is sealed or opened, and batches wait.",
    ),
    Alert(
        "ResegmentJournalFull",
        "max(resegment_journal_full) > 0",
        0,
        "critical",
        "The disk of an embedded instance is full: it accepts nothing.",
    ),
    Alert(
        "ResegmentArchiveFails",
        "max(resegment_archive_failing) > 0",
        300,
        "warning",
        "Nothing is archived, and topics forget.",
    ),
    Alert(
        "ResegmentArchiveGaps",
        "max by (topic) (resegment_archive_gaps) > 0",
        0,
        "critical",
        "Records of {{ $labels.topic }} were deleted before they were archived.",
    ),
    Alert(
        "ResegmentWebhookDisabled",
        "max by (endpoint) (resegment_webhook_state) == 3",
        60,
        "warning",
        "The webhook {{ $labels.endpoint }} is disabled: its commands wait in Kafka.",
    ),
    Alert(
        "ResegmentWebhookFails",
        "max by (endpoint) (resegment_webhook_failing_seconds) > 300",
        60,
        "warning",
        "Every request to {{ $labels.endpoint }} has failed for {{ $value }} s.",
    ),
    Alert(
        "ResegmentCommandsBuried",
        "max by (endpoint) (resegment_webhook_undelivered) > 0",
        0,
        "critical",
        "{{ $labels.endpoint }} refuses commands: {{ $value }} in a row are dead letters.",
    ),
    Alert(
        "ResegmentNothingDelivers",
        # what finds processes forgets one that has gone, and its endpoints with it
        "(count by (endpoint) (last_over_time(resegment_webhook_state[1h]))"
        " unless count by (endpoint) (resegment_webhook_state))"
        " or label_replace(count by (sink) (last_over_time(resegment_sink_state[1h]))"
        ' unless count by (sink) (resegment_sink_state), "endpoint", "$1", "sink", "(.+)")',
        120,
        "critical",
        "No process delivers to {{ $labels.endpoint }}: its commands wait in Kafka.",
    ),
    Alert(
        "ResegmentSinkSignedOut",
        "max by (sink) (resegment_sink_state) == 3",
        60,
        "critical",
        "{{ $labels.sink }} does not accept its credentials: its commands wait in Kafka.",
    ),
    Alert(
        "ResegmentSinkFails",
        "max by (sink) (resegment_sink_failing_seconds) > 300",
        60,
        "warning",
        "Every attempt at {{ $labels.sink }} has failed for {{ $value }} s.",
    ),
    Alert(
        "ResegmentSinkCommandsBuried",
        "max by (sink) (resegment_sink_undelivered) > 0",
        0,
        "critical",
        "{{ $labels.sink }} could not carry out commands: {{ $value }} in a row are dead letters.",
    ),
    Alert(
        "ResegmentIntakeRefuses",
        'sum(increase(resegment_intake_requests_total{status=~"5.."}[10m])) > 5',
        60,
        "critical",
        "The HTTP intake cannot take what sources send: they have to send it again.",
    ),
    Alert(
        "ResegmentVersionsDiffer",
        "max(resegment_definition_version > 0) != min(resegment_definition_version > 0)",
        300,
        "warning",
        "Workers decide by different versions of the segments file.",
    ),
)


def rules(*, runbook: str = RUNBOOK, haste: float = 1.0) -> Mapping[str, Any]:
    """Return the file of rules for Prometheus. `haste` shortens how long each alert has to hold, for a trial."""
    return {
        "groups": [
            {
                "name": "resegment",
                "rules": [
                    {
                        "alert": one.name,
                        "expr": one.expr,
                        **({"for": f"{max(1, round(one.hold / haste))}s"} if one.hold else {}),
                        "labels": {"severity": one.severity},
                        "annotations": {
                            "summary": one.summary,
                            "runbook_url": f"{runbook}#{one.anchor}",
                        },
                    }
                    for one in ALERTS
                ],
            }
        ]
    }
