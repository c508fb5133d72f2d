"""The dashboards: is it alive and fresh, where does the time go, what arrives, what goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ops.panels import Dashboard, Panel, Row


def _quantiles(metric: str, by: str = "") -> list[tuple[str, str]]:
    """Return the median and the 95th and 99th percentiles of a histogram, or its 95th percentile by a label."""
    if by:
        rate = f"sum by ({by}, le) (rate({metric}_bucket[$__rate_interval]))"
        return [(f"histogram_quantile(0.95, {rate})", f"{{{{{by}}}}}")]
    rate = f"sum by (le) (rate({metric}_bucket[$__rate_interval]))"
    return [(f"histogram_quantile({one}, {rate})", f"p{one * 100:.0f}") for one in (0.5, 0.95, 0.99)]


def _rate(metric: str, by: str, factor: str = "") -> list[tuple[str, str]]:
    return [(f"sum by ({by}) (rate({metric}[$__rate_interval])){factor}", f"{{{{{by}}}}}")]


HEALTH: Final = Dashboard(
    "resegment-health",
    "Resegment: health",
    "Is it alive, fresh and complete?",
    (
        Row(
            "Now",
            (
                Panel(
                    "Workers",
                    [('sum(up{job="resegment"})', "")],
                    "Processes that answer.",
                    kind="stat",
                    width=4,
                    height=4,
                ),
                Panel(
                    "Partitions without a worker",
                    [("max(resegment_partitions) - sum(resegment_partitions_owned)", "")],
                    "Events of their accounts wait.",
                    kind="stat",
                    width=4,
                    height=4,
                    alarm=1,
                ),
                Panel(
                    "Records that wait",
                    [("sum(resegment_lag)", "")],
                    "Over all topics and partitions.",
                    kind="stat",
                    width=4,
                    height=4,
                    alarm=1000,
                ),
                Panel(
                    "Oldest unpublished change",
                    [("max(resegment_outbox_age_seconds)", "")],
                    "Decided, but not in Kafka yet.",
                    unit="s",
                    kind="stat",
                    width=4,
                    height=4,
                    alarm=60,
                ),
                Panel(
                    "Accounts that differ from the log",
                    [("sum(resegment_spot_check_differing_accounts)", "")],
                    "Found by the spot check.",
                    kind="stat",
                    width=4,
                    height=4,
                    alarm=1,
                ),
                Panel(
                    "Silent sources",
                    [("sum(resegment_source_silent)", "")],
                    "Something should have come from them.",
                    kind="stat",
                    width=4,
                    height=4,
                    alarm=1,
                ),
            ),
        ),
        Row(
            "Alerts",
            (
                Panel(
                    "Firing",
                    [('ALERTS{alertstate="firing",alertname=~"Resegment.+"}', "")],
                    "Each has an entry in docs/operations.md.",
                    kind="table",
                    width=24,
                    height=6,
                ),
            ),
        ),
        Row(
            "Fresh",
            (
                Panel(
                    "Lag by topic",
                    [("sum by (topic) (resegment_lag)", "{{topic}}")],
                    "Records that are not acknowledged yet.",
                    alarm=1000,
                ),
                Panel(
                    "Age of the newest record decided",
                    [("max by (partition) (resegment_freshness_seconds)", "{{partition}}")],
                    "By partition. It grows while nothing comes: read it together with the lag.",
                    unit="s",
                ),
                Panel(
                    "Clock of partitions ahead of now",
                    [("max by (partition) (resegment_partition_clock_ahead_seconds)", "{{partition}}")],
                    "Below 0 while a partition is idle. Above 60 s, windows end too early.",
                    unit="s",
                    alarm=60,
                ),
            ),
        ),
        Row(
            "Segments",
            (
                Panel(
                    "Accounts by segment",
                    [("sum by (segment) (resegment_segment_accounts)", "{{segment}}")],
                    "Sizes over time.",
                    width=12,
                    stacked=True,
                ),
                Panel(
                    "Moves per hour",
                    [
                        (
                            "sum by (origin, target) (increase(resegment_segment_flow_total[1h])) > 0",
                            "{{origin}} → {{target}}",
                        )
                    ],
                    "Accounts that moved between segments. No origin: seen for the first time.",
                    width=12,
                ),
                Panel(
                    "Version in force",
                    [("max(resegment_definition_version)", "version")],
                    "Number of the version of the segments file.",
                    width=6,
                    height=6,
                ),
                Panel(
                    "Accounts checked against the log",
                    [("sum(rate(resegment_spot_checked_accounts_total[$__rate_interval]))", "checked")],
                    "By the spot check.",
                    unit="ops",
                    width=6,
                    height=6,
                ),
                Panel(
                    "Every account is checked within",
                    [("max(resegment_spot_check_within_seconds)", "within")],
                    "What the spot check keeps to.",
                    unit="s",
                    width=6,
                    height=6,
                ),
                Panel(
                    "Workers lost, servers away, partitions too many",
                    [
                        ("max(resegment_workers_lost)", "workers lost"),
                        ("max by (instance) (resegment_servers_away) > 0", "servers away: {{instance}}"),
                        ("max by (topic) (resegment_partitions_surplus) != 0", "{{topic}}"),
                    ],
                    "Workers that ended without being stopped, processes that Kafka or Redis does not answer, and topics with another number of partitions than the prefix.",
                    width=12,
                    height=6,
                    alarm=1,
                ),
                Panel(
                    "Partitions that wait or are not checked",
                    [
                        ("sum(resegment_partitions_waiting)", "wait for a rebuild"),
                        ("sum(resegment_spot_check_blocked_partitions)", "not checked"),
                    ],
                    "Redis lost their state, or their log does not begin at its beginning.",
                    width=12,
                    height=6,
                    alarm=1,
                ),
            ),
        ),
    ),
)

PIPELINE: Final = Dashboard(
    "resegment-pipeline",
    "Resegment: pipeline",
    "Where does the time go, from the signal to the command?",
    (
        Row(
            "Delay",
            (
                Panel(
                    "Delay by stage, 95th percentile",
                    _quantiles("resegment_stage_delay_seconds", "stage"),
                    "From when the oldest record of a batch was written until the stage was done with it.",
                    unit="s",
                    width=12,
                    exemplars=True,
                ),
                Panel(
                    "Lateness of deadlines",
                    _quantiles("resegment_deadline_lateness_seconds"),
                    "From the end of a window to the decision.",
                    unit="s",
                    width=12,
                ),
            ),
        ),
        Row(
            "Work",
            (
                Panel(
                    "Records read",
                    _rate("resegment_events_in_total", "stage"),
                    "By stage.",
                    unit="ops",
                ),
                Panel(
                    "Messages made",
                    _rate("resegment_events_out_total", "stage"),
                    "By stage.",
                    unit="ops",
                ),
                Panel(
                    "Time per batch, 95th percentile",
                    _quantiles("resegment_batch_seconds", "stage"),
                    "By stage.",
                    unit="s",
                ),
                Panel(
                    "Failures",
                    [
                        (
                            "sum by (stage, error) (rate(resegment_failures_total[$__rate_interval]))",
                            "{{stage}}: {{error}}",
                        )
                    ],
                    "Batches that failed and are retried.",
                    unit="ops",
                ),
                Panel(
                    "Partitions taken again",
                    _rate("resegment_retakes_total", "error"),
                    "Fenced, rolled back or out of step.",
                    unit="ops",
                ),
                Panel(
                    "Ticks",
                    [("sum(rate(resegment_ticks_total[$__rate_interval]))", "ticks")],
                    "Records that let time pass.",
                    unit="ops",
                ),
            ),
        ),
        Row(
            "Redis and memory",
            (
                Panel(
                    "Time of a commit",
                    _quantiles("resegment_commit_seconds"),
                    "One atomic write to Redis.",
                    unit="s",
                ),
                Panel(
                    "Memory of Redis",
                    [
                        ("max(resegment_redis_memory_bytes)", "used"),
                        ("max(resegment_redis_memory_limit_bytes) > 0", "limit"),
                        ("sum by (stage) (resegment_state_bytes)", "state of the {{stage}}"),
                    ],
                    "Redis never evicts: when it is full, workers wait.",
                    unit="bytes",
                ),
                Panel(
                    "Accounts in the memory of workers",
                    [("resegment_cached_bytes", "{{instance}}")],
                    "Bounded by RESEGMENT_CACHE_BYTES.",
                    unit="bytes",
                ),
                Panel(
                    "Key store",
                    [
                        ("min(resegment_key_store_up)", "answers"),
                        ("sum(rate(resegment_forgotten_events_total[$__rate_interval]))", "forgotten events"),
                    ],
                    "Whether the keys of personal fields can be had, and the events a second of what is forgotten.",
                ),
                Panel(
                    "Commits that wait to be published",
                    [("max by (partition) (resegment_outbox_entries)", "{{partition}}")],
                    "By partition.",
                ),
                Panel(
                    "Age of the oldest",
                    [("max by (partition) (resegment_outbox_age_seconds)", "{{partition}}")],
                    "By partition.",
                    unit="s",
                    alarm=60,
                ),
                Panel(
                    "Archive",
                    [
                        ("sum by (topic) (resegment_archive_lag)", "{{topic}}"),
                        ("max(resegment_archive_failing)", "failing"),
                        ("sum(resegment_archive_gaps)", "gaps"),
                    ],
                    "Records that are not archived yet.",
                ),
            ),
        ),
    ),
)

SOURCES: Final = Dashboard(
    "resegment-sources",
    "Resegment: sources",
    "What arrives, what is refused, and who is silent.",
    (
        Row(
            "Sources",
            (
                Panel(
                    "Time since the last event",
                    [("time() - max by (source) (resegment_source_last_event_seconds)", "{{source}}")],
                    "By source.",
                    unit="s",
                    width=12,
                ),
                Panel(
                    "Silent",
                    [("max by (source) (resegment_source_silent) > 0", "{{source}}")],
                    "Something should have come from these.",
                    kind="table",
                    width=12,
                ),
                Panel(
                    "HTTP requests",
                    [
                        (
                            "sum by (source, status) (rate(resegment_intake_requests_total[$__rate_interval]))",
                            "{{source}}: {{status}}",
                        )
                    ],
                    "To the HTTP intake, by the status of the answer.",
                    unit="ops",
                ),
                Panel(
                    "Events over HTTP",
                    [
                        (
                            "sum by (source, outcome) (rate(resegment_intake_events_total[$__rate_interval]))",
                            "{{source}}: {{outcome}}",
                        )
                    ],
                    "Accepted, or the reason why not.",
                    unit="ops",
                ),
                Panel(
                    "Time until Kafka has them",
                    _quantiles("resegment_intake_seconds"),
                    "Of a request.",
                    unit="s",
                ),
            ),
        ),
        Row(
            "Refused",
            (
                Panel(
                    "Dead letters by reason",
                    _rate("resegment_refused_total", "reason", " * 3600"),
                    "Per hour.",
                ),
                Panel(
                    "Dead letters that nobody sent again",
                    [("max by (age) (resegment_dead_letters)", "{{age}}")],
                    "By age: younger than an hour, a day, seven days, or older.",
                    stacked=True,
                ),
                Panel(
                    "Unresolved subjects",
                    [
                        ("max(resegment_unresolved_waiting)", "waiting"),
                        ("sum(increase(resegment_unresolved_total[1h]))", "new in an hour"),
                    ],
                    "Names and ids that mean no account yet.",
                ),
            ),
        ),
        Row(
            "Quality",
            (
                Panel(
                    "Clocks ahead, repeated ids, lost records",
                    [
                        (
                            "sum by (topic) (increase(resegment_clocks_ahead_total[1h])) > 0",
                            "clock: {{topic}}",
                        ),
                        (
                            "sum by (source) (increase(resegment_repeated_ids_total[1h])) > 0",
                            "ids: {{source}}",
                        ),
                        ("sum(increase(resegment_log_gaps_total[1h])) > 0", "records lost"),
                        ("sum(increase(resegment_new_logs_total[1h])) > 0", "topics created again"),
                    ],
                    "In an hour.",
                ),
                Panel(
                    "Facts that limits dropped",
                    _rate("resegment_facts_dropped_total", "test", " * 3600"),
                    "Per hour, by test.",
                ),
                Panel(
                    "Values that do not fit",
                    [
                        ("sum by (attribute) (increase(resegment_misfits_total[1h])) > 0", "{{attribute}}"),
                        (
                            "sum by (kind) (increase(resegment_unlisted_actions_total[1h])) > 0",
                            "action of {{kind}}",
                        ),
                        ("max by (list) (resegment_list_lines_skipped) > 0", "lines of {{list}}"),
                    ],
                    "Attributes of another type, actions that the contract does not list, lines that name no company.",
                ),
            ),
        ),
    ),
)

DELIVERY: Final = Dashboard(
    "resegment-delivery",
    "Resegment: routing and delivery",
    "Who is enrolled, and do commands arrive?",
    (
        Row(
            "Routing",
            (
                Panel(
                    "Accounts by routing decision",
                    [("sum by (decision) (resegment_routed_accounts)", "{{decision}}")],
                    "The last decision of each account.",
                    width=12,
                    stacked=True,
                ),
                Panel(
                    "Decisions per hour",
                    _rate("resegment_routed_total", "decision", " * 3600"),
                    "By decision.",
                    width=6,
                ),
                Panel(
                    "Commands per hour",
                    _rate("resegment_commands_total", "action", " * 3600"),
                    "By action.",
                    width=6,
                ),
            ),
        ),
        Row(
            "Outcomes",
            (
                Panel(
                    "Outcomes by what credits them",
                    [("sum by (credit) (resegment_outcomes)", "{{credit}}")],
                    "By what credits each to a touch, or why nothing does.",
                    width=12,
                    stacked=True,
                ),
                Panel(
                    "Touches",
                    [
                        ("sum by (arm) (resegment_touches)", "{{arm}}"),
                        ("sum(resegment_outcomes_dropped)", "not kept"),
                    ],
                    "By arm; and those that are not kept, because their accounts have too many.",
                    width=12,
                ),
            ),
        ),
        Row(
            "Webhooks",
            (
                Panel(
                    "State",
                    [("max by (endpoint) (resegment_webhook_state)", "{{endpoint}}")],
                    "0 delivering, 1 probing, 2 paused, 3 disabled.",
                    kind="bargauge",
                    alarm=2,
                ),
                Panel(
                    "Commands that wait",
                    [("max by (endpoint) (resegment_webhook_lag)", "{{endpoint}}")],
                    "Records that an endpoint has not settled.",
                ),
                Panel(
                    "Commands in a row that were not delivered",
                    [("max by (endpoint) (resegment_webhook_undelivered)", "{{endpoint}}")],
                    "They are dead letters.",
                    alarm=1,
                ),
                Panel(
                    "Requests",
                    [
                        (
                            "sum by (endpoint, outcome) (rate(resegment_webhook_deliveries_total[$__rate_interval]))",
                            "{{endpoint}}: {{outcome}}",
                        )
                    ],
                    "By outcome.",
                    unit="ops",
                ),
                Panel(
                    "Time of a request, 95th percentile",
                    _quantiles("resegment_webhook_seconds", "endpoint"),
                    "By endpoint.",
                    unit="s",
                ),
                Panel(
                    "Delay from command to delivery, 95th percentile",
                    _quantiles("resegment_webhook_delay_seconds", "endpoint"),
                    "By endpoint.",
                    unit="s",
                    exemplars=True,
                ),
                Panel(
                    "Failing for",
                    [("max by (endpoint) (resegment_webhook_failing_seconds)", "{{endpoint}}")],
                    "Every request has failed since.",
                    unit="s",
                    alarm=300,
                ),
            ),
        ),
    ),
)

SINKS: Final = Dashboard(
    "resegment-sinks",
    "Resegment: sinks",
    "Do commands arrive in CRMs, sequencers and messengers?",
    (
        Row(
            "Sinks",
            (
                Panel(
                    "State",
                    [("max by (sink) (resegment_sink_state)", "{{sink}}")],
                    "0 sending, 1 probing, 2 paused, 3 signed out.",
                    kind="bargauge",
                    alarm=2,
                ),
                Panel(
                    "Commands that wait",
                    [("max by (sink) (resegment_sink_lag)", "{{sink}}")],
                    "Records that a sink has not settled.",
                ),
                Panel(
                    "Commands in a row that were not carried out",
                    [("max by (sink) (resegment_sink_undelivered)", "{{sink}}")],
                    "They are dead letters.",
                    alarm=1,
                ),
                Panel(
                    "Commands per hour",
                    [
                        (
                            "sum by (sink, outcome) (rate(resegment_sink_commands_total[$__rate_interval])) * 3600",
                            "{{sink}}: {{outcome}}",
                        )
                    ],
                    "By outcome.",
                ),
                Panel(
                    "Contacts per hour",
                    [
                        (
                            "sum by (sink, outcome) (rate(resegment_sink_contacts_total[$__rate_interval])) * 3600",
                            "{{sink}}: {{outcome}}",
                        )
                    ],
                    "By outcome.",
                ),
                Panel(
                    "Requests",
                    [
                        (
                            "sum by (sink, status) (rate(resegment_sink_requests_total[$__rate_interval]))",
                            "{{sink}}: {{status}}",
                        )
                    ],
                    "To vendors, by the status of the answer; 0 is none.",
                    unit="ops",
                ),
                Panel(
                    "Time of a request, 95th percentile",
                    _quantiles("resegment_sink_seconds", "sink"),
                    "By sink.",
                    unit="s",
                ),
                Panel(
                    "Delay from command to effect, 95th percentile",
                    _quantiles("resegment_sink_delay_seconds", "sink"),
                    "By sink.",
                    unit="s",
                    exemplars=True,
                ),
                Panel(
                    "Failing for",
                    [("max by (sink) (resegment_sink_failing_seconds)", "{{sink}}")],
                    "Every attempt has failed since.",
                    unit="s",
                    alarm=300,
                ),
            ),
        ),
    ),
)

DASHBOARDS: Final[Sequence[Dashboard]] = (HEALTH, PIPELINE, SOURCES, DELIVERY, SINKS)
