"""The reference of the sources is written from the adapters, and the examples of the page on sources work."""

from __future__ import annotations

import re
from pathlib import Path

from resegment.http.intake.access import read_access
from resegment.sources.adapters.mapping import read_mapping
from resegment.sources.adapters.reference import describe_all
from resegment.sources.registry import all_adapters

DOCS = Path(__file__).parents[3] / "docs"


def test_the_reference_is_what_the_adapters_say() -> None:
    written = (DOCS / "sources-reference.md").read_text(encoding="utf-8")
    assert written == describe_all(all_adapters()), "run `make contracts`"


def test_the_mapping_file_of_the_page_is_valid() -> None:
    page = (DOCS / "sources.md").read_text(encoding="utf-8")
    (example,) = (one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if one.startswith("kind"))
    mapped = read_mapping(example.encode(), "map.yaml")
    assert mapped.kind == "firmographic"
    assert {one.name for one in mapped.fields} == {
        "employees",
        "revenue_usd",
        "technologies",
        "status",
        "naics",
    }


def test_the_file_of_keys_of_the_page_is_valid(tmp_path: Path) -> None:
    page = (DOCS / "sources.md").read_text(encoding="utf-8")
    (example,) = (one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if one.startswith("keys"))
    file = tmp_path / "keys.yaml"
    file.write_text(example)
    access = read_access(file, {"HUBSPOT_CLIENT_SECRET": "x", "OLD_HUBSPOT_CLIENT_SECRET": "y"})
    assert [key.name for key in access.keys] == ["scraper"]
