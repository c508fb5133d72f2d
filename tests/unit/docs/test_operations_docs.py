"""What docs/operations.md says about topics and metrics is what the code declares."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

from resegment.settings import Settings
from resegment.streams.kafka.topics import Topics

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "operations.md").read_text("utf-8")


def test_the_tables_of_topics_and_metrics_are_those_of_the_code() -> None:
    render = runpy.run_path(str(DOCS / "tables.py"))["render"]
    assert render(PAGE) == PAGE, "run: python docs/tables.py"


def test_every_metric_to_alert_on_exists() -> None:
    alerts = PAGE.partition("## Alerts")[2].partition("\n## ")[0]
    declared = PAGE.partition("<!-- metrics")[2].partition("<!-- end -->")[0]
    named = set(re.findall(r"`(resegment_\w+)`", alerts))
    assert named
    assert all(f"`{name}`" in declared for name in named)


def test_every_setting_it_names_exists() -> None:
    named = {word.split("=")[0] for word in PAGE.replace("`", " ").split() if word.startswith("RESEGMENT_")}
    assert {name.rstrip(".,;:)").removeprefix("RESEGMENT_").lower() for name in named} <= {
        *Settings.model_fields,
        "compile",
    }  # read where a wheel is built


def test_the_rights_of_a_producer_name_its_topics_one_by_one(tmp_path: Path) -> None:
    tool = tmp_path / "kafka-acls.sh"
    tool.write_text('#!/bin/sh\necho "$@"\n')
    tool.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(DOCS / "operations" / "kafka-acls.sh")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "BOOTSTRAP": "kafka:9092"},
        capture_output=True,
        text=True,
        check=True,
    )
    rights = [shlex.split(line) for line in done.stdout.splitlines()]
    producer = [one for one in rights if "User:resegment-producer" in one]
    assert not any("prefixed" in one for one in producer)
    topics = {word for one in producer for flag, word in pairwise(one) if flag == "--topic"}
    assert topics == set(Topics("resegment").kinds)


def test_alerts_say_when_a_clock_is_ahead() -> None:
    alerts = PAGE.partition("## Alerts")[2].partition("\n## ")[0]
    assert "resegment_partition_clock_ahead_seconds" in alerts
    assert "resegment_clocks_ahead_total" in alerts
