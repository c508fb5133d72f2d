"""The page about the archive lists the columns that its files have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resegment.archive.columns import COLUMNS, RECORD, schema_of

PAGE = (Path(__file__).parents[3] / "docs/archive.md").read_text("utf-8")


@pytest.mark.parametrize("topic", COLUMNS)
def test_every_column_of_a_topic_is_on_the_page(topic: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(("| all |", f"| `{topic}` |"))]
    told = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert set(schema_of(topic)) - told == set()


def test_the_record_comes_first() -> None:
    assert list(schema_of("signals"))[: len(RECORD)] == list(RECORD)
