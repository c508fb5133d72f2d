"""Every metric, declared once with its meaning and unit."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DELAYS = (*_SECONDS, 30.0, 60.0, 300.0, 1800.0)


class Metrics:
    """The metrics of one worker, in their own registry."""

    def __init__(self) -> None:  # noqa: PLR0915  # one statement for each metric
        registry = self.registry = CollectorRegistry()
        self.events_in = Counter(
            "resegment_events_in", "Records that a stage read", ["stage"], registry=registry
        )
        self.events_out = Counter(
            "resegment_events_out",
            "Messages that a stage published or created",
            ["stage"],
            registry=registry,
        )
        self.refused = Counter(
            "resegment_refused",
            "Records that were sent to the dead letters",
            ["stage", "reason"],
            registry=registry,
        )
        self.intake_requests = Counter(
            "resegment_intake_requests",
            "Requests to the HTTP intake, by the status of the answer",
            ["source", "status"],
            registry=registry,
        )
        self.intake_events = Counter(
            "resegment_intake_events",
            "Events and records that came over HTTP: accepted, or the reason why not",
            ["source", "outcome"],
            registry=registry,
        )
        self.intake_seconds = Histogram(
            "resegment_intake_seconds", "Time until Kafka acknowledged what a request brought",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.clocks_ahead = Counter(
            "resegment_clocks_ahead",
            "Records whose timestamp or recordedtime was ahead by more than RESEGMENT_CLOCK_TOLERANCE",
            ["topic"],
            registry=registry,
        )
        self.unlisted_actions = Counter(
            "resegment_unlisted_actions",
            "Events of outcomes and engagement whose action the contract does not list",
            ["kind"],
            registry=registry,
        )
        self.unresolved = Counter(
            "resegment_unresolved",
            "Events that were put on the list of unresolved subjects: a name or id means no account yet",
            registry=registry,
        )
        self.unresolved_waiting = Gauge(
            "resegment_unresolved_waiting",
            "Events on the list of unresolved subjects; of the worker of partition 0",
            registry=registry,
        )
        self.forgotten_events = Counter(
            "resegment_forgotten_events",
            "Events that were left out because their account or person is forgotten",
            registry=registry,
        )
        self.key_lookups = Gauge(
            "resegment_key_lookups",
            "How often the key store was asked for keys since the start",
            registry=registry,
        )
        self.key_store_up = Gauge(
            "resegment_key_store_up",
            "1 while the key store answers, else 0; 1 without one",
            registry=registry,
        )
        self.key_store_up.set(1)
        self.source_last = Gauge(
            "resegment_source_last_event_seconds",
            "When the last event of a source came, seconds since the epoch; of the worker of partition 0",
            ["source"],
            registry=registry,
        )
        self.dead_letters = Gauge(
            "resegment_dead_letters",
            "Dead letters that were not sent again, by the age that they are below: 1h, 1d or 7d, or `older`; of the worker of partition 0",
            ["age"],
            registry=registry,
        )
        self.source_silent = Gauge(
            "resegment_source_silent",
            "1 while a source is silent from which something should have come, else 0; of the worker of partition 0",
            ["source"],
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "resegment_batch_seconds", "Time to process one batch", ["stage"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.stage_delay = Histogram(
            "resegment_stage_delay_seconds",
            "Delay from when the oldest record of a batch was written until the stage was done with it, live clock only. "
            "Of a relay: from the commit to the acknowledgment",
            ["stage"], buckets=_DELAYS, registry=registry,
        )  # fmt: skip
        self.failures = Counter(
            "resegment_failures",
            "Batches that failed and are retried",
            ["stage", "error"],
            registry=registry,
        )
        self.retakes = Counter(
            "resegment_retakes", "Partitions taken over again: fenced, rolled back or out of step", ["error"],
            registry=registry,
        )  # fmt: skip
        self.new_logs = Counter(
            "resegment_new_logs", "Partitions whose topic was found to be recreated", registry=registry
        )
        self.journal_full = Gauge(
            "resegment_journal_full",
            "1 while an embedded instance accepts nothing: its disk is full",
            registry=registry,
        )
        self.log_gaps = Counter(
            "resegment_log_gaps",
            "Times that records were deleted before they were read",
            registry=registry,
        )
        self.ticks = Counter("resegment_ticks", "Ticks appended to advance time", registry=registry)
        self.deadline_lateness = Histogram(
            "resegment_deadline_lateness_seconds", "Delay from a deadline to its decision, live clock only",
            buckets=(*_SECONDS, 30.0, 120.0, 600.0), registry=registry,
        )  # fmt: skip
        self.flows = Counter(
            "resegment_segment_flow",
            "Accounts that moved between segments",
            ["origin", "target"],
            registry=registry,
        )
        self.segment_size = Gauge(
            "resegment_segment_accounts", "Accounts in a segment, in the partitions owned", ["segment"],
            registry=registry,
        )  # fmt: skip
        self.lag = Gauge(
            "resegment_lag", "Records of a partition that are not yet acknowledged", ["topic", "partition"],
            registry=registry,
        )  # fmt: skip
        self.clock = Gauge(
            "resegment_partition_clock_seconds", "A partition's time, seconds since the epoch", ["partition"],
            registry=registry,
        )  # fmt: skip
        self.clock_ahead = Gauge(
            "resegment_partition_clock_ahead_seconds", "A partition's time minus now; below 0 while it is idle",
            ["partition"], registry=registry,
        )  # fmt: skip
        self.outbox = Gauge(
            "resegment_outbox_entries", "Commits whose messages are not yet published", ["partition"],
            registry=registry,
        )  # fmt: skip
        self.outbox_age = Gauge(
            "resegment_outbox_age_seconds", "Age of the oldest commit whose messages are not yet published, or 0",
            ["partition"], registry=registry,
        )  # fmt: skip
        self.freshness = Gauge(
            "resegment_freshness_seconds", "Age of the newest record that was decided", ["partition"],
            registry=registry,
        )  # fmt: skip
        self.commit_seconds = Histogram(
            "resegment_commit_seconds",
            "Duration of one atomic write to Redis",
            buckets=_SECONDS,
            registry=registry,
        )
        self.facts_dropped = Counter(
            "resegment_facts_dropped",
            "Facts that count no more because an account has too many that match a test",
            ["test"],
            registry=registry,
        )
        self.misfits = Counter(
            "resegment_misfits",
            "Values that do not fit the type that the segments file gives their attribute",
            ["attribute"],
            registry=registry,
        )
        self.repeated_ids = Counter(
            "resegment_repeated_ids",
            "Events with the id of an earlier one and other data, which change nothing",
            ["source"],
            registry=registry,
        )
        self.routed = Counter(
            "resegment_routed", "Routing decisions, by decision", ["decision"],
            registry=registry,
        )  # fmt: skip
        self.commands = Counter(
            "resegment_commands", "Workflow commands by action", ["action"], registry=registry
        )
        self.routed_size = Gauge(
            "resegment_routed_accounts", "Accounts by their last routing decision, in the partitions owned",
            ["decision"], registry=registry,
        )  # fmt: skip
        self.cached_bytes = Gauge(
            "resegment_cached_bytes", "Memory that the worker's accounts take, about", registry=registry
        )
        self.state_bytes = Gauge(
            "resegment_state_bytes", "Memory that the state of the partitions owned takes in Redis, about", ["stage"],
            registry=registry,
        )  # fmt: skip
        self.redis_memory = Gauge("resegment_redis_memory_bytes", "Memory used by Redis", registry=registry)
        self.redis_limit = Gauge(
            "resegment_redis_memory_limit_bytes",
            "Memory that Redis may use, or 0 if it has no limit",
            registry=registry,
        )
        self.list_lines_skipped = Gauge(
            "resegment_list_lines_skipped",
            "Lines of a suppression list that name no company",
            ["list"],
            registry=registry,
        )
        self.archive_lag = Gauge(
            "resegment_archive_lag", "Records of a topic that are not archived yet, where this process archives",
            ["topic"], registry=registry,
        )  # fmt: skip
        self.archive_failing = Gauge(
            "resegment_archive_failing",
            "1 while this process can't archive, with the reason in `status`",
            registry=registry,
        )
        self.archive_gaps = Gauge(
            "resegment_archive_gaps",
            "Times that records were deleted before they were archived, since the process started",
            ["topic"],
            registry=registry,
        )
        self.spot_checked = Counter(
            "resegment_spot_checked_accounts",
            "Accounts that were folded again from the log and compared with Redis",
            registry=registry,
        )
        self.spot_differing = Gauge(
            "resegment_spot_check_differing_accounts",
            "Accounts that are not in Redis as the log gives them, in the partitions owned",
            ["partition"],
            registry=registry,
        )
        self.spot_within = Gauge(
            "resegment_spot_check_within_seconds",
            "Time within which every account of the partitions owned is checked against the log, or 0",
            registry=registry,
        )
        self.spot_blocked = Gauge(
            "resegment_spot_check_blocked_partitions",
            "Partitions owned whose accounts can't be checked: the log doesn't begin at its beginning, or a check failed twice in a row",
            registry=registry,
        )
        self.outcomes = Gauge(
            "resegment_outcomes",
            "Outcomes of the partitions owned, by what credits each to a touch (key, deal, person, last-touch), or why nothing does",
            ["credit"],
            registry=registry,
        )
        self.touches = Gauge(
            "resegment_touches", "Touches of the partitions owned, by arm", ["arm"], registry=registry
        )
        self.ledgers_dropped = Gauge(
            "resegment_outcomes_dropped",
            "Touches and outcomes that are not kept in the partitions owned: their accounts have too many",
            registry=registry,
        )
        self.servers_away = Gauge(
            "resegment_servers_away",
            "1 while Kafka or Redis does not answer this process, else 0",
            registry=registry,
        )
        self.workers_lost = Gauge(
            "resegment_workers_lost",
            "Other workers that were killed or ended with an error within an hour, and that no new one replaced",
            registry=registry,
        )
        self.partitions = Gauge("resegment_partitions", "Partitions of the prefix", registry=registry)
        self.partitions_surplus = Gauge(
            "resegment_partitions_surplus",
            "Partitions that a topic has beyond those of the prefix, below 0 if it has too few",
            ["topic"],
            registry=registry,
        )
        self.definition = Gauge(
            "resegment_definition_version",
            "Number of the version of the segments file in force",
            registry=registry,
        )
        self.owned = Gauge("resegment_partitions_owned", "Partitions of `signals` owned", registry=registry)
        self.waiting = Gauge(
            "resegment_partitions_waiting",
            "Partitions owned that wait for a rebuild: Redis has lost their state",
            registry=registry,
        )
        self.deliveries = Counter(
            "resegment_webhook_deliveries",
            "Requests to webhook endpoints by outcome: delivered, retried, buried (dead-lettered), gone",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self.delivery_seconds = Histogram(
            "resegment_webhook_seconds", "Duration of a request to a webhook endpoint", ["endpoint"],
            buckets=(*_SECONDS, 30.0, 60.0), registry=registry,
        )  # fmt: skip
        self.delivery_delay = Histogram(
            "resegment_webhook_delay_seconds", "Delay from when a command was written to its delivery", ["endpoint"],
            buckets=(*_SECONDS, 60.0, 600.0, 3600.0, 86400.0), registry=registry,
        )  # fmt: skip
        self.webhook_state = Gauge(
            "resegment_webhook_state", "State of an endpoint: 0 delivering, 1 probing, 2 paused, 3 disabled",
            ["endpoint"], registry=registry,
        )  # fmt: skip
        self.webhook_failing = Gauge(
            "resegment_webhook_failing_seconds", "Seconds since which every request to an endpoint has failed, or 0",
            ["endpoint"], registry=registry,
        )  # fmt: skip
        self.webhook_undelivered = Gauge(
            "resegment_webhook_undelivered", "Commands in a row that an endpoint did not get: they are dead letters",
            ["endpoint"], registry=registry,
        )  # fmt: skip
        self.sink_commands = Counter(
            "resegment_sink_commands",
            "Commands at sinks by outcome: applied, skipped, partial, unknown, gone, refused, retried, signed-out",
            ["sink", "action", "outcome"],
            registry=registry,
        )
        self.sink_contacts = Counter(
            "resegment_sink_contacts",
            "Contacts of commands by outcome: applied, already, skipped, unknown, gone, refused",
            ["sink", "outcome"],
            registry=registry,
        )
        self.sink_requests = Counter(
            "resegment_sink_requests", "Requests to a vendor, by the status of the answer; 0 is none", ["sink", "status"],
            registry=registry,
        )  # fmt: skip
        self.sink_seconds = Histogram(
            "resegment_sink_seconds", "Duration of a request to a vendor", ["sink"],
            buckets=(*_SECONDS, 30.0, 60.0), registry=registry,
        )  # fmt: skip
        self.sink_delay = Histogram(
            "resegment_sink_delay_seconds", "Delay from when a command was written to when it was carried out", ["sink"],
            buckets=(*_SECONDS, 60.0, 600.0, 3600.0, 86400.0), registry=registry,
        )  # fmt: skip
        self.sink_state = Gauge(
            "resegment_sink_state", "State of a sink: 0 sending, 1 probing, 2 paused, 3 signed out",
            ["sink"], registry=registry,
        )  # fmt: skip
        self.sink_failing = Gauge(
            "resegment_sink_failing_seconds", "Seconds since which every attempt at a sink has failed, or 0",
            ["sink"], registry=registry,
        )  # fmt: skip
        self.sink_undelivered = Gauge(
            "resegment_sink_undelivered", "Commands in a row that a sink could not carry out: they are dead letters",
            ["sink"], registry=registry,
        )  # fmt: skip
        self.sink_lag = Gauge(
            "resegment_sink_lag", "Records of its topics that a sink has not settled yet", ["sink"], registry=registry,
        )  # fmt: skip
        self.webhook_lag = Gauge(
            "resegment_webhook_lag", "Records of its topics that an endpoint has not settled yet",
            ["endpoint"], registry=registry,
        )  # fmt: skip
