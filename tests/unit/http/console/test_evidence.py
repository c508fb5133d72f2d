"""Evidence of which an account keeps no fields is shown all the same."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from resegment.http.console.app import PATH, build_console
from resegment.segmentation.definition import read_definition
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import EVENTS, FILE, NOW


async def test_a_fact_whose_fields_no_test_reads_is_evidence_without_fields() -> None:
    text = FILE.replace(
        "{event: hiring, where: {change: opened}, within: 90d}", "{event: hiring, within: 90d}"
    )
    prefix = PrefixInMemory(read_definition([("segments.yaml", text)]), now=NOW)
    await prefix.add(facts_of(EVENTS))
    app = FastAPI()
    app.mount(PATH, build_console(prefix))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost/console"
    ) as browser:
        page = await browser.get("/accounts/acme.com")
    await prefix.close()
    assert page.status_code == 200
    assert "acme.com-2" in page.text
