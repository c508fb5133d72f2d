"""Each alert fires by the fault that it is for, alone, and goes out after it; while all is well, none fires."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.__main__ import FOLDER, build
from ops.alerts import ALERTS, rules
from tests.promtool import require

LONG = 70
"""Steps before and after the fault of an alert that looks back for an hour."""

Value = float | None


@dataclass(frozen=True)
class Fault:
    """What a fault makes of series, for some steps: each has a value, grows by it, or is gone (None)."""

    series: Mapping[str, Value]
    grows: bool = False
    steps: int = 30
    new: bool = False
    """Whether the series exist only from the fault on, with one value: a counter with labels that was 0."""
    minutes: int = 1
    """The length of a step."""
    around: int = 20
    """Steps before it, and after it, in which all is well."""


WORKERS = ('instance="a:8300"', 'instance="b:8300"')
GREW = ('resegment_clocks_ahead_total{topic="p.accounts"}',)
"""Counters that grew long before: a history of less than an hour would begin with their growth."""
WELL: Mapping[str, Value] = {
    # a process that only delivers has the gauges of workers too
    'up{job="resegment",instance="deliver:8300"}': 1,
    **{
        f'resegment_{one}{{instance="deliver:8300"}}': 0
        for one in ("partitions", "partitions_owned", "partitions_waiting", "definition_version")
    },
    **{f'up{{job="resegment",{one}}}': 1 for one in WORKERS},
    **{f"resegment_partitions_owned{{{one}}}": 4 for one in WORKERS},
    **{f"resegment_partitions{{{one}}}": 8 for one in WORKERS},
    **{f"resegment_partitions_waiting{{{one}}}": 0 for one in WORKERS},
    **{f"resegment_definition_version{{{one}}}": 3 for one in WORKERS},
    'resegment_workers_lost{instance="b:8300"}': 0,
    'resegment_servers_away{instance="a:8300"}': 0,
    'resegment_partitions_surplus{topic="p.workflow-commands"}': 0,
    'resegment_lag{topic="p.signals",partition="3",instance="a:8300"}': 0,
    'resegment_lag{topic="p.triggers.funding",partition="3",instance="a:8300"}': 40,
    # nothing has come for hours: that is no fault
    'resegment_freshness_seconds{partition="3",instance="a:8300"}': 9_000,
    'resegment_partition_clock_ahead_seconds{partition="3",instance="a:8300"}': -9_000,
    'resegment_outbox_age_seconds{partition="3",instance="a:8300"}': 0,
    "resegment_log_gaps_total": 0,
    "resegment_new_logs_total": 0,
    'resegment_dead_letters{age="1h"}': 3,
    'resegment_dead_letters{age="1d"}': 0,
    'resegment_dead_letters{age="older"}': 70,
    'resegment_source_silent{source="/scrapers/jobs"}': 0,
    'resegment_spot_check_differing_accounts{partition="3"}': 0,
    "resegment_spot_check_blocked_partitions": 0,
    "resegment_redis_memory_bytes": 1.5e9,
    "resegment_redis_memory_limit_bytes": 2e9,
    "resegment_key_store_up": 1,
    "resegment_journal_full": 0,
    "resegment_archive_failing": 0,
    'resegment_archive_gaps{topic="p.signals"}': 0,
    'resegment_webhook_state{endpoint="crm"}': 0,
    'resegment_webhook_failing_seconds{endpoint="crm"}': 0,
    'resegment_webhook_undelivered{endpoint="crm"}': 0,
    'resegment_sink_state{sink="hubspot"}': 0,
    'resegment_sink_failing_seconds{sink="hubspot"}': 0,
    'resegment_sink_undelivered{sink="hubspot"}': 0,
    'resegment_intake_requests_total{source="/crm",status="503"}': 0,
    **dict.fromkeys(GREW, 7),
}
GROWING: Mapping[str, float] = {
    'resegment_events_in_total{stage="intake"}': 600,
    'resegment_refused_total{stage="intake",reason="not-json"}': 6,
    **{
        f'resegment_stage_delay_seconds_bucket{{stage="segmenter",le="{le}"}}': 60
        for le in ("0.1", "60.0", "300.0", "+Inf")
    },
    **{f'resegment_deadline_lateness_seconds_bucket{{le="{le}"}}': 60 for le in ("0.1", "120.0", "+Inf")},
}
"""What grows so much each minute while all is well."""

NO_WORKER: Mapping[str, Value] = {
    name: None
    for name in WELL
    if name.startswith(("up", "resegment_partitions", "resegment_definition")) and "deliver" not in name
}
FAULTS: Mapping[str, Fault] = {
    "ResegmentWorkerDown": Fault({'up{job="resegment",instance="a:8300"}': 0}),
    "ResegmentNoWorker": Fault(NO_WORKER),
    "ResegmentServersAway": Fault({'resegment_servers_away{instance="a:8300"}': 1}),
    "ResegmentPartitionsUnowned": Fault({'resegment_partitions_owned{instance="a:8300"}': 3}),
    "ResegmentPartitionCounts": Fault({'resegment_partitions_surplus{topic="p.workflow-commands"}': 2}),
    "ResegmentPartitionsWaiting": Fault({'resegment_partitions_waiting{instance="a:8300"}': 1}),
    "ResegmentLag": Fault(
        {'resegment_lag{topic="p.triggers.funding",partition="3",instance="a:8300"}': 300}, grows=True
    ),
    "ResegmentNotFresh": Fault({'resegment_lag{topic="p.signals",partition="3",instance="a:8300"}': 5}),
    "ResegmentStageSlow": Fault(
        {
            f'resegment_stage_delay_seconds_bucket{{stage="segmenter",le="{le}"}}': 60
            * (le in ("300.0", "+Inf"))
            for le in ("0.1", "60.0", "300.0", "+Inf")
        },
        grows=True,
    ),
    "ResegmentDeadlinesLate": Fault(
        {
            f'resegment_deadline_lateness_seconds_bucket{{le="{le}"}}': 60 * (le != "0.1")
            for le in ("0.1", "120.0", "+Inf")
        },
        grows=True,
    ),
    "ResegmentOutboxOld": Fault({'resegment_outbox_age_seconds{partition="3",instance="a:8300"}': 90}),
    "ResegmentBatchesFail": Fault(
        {'resegment_failures_total{stage="segmenter",error="StoreUnavailable"}': 4}, grows=True
    ),
    "ResegmentClockAhead": Fault(
        {'resegment_partition_clock_ahead_seconds{partition="3",instance="a:8300"}': 700}
    ),
    "ResegmentProducerClockAhead": Fault(
        {'resegment_clocks_ahead_total{topic="p.triggers.intent"}': 1}, new=True, around=LONG
    ),
    "ResegmentRecordsLost": Fault(
        {'resegment_log_gaps_total{instance="new:8300"}': 1}, steps=5, new=True, around=LONG
    ),
    "ResegmentNewLog": Fault(
        {'resegment_new_logs_total{instance="new:8300"}': 1}, steps=5, new=True, around=LONG
    ),
    "ResegmentManyRefused": Fault(
        {'resegment_refused_total{stage="intake",reason="not-json"}': 60}, grows=True
    ),
    "ResegmentDeadLettersWait": Fault({'resegment_dead_letters{age="1d"}': 2}),
    "ResegmentRepeatedIds": Fault({'resegment_repeated_ids_total{source="/crm"}': 1}, new=True, around=LONG),
    "ResegmentSourceSilent": Fault({'resegment_source_silent{source="/scrapers/jobs"}': 1}),
    "ResegmentSpotCheckDiffers": Fault({'resegment_spot_check_differing_accounts{partition="3"}': 1}),
    "ResegmentSpotCheckBlocked": Fault(
        {"resegment_spot_check_blocked_partitions": 1}, steps=150, minutes=10, around=LONG
    ),
    "ResegmentRedisMemory": Fault({"resegment_redis_memory_bytes": 1.7e9}),
    "ResegmentKeyStoreAway": Fault({"resegment_key_store_up": 0}),
    "ResegmentJournalFull": Fault({"resegment_journal_full": 1}),
    "ResegmentArchiveFails": Fault({"resegment_archive_failing": 1}),
    "ResegmentArchiveGaps": Fault({'resegment_archive_gaps{topic="p.signals"}': 1}),
    "ResegmentWebhookDisabled": Fault({'resegment_webhook_state{endpoint="crm"}': 3}),
    "ResegmentWebhookFails": Fault({'resegment_webhook_failing_seconds{endpoint="crm"}': 400}),
    "ResegmentCommandsBuried": Fault({'resegment_webhook_undelivered{endpoint="crm"}': 2}),
    "ResegmentNothingDelivers": Fault({'resegment_webhook_state{endpoint="crm"}': None}, around=LONG),
    "ResegmentSinkSignedOut": Fault({'resegment_sink_state{sink="hubspot"}': 3}),
    "ResegmentSinkFails": Fault({'resegment_sink_failing_seconds{sink="hubspot"}': 400}),
    "ResegmentSinkCommandsBuried": Fault({'resegment_sink_undelivered{sink="hubspot"}': 1}),
    "ResegmentIntakeRefuses": Fault(
        {'resegment_intake_requests_total{source="/crm",status="503"}': 5}, grows=True
    ),
    "ResegmentVersionsDiffer": Fault({'resegment_definition_version{instance="a:8300"}': 4}),
}

TAKEN_OVER: Mapping[str, Value] = {
    **{
        name: None
        for name in WELL
        if 'instance="a:8300"' in name and name.startswith(("up", "resegment_part"))
    },
    'resegment_partitions_owned{instance="b:8300"}': 8,
}
"""What is left of a worker where targets are discovered: nothing."""
OTHERS: Sequence[tuple[str, str | None, Fault]] = (
    (
        "a worker is killed, and is no target any more",
        "ResegmentWorkerDown",
        Fault({**TAKEN_OVER, 'resegment_workers_lost{instance="b:8300"}': 1}),
    ),
    ("a worker is stopped, and is no target any more", None, Fault(TAKEN_OVER)),
    (
        "a topic has too few partitions",
        "ResegmentPartitionCounts",
        Fault({'resegment_partitions_surplus{topic="p.workflow-commands"}': -3}),
    ),
    (
        "a source sends many records at once that are refused for a reason that was none before",
        "ResegmentManyRefused",
        Fault(
            {'resegment_refused_total{stage="intake",reason="wrong-envelope"}': 400},
            steps=10,
            new=True,
            around=30,
        ),
    ),
    (
        "a few records are refused for a reason that was none before",
        None,
        Fault(
            {'resegment_refused_total{stage="intake",reason="wrong-envelope"}': 4},
            steps=10,
            new=True,
            around=30,
        ),
    ),
    (
        "no process sends to a sink",
        "ResegmentNothingDelivers",
        Fault({'resegment_sink_state{sink="hubspot"}': None}, around=LONG),
    ),
)
"""Further faults: what happens, and the alert that fires, if any."""


def spell(name: str, fault: Fault, until: int) -> str:
    """Return the values of a series, one each minute, as promtool reads them."""
    before = after_it = fault.around
    here = before + fault.steps
    if name not in fault.series:
        step = GROWING.get(name, 0)
        return f"{WELL.get(name, 0)}+{step}x{until}"
    value, well, step = fault.series[name], WELL.get(name), GROWING.get(name, 0)
    if fault.new:
        start = f"_x{before}" if well is None else f"{well}+0x{before - 1}"
        return f"{start} {value}+0x{until - before}"
    begin = WELL.get(name) or 0
    start = f"{begin}+{step}x{before - 1}"
    reached = begin + step * (before - 1)
    if value is None:
        return f"{start} _x{fault.steps} {begin}+0x{after_it}"
    if not fault.grows:
        return f"{start} {value}+0x{fault.steps - 1} {begin}+0x{after_it}"
    top = reached + value * fault.steps
    after = (
        f"{begin}+0x{until - here}" if name.startswith("resegment_lag") else f"{top}+{step}x{until - here}"
    )
    return f"{start} {reached + value}+{value}x{fault.steps - 1} {after}"


def scenario(title: str, alert: str | None, fault: Fault) -> Mapping[str, Any]:
    before, until, length = fault.around, fault.steps + 2 * fault.around, fault.minutes
    names = dict.fromkeys([*WELL, *GROWING, *fault.series])
    if fault.around < LONG:
        names = {name: None for name in names if name not in GREW or name in fault.series}

    asked = 'group by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "name": title,
        "interval": f"{length}m",
        "input_series": [{"series": name, "values": spell(name, fault, until)} for name in names],
        "promql_expr_test": [
            {"expr": asked, "eval_time": f"{length * (before - 1)}m", "exp_samples": []},
            {
                "expr": asked,
                "eval_time": f"{length * (before + fault.steps - 1)}m",
                "exp_samples": [] if alert is None else [{"labels": f'{{alertname="{alert}"}}', "value": 1}],
            },
            {"expr": asked, "eval_time": f"{length * until}m", "exp_samples": []},
        ],
    }


def test_every_alert_fires_by_its_fault_and_goes_out_after_it(tmp_path: Path) -> None:
    promtool = require("promtool")
    done = try_rules(promtool, rules(), tmp_path, [(one, one, fault) for one, fault in FAULTS.items()])
    assert done.returncode == 0, done.stdout + done.stderr


def test_other_faults_make_the_same_alerts_fire(tmp_path: Path) -> None:
    promtool = require("promtool")
    done = try_rules(promtool, rules(), tmp_path, OTHERS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("change", ["never fires", "always fires"])
def test_an_alert_that_does_neither_is_noticed(change: str, tmp_path: Path) -> None:
    promtool = require("promtool")
    wrong = yaml.safe_load(yaml.safe_dump(dict(rules())))
    wrong["groups"][0]["rules"][0]["expr"] = "vector(1) > 2" if change == "never fires" else "vector(1)"
    name = "ResegmentWorkerDown"
    done = try_rules(promtool, wrong, tmp_path, [(name, name, FAULTS[name])])
    assert (done.returncode, "ResegmentWorkerDown" in done.stderr + done.stdout) == (1, True)


def try_rules(
    promtool: str,
    rules: Mapping[str, Any],
    folder: Path,
    cases: Sequence[tuple[str, str | None, Fault]],
) -> subprocess.CompletedProcess[str]:
    (folder / "rules.yml").write_text(yaml.safe_dump(dict(rules)))
    files = []
    for minutes in (1, 10):
        tests = {
            "rule_files": ["rules.yml"],
            "evaluation_interval": f"{minutes}m",
            "tests": [scenario(*case) for case in cases if case[2].minutes == minutes],
        }
        if tests["tests"]:
            files.append(f"tests-{minutes}.yml")
            (folder / files[-1]).write_text(yaml.safe_dump(tests, sort_keys=False))
    return subprocess.run(
        [promtool, "test", "rules", *files], cwd=folder, capture_output=True, text=True, check=False
    )


def test_every_alert_has_a_fault_that_it_is_for() -> None:
    assert FAULTS.keys() == {one.name for one in ALERTS}


def test_the_files_are_what_the_builder_makes() -> None:
    for path, text in build().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run `python -m ops`"


def test_no_other_dashboard_lies_about() -> None:
    assert set((FOLDER / "grafana" / "dashboards").iterdir()) == {
        path for path in build() if path.suffix == ".json"
    }


def anchors_of(page: str) -> set[str]:
    return {line.lstrip("# ").strip().lower() for line in page.splitlines() if line.startswith("### ")}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one.name)
def test_every_alert_leads_to_its_entry_in_the_runbook(alert: Any) -> None:
    page = (FOLDER.parent / "docs" / "operations.md").read_text("utf-8")
    assert alert.anchor in anchors_of(page)


def test_a_runbook_somewhere_else_can_be_named() -> None:
    found: Sequence[Mapping[str, Any]] = rules(runbook="https://wiki.example/x")["groups"][0]["rules"]
    assert found[0]["annotations"]["runbook_url"] == "https://wiki.example/x#resegmentworkerdown"
