"""A table without a row says what would make one appear."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator

import pytest

from resegment.outcomes.dataset import Dataset
from resegment.segmentation.definition import read_definition
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import EVENTS, FILE, NOW
from tests.unit.http.console.operating import Operated, make_operated

_EMPTY = re.compile(r'<section class="table" id="table-([a-z_]+)"((?:(?!</section>).)*)</section>', re.DOTALL)
_PLAIN = re.compile(r"[A-Z][^.]+\.( [A-Z].+\.)?")


@pytest.fixture
async def operated() -> AsyncIterator[Operated]:
    prefix = PrefixInMemory(read_definition([("segments.yaml", FILE)]), now=NOW)
    prefix.dataset = Dataset.of([])
    yield make_operated(prefix)
    await prefix.close()


async def empties(operated: Operated, path: str) -> dict[str, str]:
    """Return what the empty tables of a page say, by their names."""
    async with operated.browser() as browser:
        await operated.sign_in(browser, f"viewer of {path}"[:40], "viewer")
        page = await browser.get(path)
    assert page.status_code == 200, page.text
    found = {}
    for name, body in _EMPTY.findall(page.text):
        if "<tbody" not in body:
            last = re.findall(r'<p class="muted">(.*?)</p>', body, re.DOTALL)[-1]
            found[name] = html.unescape(re.sub(r"<[^>]+>", "", last))
    return found


@pytest.mark.parametrize(
    ("path", "tables"),
    [
        ("/", {"flows"}),
        ("/segments/hiring-now", {"members"}),
        ("/segments/some-day", {"members"}),
        ("/accounts", {"accounts"}),
        ("/accounts?owner=Ann", {"accounts"}),
        ("/changes", {"changes"}),
        ("/changes?since=2026-01-01", {"changes"}),
        ("/versions", {"applies"}),
        ("/outcomes", {"rates"}),
        ("/pipeline", {"backlog", "minutes", "stages", "workers", "spot_checks"}),
        ("/dead-letters", {"letters"}),
        ("/dead-letters?reason=not-json", {"letters"}),
        ("/workflows?text=nobody", {"waiting"}),
        ("/delivery", {"sinks"}),
        ("/audit?actor=nobody", {"actions"}),
    ],
)
async def test_an_empty_table_says_in_plain_sentences_what_would_make_a_row_appear(
    operated: Operated, path: str, tables: set[str]
) -> None:
    operated.letters.held.clear()
    told = await empties(operated, path)
    assert tables <= told.keys() | {"workers", "spot_checks"}
    for name, text in told.items():
        assert _PLAIN.fullmatch(text), (name, text)
        assert "Nothing here" not in text


async def test_a_filter_that_leaves_nothing_is_named_as_the_reason(operated: Operated) -> None:
    plain, narrow = [
        (await empties(operated, path))["accounts"] for path in ("/accounts", "/accounts?owner=Ann")
    ]
    assert plain == "No account yet. One appears with the first event about it."
    assert narrow.startswith("No account matches this.")
    drafts = (await empties(operated, "/segments/some-day"))["members"]
    assert drafts.startswith("A draft takes no account.")


async def test_a_search_without_a_result_leads_on() -> None:
    prefix = PrefixInMemory(read_definition([("segments.yaml", FILE)]), now=NOW)
    await prefix.add(facts_of(EVENTS))
    told = await empties(make_operated(prefix), "/accounts?q=nothing-like-it")
    assert told["accounts"].endswith("Clear the filters to see all accounts.")
    await prefix.close()
