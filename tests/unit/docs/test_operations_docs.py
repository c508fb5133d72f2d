"""What docs/operations.md says about topics and metrics is what the code declares."""

from __future__ import annotations

import runpy
from pathlib import Path

from resegment.settings import Settings

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "operations.md").read_text("utf-8")


def test_the_tables_of_topics_and_metrics_are_those_of_the_code() -> None:
    render = runpy.run_path(str(DOCS / "tables.py"))["render"]
    assert render(PAGE) == PAGE, "run: python docs/tables.py"


def test_every_metric_to_alert_on_exists() -> None:
    alerts = PAGE.partition("Worth an alert:")[2].partition("\n## ")[0]
    declared = PAGE.partition("<!-- metrics")[2].partition("<!-- end -->")[0]
    named = {
        word.strip("`").split("[")[0] for word in alerts.replace("(", " ").split() if "resegment_" in word
    }
    assert named
    assert all(f"`{name.strip('`')}`" in declared for name in named)


def test_every_setting_it_names_exists() -> None:
    named = {word.split("=")[0] for word in PAGE.replace("`", " ").split() if word.startswith("RESEGMENT_")}
    assert {
        name.rstrip(".,;:)").removeprefix("RESEGMENT_").lower() for name in named
    } <= Settings.model_fields.keys()
