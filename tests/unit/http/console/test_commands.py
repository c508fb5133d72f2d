"""Sentences that name a command lead to the page that does the same, and errors lead on."""

from __future__ import annotations

import html

import httpx
import pytest

from resegment.http.console.commands import find_page, linking_by
from resegment.http.console.navigation import NAVIGATION
from resegment.http.console.rendering import spell_told
from resegment.streams.operations.dead_letters import DeadLetterCount
from tests.console import PrefixInMemory
from tests.unit.http.console.operating import HOSTILE, check_harmless, make_operated


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "3 events wait: `resegment dead-letters retry --endpoint crm` sends them again",
            '3 events wait: <a href="/c/dead-letters?endpoint=crm">the page of these dead letters</a> sends them again',
        ),
        (
            "Nothing has changed. `resegment history` lists them.",
            'Nothing has changed. <a href="/c/versions">The page Versions</a> lists them.',
        ),
        ("`Changes` still shows them", '<a href="/c/changes">The page Changes</a> still shows them'),
        ("see `resegment accounts`", 'see <a href="/c/accounts">the page Accounts</a>'),
        ("`resegment show 3` has it", '<a href="/c/versions/3">Its page</a> has it'),
        ("`resegment explain a/b.com`", '<a href="/c/accounts/a%2Fb.com">Its page</a>'),
    ],
)
def test_a_command_that_a_page_can_do_is_a_link_to_it(text: str, shown: str) -> None:
    with linking_by(lambda path: f"/c{path}"):
        assert spell_told(text) == shown


@pytest.mark.parametrize(
    "command",
    [
        "resegment rebuild --partition 3",
        "resegment accounts unresolved",
        "resegment routing set changed",
        "resegment plan --json",
        "resegment apply",
        "resegment historyx",
        "2026-01-31",
    ],
)
def test_what_no_page_can_do_stays_a_command(command: str) -> None:
    with linking_by(str):
        assert spell_told(f"run `{command}`") == f"run <code>{command}</code>"


def test_outside_of_a_page_there_are_no_links() -> None:
    assert find_page("resegment history") is None


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_a_producer_writes_into_a_command_is_text(hostile: str) -> None:
    with linking_by(lambda path: f"/c{path}"):
        check_harmless(spell_told(f"`resegment dead-letters retry --endpoint {hostile.replace(' ', '')}` it"))
        check_harmless(spell_told(f"`resegment explain {hostile}` it"))


async def test_the_overview_leads_to_the_dead_letters_of_an_endpoint_and_keeps_the_time_zone(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    prefix.told = {"letters": DeadLetterCount(undelivered={"crm": 3})}
    for path in ("/", "/health"):
        page = html.unescape((await http.get(f"{path}?tz=Asia/Tokyo")).text)
        assert (
            'href="/console/dead-letters?endpoint=crm&tz=Asia%2FTokyo">the page of these dead letters</a>'
            in page
        )
        assert "resegment dead-letters" not in page


@pytest.mark.parametrize(
    ("path", "lead"),
    [
        ("/segments/nowhere", "/segments"),
        ("/accounts/unknown.example", "/accounts?q=unknown.example"),
        ("/versions/99", "/versions"),
        ("/dead-letters/show?id=none", "/dead-letters"),
        ("/workflows/leave?member=Nobody", "/workflows"),
        ("/nothing-here", "/"),
    ],
)
async def test_the_page_of_an_error_leads_to_where_the_right_thing_can_be_found(
    prefix: PrefixInMemory, path: str, lead: str
) -> None:
    operated = make_operated(prefix)
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        page = await browser.get(path)
        assert page.status_code == 404
        main = html.unescape(page.text).partition('<main id="main"')[2]
        assert f'<p><a href="/console{lead}">' in main
        assert (await browser.get(lead)).status_code in (200, 303)


def test_every_page_that_a_command_leads_to_is_in_the_navigation() -> None:
    known = {entry.path for entry in NAVIGATION}
    with linking_by(str):
        for command in (
            "dead-letters retry",
            "rollback 2",
            "audit",
            "owners",
            "webhooks enable crm",
            "status",
            "metrics",
        ):
            page = find_page(f"resegment {command}")
            assert page is not None
            assert page.url.partition("?")[0] in known
