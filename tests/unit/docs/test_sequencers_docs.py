"""docs/sequencers.md: its files are valid, and it leaves no key and no limit out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resegment.sinks.loading import load_sinks
from resegment.sinks.operation import NEEDS
from resegment.sinks.registry import UNTRIED, VENDORS

PAGE = (Path(__file__).parents[3] / "docs" / "sequencers.md").read_text()
SEQUENCERS = ("outreach", "salesloft", "apollo", "instantly", "smartlead", "lemlist")
SECTIONS = dict(
    zip(SEQUENCERS, re.split(r"^## (?:Outreach|Salesloft|Apollo|Instantly|Smartlead|lemlist)$", PAGE, flags=re.MULTILINE)[1:], strict=True)
)  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCERS)
def test_the_file_of_a_vendor_is_one(name: str, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", SECTIONS[name], re.DOTALL)
    path = tmp_path / "sinks.yaml"
    path.write_text(block)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "outreach-refresh-token").write_text("a-token")
    environment = dict.fromkeys(re.findall(r"env: ([A-Z_]+)", block), "a-secret-of-some-length")
    loaded = load_sinks(path, environment)
    assert set(loaded.sinks) == {name}
    assert loaded.sinks[name].target_of("exec-first-90") is not None
    assert set(loaded.sinks[name].owners) == ({"ada"} if VENDORS[name].owner_ids else set())


@pytest.mark.parametrize("name", SEQUENCERS)
def test_every_key_of_a_vendor_is_explained(name: str) -> None:
    vendor = VENDORS[name]
    keys = {*vendor.options.model_fields, *vendor.target.model_fields, *vendor.owner_ids}
    keys |= {one for names in vendor.credentials for one in names}
    missing = {one for one in keys if not re.search(rf"\b{one}\b", SECTIONS[name])}
    assert not missing


def test_the_table_says_what_each_can_do() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    head = [one.lower() for one in rows[0][1:]]
    by_command = {row[0].strip("`"): dict(zip(head, row[1:], strict=True)) for row in rows[1:]}
    for kind in ("stop", "pause", "reassign"):
        for name in SEQUENCERS:
            told = by_command[kind][name]
            assert (told == "a task for the owner") == (not VENDORS[name].can(kind)), (kind, name)
    tasks = by_command["escalate` and other tasks"]
    for name in SEQUENCERS:
        assert tasks[name].startswith("about") == VENDORS[name].can("task")
    for name, told in by_command["limits kept"].items():
        numbers = [int(one.replace(",", "")) for one in re.findall(r"[0-9,]*[0-9]", told)]
        for limit in VENDORS[name].limits:
            assert limit.requests in numbers, (name, limit)
    assert set(NEEDS) >= {"stop", "pause", "reassign", "escalate", "task"}


def test_it_says_that_nobody_has_tried_it() -> None:
    assert UNTRIED in PAGE
