"""A small builder of Grafana dashboards: rows of panels, laid out from left to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

COLUMNS: Final = 24
"""The width of a dashboard."""
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

Kind = Literal["timeseries", "stat", "table", "bargauge"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `queries` are pairs of an expression and the name of its series.

    `alarm` is the value from which a panel is red. `exemplars` shows single records that took long.
    """

    title: str
    queries: Sequence[tuple[str, str]]
    about: str
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    alarm: float | None = None
    stacked: bool = False
    exemplars: bool = False

    def build(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return the panel as Grafana reads it."""
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if self.alarm is not None:
            steps.append({"color": "red", "value": self.alarm})
        custom: dict[str, Any] = {}
        if self.kind == "timeseries":
            custom = {"fillOpacity": 20 if self.stacked else 0, "showPoints": "never", "lineWidth": 1}
            custom["stacking"] = {"mode": "normal" if self.stacked else "none", "group": "A"}
            if self.alarm is not None:
                custom["thresholdsStyle"] = {"mode": "line"}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": DATASOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "min": 0,
                    "thresholds": {"mode": "absolute", "steps": steps},
                    **({"custom": custom} if custom else {}),
                },
                "overrides": [],
            },
            "options": self._options(),
            "targets": [
                {
                    "refId": chr(ord("A") + place),
                    "datasource": DATASOURCE,
                    "expr": expr,
                    "legendFormat": legend,
                    "editorMode": "code",
                    "range": self.kind == "timeseries",
                    "instant": self.kind != "timeseries",
                    **({"format": "table"} if self.kind == "table" else {}),
                    **({"exemplar": True} if self.exemplars else {}),
                }
                for place, (expr, legend) in enumerate(self.queries)
            ],
        }

    def _options(self) -> dict[str, Any]:
        last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        if self.kind == "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        if self.kind == "stat":
            return {"reduceOptions": last, "colorMode": "value", "graphMode": "area", "textMode": "auto"}
        if self.kind == "bargauge":
            return {"reduceOptions": last, "displayMode": "basic", "orientation": "horizontal"}
        return {"showHeader": True}


@dataclass(frozen=True, slots=True)
class Row:
    """A titled row of panels; those that do not fit beside each other continue below."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard. `uid` is its place in Grafana, which links name."""

    uid: str
    title: str
    about: str
    rows: Sequence[Row]

    def build(self) -> Mapping[str, Any]:
        """Return the dashboard as Grafana reads it."""
        built: list[dict[str, Any]] = []
        y = 0
        for row in self.rows:
            built.append(
                {
                    "id": len(built) + 1,
                    "type": "row",
                    "title": row.title,
                    "collapsed": False,
                    "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
                    "panels": [],
                }
            )
            x, y, height = 0, y + 1, 0
            for panel in row.panels:
                if x + panel.width > COLUMNS:
                    x, y, height = 0, y + height, 0
                built.append(panel.build(len(built) + 1, x, y))
                x, height = x + panel.width, max(height, panel.height)
            y += height
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.about,
            "tags": ["resegment"],
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "browser",
            "templating": {
                "list": [
                    {
                        "name": "datasource",
                        "label": "Prometheus",
                        "type": "datasource",
                        "query": "prometheus",
                        "current": {},
                        "hide": 0,
                    }
                ]
            },
            "annotations": {
                "list": [
                    {
                        "name": "Versions",
                        "datasource": DATASOURCE,
                        "enable": True,
                        "iconColor": "blue",
                        "expr": "changes(max(resegment_definition_version)[2m:30s]) > 0",
                        "titleFormat": "another version of the segments file",
                        "step": "30s",
                    }
                ]
            },
            "links": [
                {
                    "title": "Resegment",
                    "type": "dashboards",
                    "tags": ["resegment"],
                    "asDropdown": True,
                    "keepTime": True,
                }
            ],
            "panels": built,
        }
