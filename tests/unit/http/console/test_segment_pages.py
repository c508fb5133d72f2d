"""A segment has a page, whatever its definition says."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from resegment.http.console.app import PATH, build_console
from resegment.segmentation.definition import read_definition
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import FILE, NOW

FOLDER = Path(__file__).parents[4] / "examples"
EXAMPLES = {one.relative_to(FOLDER).as_posix(): one.read_text("utf-8") for one in FOLDER.rglob("*.yaml")}


async def read_pages(text: str) -> dict[str, str]:
    definition = read_definition([("segments.yaml", text)])
    prefix = PrefixInMemory(definition, now=NOW)
    app = FastAPI()
    app.mount(PATH, build_console(prefix))
    pages = {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost/console"
    ) as client:
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
