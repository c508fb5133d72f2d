"""Who waits for whom and why, owners with their load, and whether webhooks and sinks get their commands."""

from __future__ import annotations

import html
import re
import time
from typing import Any

import pytest

from resegment.console.sanitizing import sanitize
from resegment.http.console.pages.operations.delivery import Recipient
from resegment.http.operations.queue import WaitingAccount
from resegment.state.sinks.states import SinkState
from tests.console import PrefixInMemory
from tests.unit.http.console.operating import HOSTILE, NOON, Operated, check_harmless, make_operated


@pytest.fixture
def operated(prefix: PrefixInMemory) -> Operated:
    return make_operated(prefix)


async def rows(operated: Operated, path: str, table: str) -> list[dict[str, Any]]:
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        found = (await browser.get(path)).json()
    assert isinstance(found, dict)
    told: list[dict[str, Any]] = found["tables"][table]["rows"]
    return told


@pytest.mark.parametrize(
    ("query", "accounts"),
    [
        ("", ["acme.com", "queued.com"]),
        ("&reason=quiet", ["silent.com"]),
        ("&reason=all", ["acme.com", "queued.com", "silent.com", "control.com"]),
        ("&reason=holdout", ["control.com"]),
        ("&reason=queued", ["queued.com"]),
        ("&reason=nothing-like-it", ["acme.com", "queued.com"]),
        ("&owner=Bo", ["queued.com"]),
        ("&owner=Nobody", []),
        ("&workflow=calls", ["queued.com"]),
        ("&text=QUEUE", ["queued.com"]),
        ("&text=sales&reason=all", ["queued.com", "silent.com", "control.com"]),
        ("&owner=Ann Lee&reason=queued", []),
    ],
)
async def test_who_waits_is_filtered_and_quiet_accounts_are_shown_if_asked_for(
    operated: Operated, query: str, accounts: list[str]
) -> None:
    found = await rows(operated, f"/workflows?format=json{query}", "waiting")
    assert [row["account"] for row in found] == accounts


async def test_each_reason_has_its_count_and_leads_to_its_accounts(operated: Operated) -> None:
    operated.owners.unlisted = {"quiet": 7}
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = html.unescape((await browser.get("/workflows")).text)
        assert "all that wait 2</a>" in page
        assert "in a queue 1</a>" in page
        assert "quiet 1</a>" in page
        assert "more are not listed" not in page
        narrow = html.unescape((await browser.get("/workflows?text=queued")).text)
        assert "all that wait 1</a>" in narrow
        assert "7 more are not listed" in (await browser.get("/workflows?reason=quiet")).text
        told = (await browser.get("/workflows?format=json")).json()
        assert (told["reasons"]["queued"], told["unlisted"]) == (1, {"quiet": 7})
        csv = (await browser.get("/workflows?format=csv&table=waiting&reason=queued")).text
        assert csv.splitlines()[1].startswith("queued.com,in a queue,calls,sales,")


async def test_an_owner_has_load_and_capacity_and_leads_to_accounts_and_to_those_who_wait(
    operated: Operated,
) -> None:
    (row,) = await rows(operated, "/workflows?format=json", "members")
    assert (row["open"], row["capacity"], round(row["load"], 2), row["waits"]) == (5, 9, 0.56, 1)
    async with operated.browser() as browser:
        await operated.sign_in(browser, "val", "viewer")
        page = html.unescape((await browser.get("/workflows")).text)
        for link in ("/accounts?owner=Ann+Lee", "/workflows?owner=Ann+Lee"):
            assert f'href="/console{link}"' in page
            assert (await browser.get(link)).status_code == 200
        chosen = (await browser.get("/workflows?owner=Ann+Lee")).text
        told = re.sub(r"<[^>]+>", "", chosen)
        assert "Ann Lee owns 5 open accounts of 9; 1 account waits that may go to them." in told
        assert "Ann Lee (1)" in told
        twin = (await browser.get("/workflows?format=json&owner=Ann Lee")).json()
    shown = [row["account"] for row in twin["tables"]["waiting"]["rows"]]
    assert shown == ["acme.com"], "over the limit of the day counts, too"


