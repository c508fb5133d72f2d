"""Every metric, declared once with its meaning and unit."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one worker, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.events_in = Counter(
            "resegment_events_in", "Records that a stage has read", ["stage"], registry=registry
        )
        self.events_out = Counter(
            "resegment_events_out",
            "Messages that a stage has published or made",
            ["stage"],
            registry=registry,
        )
        self.refused = Counter(
            "resegment_refused",
            "Records that went to the dead letters",
            ["stage", "reason"],
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "resegment_batch_seconds", "Time that a stage took for one batch", ["stage"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.failures = Counter(
            "resegment_failures",
            "Batches that failed and are tried again",
            ["stage", "error"],
            registry=registry,
        )
        self.retakes = Counter(
            "resegment_retakes", "Partitions taken anew: fenced, rolled back or out of step", ["error"],
            registry=registry,
        )  # fmt: skip
        self.new_logs = Counter(
            "resegment_new_logs", "Partitions whose topic turned out to be a new one", registry=registry
        )
        self.log_gaps = Counter(
            "resegment_log_gaps",
            "Times that records of a topic were gone before they were read",
            registry=registry,
        )
        self.ticks = Counter("resegment_ticks", "Ticks appended to let time pass", registry=registry)
        self.deadline_lateness = Histogram(
            "resegment_deadline_lateness_seconds", "From a deadline's instant to its decision, live clock only",
            buckets=(*_SECONDS, 30.0, 120.0, 600.0), registry=registry,
        )  # fmt: skip
        self.flows = Counter(
            "resegment_segment_flow",
            "Accounts that moved between segments",
            ["origin", "target"],
            registry=registry,
        )
        self.segment_size = Gauge(
            "resegment_segment_accounts", "Accounts in a segment, of the partitions owned", ["segment"],
            registry=registry,
        )  # fmt: skip
        self.lag = Gauge(
            "resegment_lag", "Records of a partition that are not acknowledged yet", ["topic", "partition"],
            registry=registry,
        )  # fmt: skip
        self.clock = Gauge(
            "resegment_partition_clock_seconds", "A partition's time, seconds since the epoch", ["partition"],
            registry=registry,
        )  # fmt: skip
        self.outbox = Gauge(
            "resegment_outbox_entries", "Commits whose messages are not published yet", ["partition"],
            registry=registry,
        )  # fmt: skip
        self.freshness = Gauge(
            "resegment_freshness_seconds", "How long ago the newest record that is decided was written", ["partition"],
            registry=registry,
        )  # fmt: skip
        self.commit_seconds = Histogram(
            "resegment_commit_seconds",
            "Time that one atomic write to Redis took",
            buckets=_SECONDS,
            registry=registry,
        )
        self.facts_dropped = Counter(
            "resegment_facts_dropped",
            "Facts dropped because an account had too many of one kind",
            registry=registry,
        )
        self.routed = Counter(
            "resegment_routed", "Accounts that the router decided on, by what it decided", ["decision"],
            registry=registry,
        )  # fmt: skip
        self.commands = Counter(
            "resegment_commands", "Workflow commands by action", ["action"], registry=registry
        )
        self.routed_size = Gauge(
            "resegment_routed_accounts", "Accounts by the router's last decision, of the partitions owned",
            ["decision"], registry=registry,
        )  # fmt: skip
        self.redis_memory = Gauge("resegment_redis_memory_bytes", "Memory that Redis uses", registry=registry)
        self.owned = Gauge("resegment_partitions_owned", "Partitions of `signals` owned", registry=registry)
        self.deliveries = Counter(
            "resegment_webhook_deliveries",
            "Requests to webhook endpoints by what came of them: delivered, retried, buried, gone",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self.delivery_seconds = Histogram(
            "resegment_webhook_seconds", "Time that a request to a webhook endpoint took", ["endpoint"],
            buckets=(*_SECONDS, 30.0, 60.0), registry=registry,
        )  # fmt: skip
        self.delivery_delay = Histogram(
            "resegment_webhook_delay_seconds", "From a command's writing to its delivery", ["endpoint"],
            buckets=(*_SECONDS, 60.0, 600.0, 3600.0, 86400.0), registry=registry,
        )  # fmt: skip
        self.webhook_state = Gauge(
            "resegment_webhook_state", "Of an endpoint: 0 delivering, 1 probing, 2 left alone, 3 disabled",
            ["endpoint"], registry=registry,
        )  # fmt: skip
        self.webhook_lag = Gauge(
            "resegment_webhook_lag", "Records of workflow-commands that are not settled with an endpoint yet",
            ["endpoint"], registry=registry,
        )  # fmt: skip
