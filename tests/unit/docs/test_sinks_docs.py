"""docs/sinks.md: its file is one, its code runs, and it leaves no key out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from resegment.sinks.configuration import SinkEntry
from resegment.sinks.kit import run
from resegment.sinks.loading import load_sinks
from resegment.sinks.port import Answer, Request, judge_status
from resegment.sinks.registry import UNTRIED, VENDORS
from tests.vendors.samples import SAMPLES

PAGE = (Path(__file__).parents[3] / "docs" / "sinks.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_its_file_is_right(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "hubspot-token").write_text("a-token")
    (tmp_path / "sinks.yaml").write_text(text)
    loaded = load_sinks(tmp_path / "sinks.yaml", {"SLACK_TOKEN": "a-token"})
    assert set(loaded.sinks) == {"crm", "chat"}


def test_it_names_every_key_of_a_sink() -> None:
    table = PAGE.partition("| key of a sink | default | meaning |")[2].partition("\n\n")[0]
    keys = set(
        re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    )
    assert keys == set(SinkEntry.model_fields)


@pytest.mark.parametrize("name", ["hubspot", "salesforce", "slack"])
def test_every_key_of_a_vendor_is_explained(name: str) -> None:
    vendor = VENDORS[name]
    keys = {*vendor.options.model_fields, *vendor.target.model_fields, *vendor.owner_ids}
    keys |= {one for names in vendor.credentials for one in names}
    paragraph = PAGE.partition(f"\n**{vendor.title}.**")[2].partition("\n\n")[0]
    assert {one for one in keys if f"`{one}`" not in paragraph and f"{{{one}:" not in paragraph} == set()


def test_it_says_that_no_sink_was_tried() -> None:
    assert UNTRIED in PAGE


def test_its_sink_keeps_the_rules() -> None:
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)  # noqa: S102  # the page's own
    made: set[str] = set()

    def answer(request: Request) -> Answer:
        if request.method == "PUT":
            assert request.path not in made
            made.add(request.path)
        return Answer(200 if request.path in made else 404, {})

    class Sink:
        carry_out = staticmethod(names["tell"])
        judge = staticmethod(judge_status)

    operation = SAMPLES["slack"].operation("task")
    result = run(Sink(), operation, answer, faults=iter(["none", "lost", "kill-after"]))  # type: ignore[arg-type]
    assert result.outcome == "applied"
    assert made == {"/tickets/k1"}