async def test_held_out_accounts_are_counted_and_lead_to_their_list(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = html.unescape((await browser.get("/workflows")).text)
    assert "held out 1</a>" in page
    assert 'href="/console/workflows?workflow=calls&reason=holdout"' in page


async def test_a_value_of_the_address_that_there_is_not_is_said(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = html.unescape((await browser.get("/workflows?reason=never&waiting.sort=-size")).text)
        assert "The address has reason=never, which is left out: it can be queued, " in page
        assert "The address has waiting.sort=-size, which is left out" in page
        told = (await browser.get("/workflows?reason=never&format=json")).json()
        assert len(told["unknown"]) == 1
        known = "/workflows?reason=holdout&waiting.sort=-account"
        assert "left out:" not in (await browser.get(known)).text


def endpoint(**given: Any) -> Recipient:
    plain: dict[str, Any] = dict.fromkeys(Recipient._fields)
    return Recipient(
        **{
            **plain,
            "name": "crm",
            "state": "delivering",
            "refused": 0,
            "notes": (),
            "dry_run": False,
            **given,
        }
    )


@pytest.mark.parametrize(
    ("given", "words", "is_well"),
    [
        ({}, "works", True),
        ({"since": 5}, "fails, and is tried again", False),
        ({"refused": 3}, "answers, but refused its last 3 commands", False),
        ({"state": "left alone"}, "is paused: it keeps failing, and is tried again later", False),
        ({"state": "nobody sends"}, "gets nothing: no process sends to it", False),
        ({"state": "of a later release"}, "of a later release", False),
        ({"state": "sending", "dry_run": True}, "works (dry run)", True),
    ],
)
def test_states_are_told_in_plain_words(given: dict[str, Any], words: str, *, is_well: bool) -> None:
    one = endpoint(**given)
    assert (one.words, one.is_well) == (words, is_well)


async def test_the_page_names_what_gets_no_commands_since_when_and_with_which_answer(
    operated: Operated, prefix: PrefixInMemory
) -> None:
    report = {
        "state": "paused",
        "vendor": "hubspot",
        "lag": 1,
        "failing_since": time.time() - 600,
        "problem": "status 503",
        "undelivered": 0,
    }
    prefix.told["sinks"] = {"hub": SinkState(reports={"p": report}), "idle": SinkState()}
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = (await browser.get("/delivery")).text
        told = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
        assert "The webhook crm refusing, since Nov 26, 2026, 12:00 AM: crm." in told
        assert "2 commands are in the dead letters" in told
        assert "The sink hub is paused: it keeps failing, and is tried again later, since" in told
        assert 'href="/console/dead-letters?endpoint=crm"' in page
        found = (await browser.get("/delivery?format=json")).json()
        assert found["in_trouble"] == ["crm", "hub", "idle"]
        (row,) = found["tables"]["webhooks"]["rows"]
        assert (row["since"], row["buried"], row["state"]) == ("2026-11-26T00:00:00Z", 2, "refusing")


@pytest.mark.parametrize("attack", HOSTILE)
async def test_what_vendors_answer_stays_text(
    operated: Operated, prefix: PrefixInMemory, attack: str
) -> None:
    report = {"state": attack, "vendor": attack, "problem": attack, "failing_since": 1.0}
    notes = [{"account": attack, "text": attack}]
    prefix.told["sinks"] = {attack: SinkState(reports={"p": report}, notes=notes)}
    operated.owners.account = operated.owners.words = operated.owners.member = attack
    params = {"owner": attack, "workflow": attack, "text": attack, "reason": attack}
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        for path in ("/delivery", "/workflows"):
            page = await browser.get(path, params=params)
            assert page.status_code == 200
            check_harmless(page.text)
            assert sanitize(attack) in html.unescape(page.text), path


async def test_a_line_that_settles_is_named_as_what_it_is(operated: Operated) -> None:
    operated.owners.waits = [
        WaitingAccount("soon.com", "settling", "calls", "sales", (), NOON, "1 of 2 waiting for sales")
    ]
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = html.unescape((await browser.get("/workflows")).text)
        assert "line settles 1</a>" in page
        assert "limit of the day 1</a>" in page
        csv = (await browser.get("/workflows?format=csv&table=waiting&reason=settling")).text
        assert csv.splitlines()[1].startswith("soon.com,line settles,calls,sales,")
        chosen = (await browser.get("/workflows?reason=settling")).text
    assert "Line settles: in the line of a team that has room today" in chosen
