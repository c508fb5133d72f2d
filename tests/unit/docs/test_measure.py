"""docs/measure.md: its commands, run as the page says."""

from __future__ import annotations

from pathlib import Path

from tests.walk import ROOT, Walk, steps_of

PAGE = ROOT / "docs" / "measure.md"


def test_every_command_prints_what_the_page_says(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    steps = list(steps_of(PAGE))
    for step in steps:
        walk.take(step)
    assert len(steps) > 8
    assert "        - {fit: {gte: 10}}\n" in (tmp_path / "segments.yaml").read_text()
