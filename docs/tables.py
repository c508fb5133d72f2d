"""Write the tables of topics and metrics into docs/operations.md, from the code that declares them.

Run `python docs/tables.py` to update them.
"""

# ruff: noqa: INP001 -- a script

from __future__ import annotations

import re
from pathlib import Path

from resegment.metrics import Metrics
from resegment.streams.kafka.topics import Topics

PAGE = Path(__file__).with_name("operations.md")


def render(page: str) -> str:
    """Return the page with both tables updated."""
    for name, rows in {"topics": _topics(), "metrics": _metrics()}.items():
        table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
        page = re.sub(
            rf"(<!-- {name}:.*?-->\n).*?(<!-- end -->)",
            lambda m, t=table: f"{m[1]}{t}\n{m[2]}",
            page,
            flags=re.DOTALL,
        )
    return page


def _topics() -> list[list[str]]:
    kept = [
        [f"`{one.name}`", one.carries, "forever" if one.retention is None else f"{one.retention.days} days"]
        for one in Topics()
    ]
    return [["topic", "carries", "kept"], ["---"] * 3, *kept]


def _metrics() -> list[list[str]]:
    rows = [
        [
            f"`{one.name}{'_total' if one.type == 'counter' else ''}`",
            one.type,
            _labels(one.name),
            one.documentation,
        ]
        for one in Metrics().registry.collect()
    ]
    return [["metric", "type", "labels", "meaning"], ["---"] * 4, *rows]


def _labels(name: str) -> str:
    metrics = vars(Metrics()).values()
    (names,) = [one._labelnames for one in metrics if getattr(one, "_name", None) == name]
    return ", ".join(f"`{label}`" for label in names)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
