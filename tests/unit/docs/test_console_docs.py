"""docs/console.md says what each page of the console answers."""

from __future__ import annotations

import re
from pathlib import Path

from resegment.http.console.navigation import NAVIGATION

PAGE = (Path(__file__).parents[3] / "docs" / "console.md").read_text("utf-8")
BELOW = {"An account"}
"""Pages that another page leads to."""


def test_the_table_of_pages_has_those_of_the_navigation_in_their_order() -> None:
    table = PAGE.split("| page | what it answers |")[1].split("\n\n")[0]
    rows = [one for one in re.findall(r"^\| ([A-Z][^|]*) \|", table, re.MULTILINE) if one not in BELOW]
    assert rows == [entry.title for entry in NAVIGATION]
