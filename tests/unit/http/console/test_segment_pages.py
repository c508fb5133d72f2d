"""A segment has a page, whatever its definition says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from resegment.http.console.app import PATH, build_console
from resegment.segmentation.definition import read_definition
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import EVENTS, FILE, NOW, event

FOLDER = Path(__file__).parents[4] / "examples"
EXAMPLES = {one.relative_to(FOLDER).as_posix(): one.read_text("utf-8") for one in FOLDER.rglob("*.yaml")}


@asynccontextmanager
async def browsing(prefix: PrefixInMemory) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.mount(PATH, build_console(prefix))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/console") as client:
        yield client


async def read_pages(text: str) -> dict[str, str]:
    definition = read_definition([("segments.yaml", text)])
    prefix = PrefixInMemory(definition, now=NOW)
    pages = {}
    async with browsing(prefix) as client:
        for segment in definition.segments:
            response = await client.get(f"/segments/{segment.name}")
            assert response.status_code == 200, segment.name
            pages[segment.name] = response.text
    await prefix.close()
    return pages


@pytest.mark.parametrize("file", sorted(EXAMPLES))
async def test_every_segment_of_the_examples_has_a_page(file: str) -> None:
    pages = await read_pages(EXAMPLES[file])
    assert all(f"<h1>{name}</h1>" in page for name, page in pages.items())


@pytest.mark.parametrize("holdout", ["12.5%", "{share: 12.5%, salt: spring}"])
async def test_a_segment_says_which_share_is_held_out(holdout: str) -> None:
    pages = await read_pages(FILE.replace("target: 5", f"holdout: {holdout}"))
    assert "Held out: 12.5% of its accounts are not enrolled" in pages["established"]
    assert "Held out" not in pages["hiring-now"]


@pytest.mark.parametrize(
    ("target", "missing", "words"),
    [
        (5, 4, "4 missing, 20% of it"),
        (1, 0, "reached"),
        (0, 0, "reached, 1 more"),
        (12_000, 11_999, "11,999 missing, 0% of it"),
    ],
)
async def test_a_segment_says_by_how_much_it_misses_its_target(target: int, missing: int, words: str) -> None:
    prefix = PrefixInMemory(
        read_definition([("segments.yaml", FILE.replace("target: 5", f"target: {target}"))]), now=NOW
    )
    await prefix.add(facts_of(EVENTS))
    async with browsing(prefix) as client:
        page = (await client.get("/segments/established")).text
        assert f"target {target:,}: {words}" in page
        rows = (await client.get("/segments?segments.sort=-missing&format=json&table=segments")).json()[
            "rows"
        ]
    assert (rows[0]["segment"], rows[0]["missing"]) == ("established", missing)
    assert rows[0]["workflow"] == "established"
    assert rows[-1]["missing"] is None
    await prefix.close()


async def test_the_tests_of_a_segment_name_the_one_that_is_unknown_for_most_accounts() -> None:
    prefix = PrefixInMemory(read_definition([("segments.yaml", FILE)]), now=NOW)
    await prefix.add(
        facts_of([*EVENTS, event("blank.com", "firmographic", "2026-03-02T00:00:00Z", 1, name="Blank")])
    )
    async with browsing(prefix) as client:
        assert (
            'hx-get="/console/segments/established?measure=1"'
            in (await client.get("/segments/established")).text
        )
        page = (await client.get("/segments/established?measure=1")).text
    assert "25.0% of accounts qualify, those that segments above take included." in page
    assert "Most is unknown for <code>employees &gt;= 50</code>: 25.0% of accounts." in page
    await prefix.close()


async def test_a_draft_says_how_many_accounts_would_qualify_for_it() -> None:
    prefix = PrefixInMemory(read_definition([("segments.yaml", FILE.replace("lt: 5", "lt: 13"))]), now=NOW)
    await prefix.add(facts_of(EVENTS))
    async with browsing(prefix) as client:
        page = (await client.get("/segments/some-day?measure=1")).text
    assert "66.7% of accounts qualify" in page
    await prefix.close()
