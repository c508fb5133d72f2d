"""What an account's page says is missing for a higher segment."""

from __future__ import annotations

import re

import httpx
from fastapi import FastAPI

from resegment.http.console.app import PATH, build_console
from resegment.segmentation.definition import read_definition
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import EVENTS, FILE, NOW

WAYS = FILE.replace("        - {status: active}\n", "        - {country: us}\n").replace(
    "        - {event: hiring, where: {change: opened}, within: 90d}\n",
    "        - any:\n"
    "            - {event: funding}\n"
    "            - all: [{event: engagement, where: {action: demo_request}}, {employees: {gte: 90}}]\n",
)


async def test_where_one_of_several_tests_is_enough_the_page_says_so() -> None:
    prefix = PrefixInMemory(read_definition([("segments.yaml", WAYS)]), now=NOW)
    await prefix.add(facts_of(EVENTS))
    app = FastAPI()
    app.mount(PATH, build_console(prefix))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/console") as http:
        page = (await http.get("/accounts/globex.com")).text
        twin = (await http.get("/accounts/globex.com?format=json")).json()
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page[page.index('id="title-higher"') :]))
    assert "needs country = us (country unknown)" in told
    assert "needs one of these:" in told
    after = told.partition("needs one of these:")[2]
    assert after.index("funding (found none)") < after.index("all of these together:")
    assert "needs funding" not in told, "it is one way of two"
    assert "employees &gt;= 90 (is 80)" in after
    hot = next(one for one in twin["segments"] if one["name"] == "hiring-now")
    assert [len(one.get("one_of", ())) for one in hot["needs"]] == [0, 2]
    await prefix.close()
