"""Lists of accounts: who entered when, who owns them, and addresses that mean the same to everybody."""

from __future__ import annotations

import csv
import io
import re
from html import unescape

import httpx
import pytest
from fastapi import FastAPI

from resegment.http.console.app import PATH, build_console
from resegment.segmentation.definition import read_definition
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import EVENTS, FILE, NOW, event

SEGMENT = "/segments/established"


@pytest.fixture
async def large(prefix: PrefixInMemory) -> PrefixInMemory:
    """Ten accounts of a segment, that entered at noon of the first ten days of March; six have one of two owners."""
    names = [f"large-{number}.com" for number in range(1, 11)]
    await prefix.add(
        facts_of(
            event(one, "firmographic", f"2026-03-{day:02}T12:00:00Z", 1, name=f"Large {day}", status="inactive", employees=90)
            for day, one in enumerate(names, 1)
        )
    )  # fmt: skip
    owned = [(one, "calls", ("Ann Lee", "Bo", None)[place % 3], None) for place, one in enumerate(names[:9])]
    await prefix.index.put_enrolled(owned)
    return prefix


async def rows_of(http: httpx.AsyncClient, path: str, table: str = "members") -> list[str]:
    response = await http.get(f"{path}{'&' if '?' in path else '?'}format=json&table={table}")
    assert response.status_code == 200, response.text
    return [one["account"] for one in response.json()["rows"]]


async def test_members_have_their_entry_owner_and_workflow_and_csv_is_what_the_page_shows(
    http: httpx.AsyncClient, large: PrefixInMemory
) -> None:
    path = f"{SEGMENT}?since=2026-03-03&until=2026-03-06T13:00:01&members.sort=since&tz=Europe/Berlin"
    page = (await http.get(path)).text
    table = page[page.index('id="table-members"') :]
    shown = [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r'<tr role="row">(.*?)</tr>', table, re.DOTALL)[1:]
    ]
    link = re.search(r'href="([^"]*format=csv[^"]*table=members[^"]*)" download>CSV</a>', page)
    assert link is not None
    file = (await http.get(unescape(link[1]).removeprefix("/console"))).text
    head, *rows = list(csv.reader(io.StringIO(file)))
    assert head == ["Name", "Account", "Entered", "Owner", "Workflow"]
    assert rows == [
        ["Large 3", "large-3.com", "2026-03-03T12:00:00Z", "", "calls"],
        ["Large 4", "large-4.com", "2026-03-04T12:00:00Z", "Ann Lee", "calls"],
        ["Large 5", "large-5.com", "2026-03-05T12:00:00Z", "Bo", "calls"],
        ["Large 6", "large-6.com", "2026-03-06T12:00:00Z", "", "calls"],
    ]
    assert [[*row[:2], row[3].replace("–", ""), row[4]] for row in shown] == [
        [*row[:2], row[3], row[4]] for row in rows
    ]
    assert [row[2] for row in shown] == [f"Mar {day}, 2026, 1:00 PM" for day in (3, 4, 5, 6)], "in Berlin"


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("owner=Ann+Lee", [1, 4, 7]),
        ("owner=Nobody", []),
        ("unowned=1", [3, 6, 9, 10]),
        ("q=large+7", [7]),
        ("since=2026-03-09T12:00:00Z", [9, 10]),
        ("until=2026-03-02T12:00:00Z", [1]),
        ("since=2026-03-09T13:00&tz=Europe/Berlin", [9, 10]),
        ("since=2026-03-09T13:01&tz=Europe/Berlin", [10]),
        ("owner=Bo&since=2026-03-04&members.sort=-name", [8, 5]),
    ],
)
async def test_members_are_filtered_by_the_address(
    http: httpx.AsyncClient, large: PrefixInMemory, query: str, days: list[int]
) -> None:
    sort = "" if "sort" in query else "&members.sort=since"
    found = await rows_of(http, f"{SEGMENT}?{query}{sort}")
    assert [one for one in found if one != "globex.com"] == [f"large-{day}.com" for day in days]


async def test_an_owner_leads_to_all_their_accounts(http: httpx.AsyncClient, large: PrefixInMemory) -> None:
    page = (await http.get(SEGMENT)).text
    assert 'href="/console/accounts?owner=Ann+Lee"' in page
    assert '<option value="Ann Lee">Ann Lee (3)</option>' in page
    found = await rows_of(http, "/accounts?owner=Ann+Lee&accounts.sort=owner", "accounts")
    assert sorted(found) == ["large-1.com", "large-4.com", "large-7.com"]


async def test_a_form_with_times_says_in_which_zone_they_are(http: httpx.AsyncClient) -> None:
    for path in (SEGMENT, "/accounts", "/changes", "/accounts/acme.com"):
        page = (await http.get(path)).text
        assert '<input type="hidden" name="tz" value="UTC">' in page, path


async def test_the_time_zone_of_an_address_is_kept_by_every_link(http: httpx.AsyncClient) -> None:
    paths = ("/", SEGMENT, "/accounts", "/accounts/acme.com", "/changes", "/versions", "/versions/2")
    for path in paths:
        page = (await http.get(path, params={"tz": "America/New_York"})).text
        assert "times in <strong>America/New_York</strong>" in page
        found = re.findall(r'href="(/console[^"]*)"(?!>as set)', page)
        links = [unescape(one) for one in found if not one.startswith(("/console/static", "/console/login"))]
        assert len(links) > 10
        for one in links:
            assert one.count("?") == 1, one
            assert "tz=America%2FNew_York" in one, one


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe", "<b>", "x" * 500])
async def test_a_time_zone_that_there_is_not_is_refused(http: httpx.AsyncClient, zone: str) -> None:
    response = await http.get("/changes", params={"tz": zone})
    assert response.status_code == 400
    assert "is no time zone" in response.text
    assert "<b>" not in response.text


TEAMS = """
teams:
  startups:
    members: [{name: Ann Lee, capacity: 1}]
    fallback: startups-queue
  enterprise:
    members: [{name: Bo, capacity: 1}]
"""


async def test_an_account_in_the_queue_of_its_team_has_no_owner() -> None:
    file = FILE.replace("route: {workflow: established}", "route: {workflow: established, team: startups}")
    prefix = PrefixInMemory(read_definition([("segments.yaml", file + TEAMS)]), now=NOW)
    await prefix.add(facts_of(EVENTS))
    rows = [
        ("acme.com", "calls", "startups-queue", "startups"),
        ("globex.com", "calls", "Ann Lee", "startups"),
        ("initech.com", "calls", "enterprise", "enterprise"),
    ]
    await prefix.index.put_enrolled(rows)
    app = FastAPI()
    app.mount(PATH, build_console(prefix))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/console") as client:
        assert sorted(await rows_of(client, "/accounts?unowned=1", "accounts")) == ["acme.com", "initech.com"]
        page = (await client.get("/accounts")).text
    await prefix.close()
    assert "in the queue startups-queue" in page
    assert "in the queue enterprise" in page
    assert re.findall(r'<option value="([^"]+)">[^<]*\(1\)</option>', page) == ["Ann Lee"]
