"""Instants of addresses: what the calendar of some time zone cannot hold is no time, and no page fails because of it."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from resegment.http.console.app import PATH, build_console
from resegment.localization import Locale
from tests.console import PrefixInMemory

ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("9999-12-31T23:59:59Z", 400),
        ("9999-12-31T23:59:59-14:00", 400),
        ("9999-12-31", 400),
        ("0001-01-01", 400),
        ("0001-01-01T00:00:00+14:00", 400),
        ("1969-12-01", 400),
        ("2099-12-30T00:00:00Z", 200),
        ("2026-03-29T02:30:00", 200),
    ],
)
async def test_a_time_far_from_now_is_answered_in_every_zone(
    prefix: PrefixInMemory, zone: str, at: str, status: int
) -> None:
    app = FastAPI()
    app.mount(PATH, build_console(prefix, locale=Locale("en_US", zone)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/console") as client:
        assert (await client.get("/accounts/acme.com", params={"at": at})).status_code == status
        assert (await client.get("/changes", params={"since": at, "until": at})).status_code == status


@pytest.mark.parametrize(
    ("path", "name"),
    [("/accounts/acme.com", "at"), ("/accounts", "since"), ("/changes", "until"), ("/changes", "since")],
)
async def test_another_time_zone_shows_the_same_time_of_the_address(
    http: httpx.AsyncClient, path: str, name: str
) -> None:
    page = (await http.get(path, params={name: "2026-03-25T09:00", "tz": "Asia/Tokyo"})).text
    form = page[page.index('<form class="zone"') :]
    assert f'<input type="hidden" name="{name}" value="2026-03-25T00:00:00Z">' in form
    assert f'href="/console{path}?{name}=2026-03-25T00%3A00%3A00Z">as set' in form

    pinned = {name: "2026-03-25T00:00:00Z", "tz": "Europe/Berlin"}
    moved = (await http.get(path, params=pinned)).text
    assert f'name="{name}" type="datetime-local" step="1" value="2026-03-25T01:00:00"' in moved or (
        f'type="datetime-local" step="1" name="{name}" value="2026-03-25T01:00:00"' in moved
    )
    rows = [
        (await http.get(path, params={**query, "format": "json"})).json()["tables"]
        for query in ({name: "2026-03-25T09:00", "tz": "Asia/Tokyo"}, pinned)
    ]
    assert rows[0] == rows[1]


async def test_a_text_that_is_no_time_stays_in_the_form_of_the_time_zone(http: httpx.AsyncClient) -> None:
    page = (await http.get("/changes", params={"since": "soon"})).text
    assert '<input type="hidden" name="since" value="soon">' in page


async def test_the_page_of_a_wrong_time_shows_examples_that_can_be_written(http: httpx.AsyncClient) -> None:
    page = (await http.get("/changes", params={"since": "bogus"})).text
    examples = re.findall(r"<code>([^<]*)</code>", page)
    assert examples == ["2026-01-31", "2026-01-31T09:00", "2026-01-31T09:00:00Z"]
    for one in examples:
        assert (await http.get("/changes", params={"since": one})).status_code == 200


async def test_a_time_before_anything_was_known_leads_to_the_timeline_and_to_other_times(
    http: httpx.AsyncClient,
) -> None:
    path = "/accounts/acme.com"
    answer = await http.get(path, params={"at": "2026-02-10T09:00", "tz": "Asia/Tokyo"})
    assert answer.status_code == 404
    assert "Nothing was known about <code>acme.com</code>" in answer.text
    assert ">Feb 10, 2026, 9:00 AM</time>" in answer.text
    links = re.findall(r'href="(/console/accounts/acme\.com[^"]*)"', answer.text)
    assert [one for one in links if "timeline" in one] == [f"/console{path}?tz=Asia%2FTokyo#table-timeline"]
    assert f"/console{path}?tz=Asia%2FTokyo" in links
    assert 'name="at" value="2026-02-10T09:00:00"' in answer.text
    assert 'id="table-timeline"' in (await http.get(path)).text
    twin = await http.get(path, params={"at": "2026-02-10", "format": "json"})
    assert twin.json()["error"] == "nothing is known about acme.com on 2026-02-10T00:00:00Z"


@pytest.mark.parametrize("path", ["/accounts", "/segments/hiring-now", "/changes"])
async def test_a_filter_proposes_periods_up_to_now_such_as_the_last_30_days(
    http: httpx.AsyncClient, path: str
) -> None:
    table = {"/accounts": "accounts", "/changes": "changes"}.get(path, "members")
    given = {"tz": "Asia/Tokyo", "until": "2026-03-30", f"{table}.page": "2"}
    page = html.unescape((await http.get(path, params=given)).text)
    *_, link = re.findall(r'<a href="([^"]*)">last 30 days</a>', page.partition('class="filters"')[0])
    query = dict(parse_qsl(urlsplit(link).query))
    assert query == {"tz": "Asia/Tokyo", "since": "2026-03-01T12:00:00Z"}
    chosen = (await http.get(link.removeprefix("/console"))).text
    assert 'aria-current="true">last 30 days</a>' in chosen
    assert 'value="2026-03-01T21:00:00"' in chosen, "the form has the beginning of the period, in its zone"
    twin = (await http.get(f"{path}?since=2026-03-01T12:00:00Z&format=json&table={table}")).json()
    assert twin["total"] == {"accounts": 3, "changes": 3, "members": 1}[table], (
        "acme.com was first seen before"
    )


async def test_a_window_is_named_in_words(http: httpx.AsyncClient) -> None:
    for path in ("/", "/segments", "/segments/hiring-now"):
        page = (await http.get(f"{path}?span=30d")).text
        assert 'aria-current="true">last 30 days</a>' in page
        assert ">everything</a>" in page
