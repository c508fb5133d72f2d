"""Dashboards and alerts name only metrics and labels that the code declares, and Grafana and Prometheus can read them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from ops.__main__ import FOLDER
from ops.alerts import ALERTS
from ops.dashboards import DASHBOARDS
from ops.panels import COLUMNS, Dashboard
from resegment.metrics import Metrics
from tests.promtool import require

FOREIGN: Mapping[str, set[str]] = {"up": set(), "ALERTS": {"alertname", "alertstate"}}
"""Metrics that Prometheus makes itself."""
ADDED = {"instance", "job"}
"""Labels that Prometheus adds."""


def declared() -> dict[str, set[str]]:
    """Return the labels of each series by its name, as Prometheus sees them."""
    series: dict[str, set[str]] = dict(FOREIGN)
    for one in vars(Metrics()).values():
        if isinstance(one, MetricWrapperBase):
            name, labels = one._name, set(one._labelnames)
            if one._type == "counter":
                series[f"{name}_total"] = labels
            elif one._type == "histogram":
                series |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
            else:
                series[name] = labels
    return series


SERIES = declared()


def named(expr: str) -> tuple[set[str], set[str]]:
    """Return the series and the labels that an expression names."""
    plain = re.sub(r'"[^"]*"', '""', expr)
    labels = {
        label.strip()
        for inside in re.findall(r"\b(?:by|on) \(([^)]*)\)", plain)
        for label in inside.split(",")
    }
    labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", "".join(re.findall(r"\{([^}]*)\}", plain))))
    words = re.findall(r"[a-zA-Z_:][\w:]*", re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", plain))
    return {one for one in words if one.startswith("resegment") or one in FOREIGN}, labels


def expressions() -> Iterator[tuple[str, str, str]]:
    """Yield each expression with its place and the template of its names."""
    for alert in ALERTS:
        yield alert.name, alert.expr, re.sub(r"\$labels\.", "", alert.summary)
    for dashboard in DASHBOARDS:
        for row in dashboard.rows:
            for panel in row.panels:
                for expr, legend in panel.queries:
                    yield f"{dashboard.uid}: {panel.title}", expr, legend
        for one in dashboard.build()["annotations"]["list"]:
            yield f"{dashboard.uid}: {one['name']}", one["expr"], ""


@pytest.mark.parametrize(("place", "expr", "legend"), list(expressions()))
def test_an_expression_names_only_declared_metrics_and_labels(place: str, expr: str, legend: str) -> None:
    series, labels = named(expr)
    assert series
    assert series <= SERIES.keys()
    allowed = set().union(*(SERIES[one] for one in series)) | ADDED
    assert labels <= allowed
    told = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
    grouped = re.search(r"\bby \(([^)]*)\)", expr)
    assert told <= ({one.strip() for one in grouped[1].split(",")} if grouped else allowed)


def test_a_misspelt_metric_or_label_is_noticed() -> None:
    series, labels = named('sum by (topics) (rate(resegment_lagg{partition="3",wrong!="x"}[5m]))')
    assert (series - SERIES.keys(), labels) == ({"resegment_lagg"}, {"topics", "partition", "wrong"})


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    promtool = require("promtool")
    rules = [{"record": "r", "expr": expr.replace("$__rate_interval", "1m")} for _, expr, _ in expressions()]
    path = tmp_path / "rules.yml"
    # a rule may stand only once in a group
    path.write_text(
        yaml.safe_dump({"groups": [{"name": str(n), "rules": [one]} for n, one in enumerate(rules)]})
    )
    done = subprocess.run(
        [promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_can_read_its_configuration() -> None:
    promtool = require("promtool")
    config = FOLDER / "prometheus" / "prometheus.yml"
    done = subprocess.run(
        [promtool, "check", "config", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_panels_lie_beside_each_other_and_on_none(dashboard: Dashboard) -> None:
    panels: list[dict[str, Any]] = dashboard.build()["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for one in panels:
        place = one["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, one["title"]
        taken |= cells
        targets = one.get("targets", [])
        assert len({target["refId"] for target in targets}) == len(targets)
        assert one["type"] == "row" or (targets and one["description"])


def test_every_metric_that_tells_of_trouble_is_on_a_dashboard() -> None:
    shown = set().union(*(named(expr)[0] for place, expr, _ in expressions() if ":" in place))
    alarming = set().union(*(named(one.expr)[0] for one in ALERTS)) - {"up", "ALERTS"}
    # the disk of an embedded instance is seen by `up` itself, and the number of partitions is no trouble
    assert alarming - shown - {"resegment_journal_full"} == set()
