"""docs/change-a-segment.md: what needs no servers, run as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.walk import ROOT, Walk, lines_missing, steps_of

PAGE = ROOT / "docs" / "change-a-segment.md"
LIVE = "## On a running instance"


def test_every_command_prints_what_the_page_says(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    steps = list(steps_of(PAGE, until=LIVE))
    for step in steps:
        walk.take(step)
    assert len(steps) > 8
    assert "        - {raised_1y_usd: {gte: 10000000}}\n" in (tmp_path / "segments.yaml").read_text()


def test_the_page_uses_the_action_and_the_hooks_that_there_are() -> None:
    page = PAGE.read_text("utf-8")
    workflow, hooks = (yaml.safe_load(one) for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    step = workflow["jobs"]["segments"]["steps"][-1]
    action = yaml.safe_load((ROOT / ".github" / "actions" / "segments" / "action.yml").read_text("utf-8"))
    assert step["with"].keys() <= action["inputs"].keys()
    defined = {one["id"] for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    assert {one["id"] for one in hooks["repos"][0]["hooks"]} == defined


@pytest.mark.parametrize(
    ("stated", "missing"),
    [("a\nc", []), ("a\n...\nc", []), ("b  x", []), ("c\na", ["a"]), ("d", ["d"]), ("a\na", ["a"])],
)
def test_lines_are_looked_for_in_their_order(stated: str, missing: list[str]) -> None:
    assert lines_missing(stated, "a\nb x\nc\n") == missing
