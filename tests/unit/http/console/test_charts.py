"""Charts say from when to when they are, also where both ends are on one day."""

from __future__ import annotations

import re

import pytest

from resegment.http.console.charts import draw_line
from resegment.http.console.history import Window
from resegment.schemas.times import parse_instant


@pytest.mark.parametrize(
    ("since", "until", "ends"),
    [
        ("2026-03-01T00:00:00Z", "2026-03-31T12:00:00Z", ["Mar 1, 2026", "Mar 31, 2026"]),
        (
            "2026-03-31T11:00:00Z",
            "2026-03-31T12:00:30Z",
            ["Mar 31, 2026, 11:00 AM", "Mar 31, 2026, 12:00 PM"],
        ),
        ("2026-03-30T20:00:00Z", "2026-03-31T08:00:00Z", ["Mar 30, 2026, 8:00 PM", "Mar 31, 2026, 8:00 AM"]),
    ],
)
def test_the_ends_of_an_axis_differ(since: str, until: str, ends: list[str]) -> None:
    window = Window("all", parse_instant(since), parse_instant(until), 3_600_000)
    chart = str(draw_line([1, 2, 3], window))
    assert re.findall(r">([A-Z][a-z]+ \d[^<]*)</text>", chart) == ends
