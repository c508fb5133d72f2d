"""What a shadow would change, on its own page and on that of each account."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from resegment.http.console.pages import shadow as page_of_shadow
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import NOW, event

SHADOW = "/versions/shadow"
BEGUN = NOW - 86_400_000


@pytest.fixture
async def shadowed(prefix: PrefixInMemory) -> PrefixInMemory:
    """Version 2 is judged beside version 1: it takes accounts with 40 employees, and two of four have 45."""
    await prefix.add(
        facts_of(
            event(f"{name}.com", "firmographic", "2026-03-04T00:00:00Z", 1, name=name, status="inactive", employees=45)
            for name in ("umbrella", "wonka")
        )
    )  # fmt: skip
    prefix.begin_shadow(2, BEGUN)
    return prefix


async def read(http: httpx.AsyncClient, path: str) -> str:
    response = await http.get(path)
    assert response.status_code == 200, response.text
    return response.text


async def test_the_page_says_how_many_would_move_from_where_to_where_and_why(
    http: httpx.AsyncClient, shadowed: PrefixInMemory
) -> None:
    page = await read(http, SHADOW)
    assert "If it were in force, 2 accounts of 5 would be elsewhere (40.0%)." in page
    assert "<title>not-now to established: 2</title>" in page, "the drawing"
    twin = (await http.get(f"{SHADOW}?format=json")).json()
    assert (twin["shadow"], twin["base"], twin["accounts"], twin["differ"]) == (2, 1, 5, 2)
    tables = twin["tables"]
    assert tables["flows"]["rows"] == [
        {"from": "not-now", "to": "established", "accounts": 2, "renamed": None}
    ]
    sizes = {
        row["segment"]: (row["now"], row["shadow"], row["difference"]) for row in tables["sizes"]["rows"]
    }
    assert sizes["established"] == (1, 3, 2)
    assert sizes["not-now"] == (3, 1, -2)
    assert tables["samples"]["rows"][0] == {
        "account": "umbrella.com",
        "from": "not-now",
        "to": "established",
        "before": "not-now, because it qualifies for no segment above; established needs employees >= 50 (is 45)",
        "after": "established, because employees >= 40 (is 45); not-now is only for accounts that qualify for nothing else",
    }
    assert [one["account"] for one in tables["moves"]["rows"]] == ["umbrella.com", "wonka.com"]


async def test_a_move_of_the_table_leads_to_its_accounts_and_their_csv(
    http: httpx.AsyncClient, shadowed: PrefixInMemory
) -> None:
    page = await read(http, SHADOW)
    assert "/console/versions/shadow?from=not-now&amp;to=established#table-moves" in page
    path = f"{SHADOW}?from=not-now&to=established&format=csv&table=moves&moves.sort=-account"
    assert (await http.get(path)).text.splitlines() == [
        "Account,From,To",
        "wonka.com,not-now,established",
        "umbrella.com,not-now,established",
    ]
    assert "No account would move." in await read(http, f"{SHADOW}?from=hiring-now")


@pytest.mark.parametrize("path", ["/", "/segments", "/versions"])
async def test_other_pages_lead_to_the_shadow(
    http: httpx.AsyncClient, shadowed: PrefixInMemory, path: str
) -> None:
    link = '<a href="/console/versions/shadow">what it would change</a>'
    assert link in await read(http, path)
    shadowed.end_shadow()
    assert link not in await read(http, path)


async def test_an_account_has_its_segment_under_the_shadow_and_why(
    http: httpx.AsyncClient, shadowed: PrefixInMemory
) -> None:
    page = await read(http, "/accounts/umbrella.com")
    assert "<strong>move from not-now to established</strong>" in page
    assert "employees &gt;= 40" in page
    twin = (await http.get("/accounts/umbrella.com?format=json")).json()["shadow"]
    assert (twin["version"], twin["moves"], twin["segment"]) == (2, True, "established")
    assert "it would stay in hiring-now" in await read(http, "/accounts/acme.com")
    assert "Under the shadow" not in await read(http, "/accounts/acme.com?at=2026-03-25T00:00:00Z")
    shadowed.behind = 3
    page = await read(http, "/accounts/umbrella.com")
    assert "has it in established. That may change: it has yet to judge 3 records" in page
    assert "<strong>move from" not in page
    assert (await http.get("/accounts/umbrella.com?format=json")).json()["shadow"]["moves"] is None
    shadowed.unjudged.add("acme.com")
    assert "has not judged it yet" in await read(http, "/accounts/acme.com")


async def test_without_a_shadow_the_page_says_how_to_begin_one(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    assert "resegment apply FILE --shadow" in await read(http, SHADOW)
    assert (await http.get(f"{SHADOW}?format=json")).json()["shadow"] is None
    assert "Under the shadow" not in await read(http, "/accounts/acme.com")


async def test_a_comparison_that_takes_long_is_waited_for_by_programs_and_shown_to_people_meanwhile(
    http: httpx.AsyncClient, shadowed: PrefixInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(page_of_shadow.PATIENCE, "html", 0.01)
    shadowed.comparing.clear()
    page = await read(http, SHADOW)
    assert "Comparing." in page
    assert "would be elsewhere" not in page
    asked = asyncio.create_task(http.get(f"{SHADOW}?format=json&table=moves"))
    await asyncio.sleep(0)
    shadowed.comparing.set()
    assert (await asked).json()["total"] == 2
    assert "would be elsewhere" in await read(http, SHADOW)


async def test_another_shadow_is_compared_again(http: httpx.AsyncClient, shadowed: PrefixInMemory) -> None:
    assert "2 accounts of 5" in await read(http, SHADOW)
    shadowed.end_shadow()
    shadowed.begin_shadow(1, BEGUN)
    assert "0 accounts of 5" in await read(http, SHADOW)


async def test_a_comparison_does_not_name_what_is_forgotten_since(
    http: httpx.AsyncClient, shadowed: PrefixInMemory
) -> None:
    assert "umbrella.com" in await read(http, SHADOW)
    shadowed.forget("umbrella.com")
    shadowed.forget("wonka.com", person=True)
    twin = (await http.get(f"{SHADOW}?format=json")).json()
    assert [one["account"] for one in twin["tables"]["moves"]["rows"]] == ["wonka.com"]
    assert twin["tables"]["samples"]["rows"] == [], "a reason may quote the person"
    assert "umbrella.com" not in await read(http, SHADOW)


async def test_what_is_forgotten_during_a_comparison_is_left_out_of_it(
    http: httpx.AsyncClient, shadowed: PrefixInMemory
) -> None:
    shadowed.comparing.clear()
    asked = asyncio.create_task(http.get(f"{SHADOW}?format=json"))
    await shadowed.compares.wait()
    shadowed.forget("umbrella.com")
    shadowed.comparing.set()
    response = await asked
    assert response.json()["tables"]["moves"]["total"] == 1
    assert "umbrella.com" not in response.text
