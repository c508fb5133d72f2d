"""The pages point to what is there: links, headings, files, and the names that the walk through the code uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
FILE = re.compile(r"`((?:[\w-]+/)+[\w.-]*\.(?:py|lua|sh|yaml|acl))`")
FOLDERS = (ROOT, ROOT / "resegment", ROOT / "docs")
"""Where a path in a page may begin."""
WALK = (ROOT / "docs" / "follow-one-signal.md").read_text("utf-8")


def without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def broken(page: Path) -> list[str]:
    found = []
    for path, anchor in LINK.findall(without_code(page)):
        target = page if not path else (page.parent / path).resolve()
        if not target.exists():
            found.append(f"{path} is not there")
        elif anchor and anchor not in anchors(target):
            found.append(f"{path}#{anchor}: the page has no such heading")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = FILE.findall(without_code(page))
    assert [one for one in named if not any((folder / one).exists() for folder in FOLDERS)] == []


@pytest.mark.parametrize(
    "step", re.split(r"^## ", WALK, flags=re.MULTILINE)[1:], ids=lambda one: one.split("\n")[0]
)
def test_a_step_of_the_walk_names_what_its_files_define(step: str) -> None:
    files = [ROOT / "docs" / path for path, _ in LINK.findall(step)]
    code = "\n".join(one.read_text("utf-8") for one in files if one.suffix == ".py")
    named = re.findall(r"`(\w+)\(\)`", step)
    assert [name for name in named if not re.search(rf"def {name}\b", code)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading\n[a](#a-heading) [b](#none) [c](none.md) [d](page.md#a-heading)\n")
    assert broken(page) == ["#none: the page has no such heading", "none.md is not there"]
