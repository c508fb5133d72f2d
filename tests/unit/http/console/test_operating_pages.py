"""The pages where operators act on versions, owners and webhooks, and those that tell of sources and actions."""

from __future__ import annotations

import html
import re
import threading
from typing import Any

import pytest

from resegment.console.sanitizing import sanitize
from resegment.http.console.pages import sources
from resegment.http.console.pages.operations.refusals import source_of
from resegment.http.console.pages.sources import tell_rhythm
from resegment.http.operations.letters import Sent
from resegment.http.operations.sources import RecentFacts
from resegment.schemas.contracts.audit import AuditEntry
from resegment.schemas.times import format_instant
from resegment.sources.rhythm import Rhythm
from resegment.streams.audit.reading import AuditedAction
from resegment.streams.operations.dead_letters import DeadLetter
from tests.console import PrefixInMemory
from tests.unit.http.console.operating import (
    FILE,
    HOSTILE,
    NOON,
    Operated,
    check_harmless,
    letter,
    make_operated,
)


@pytest.fixture
def operated(prefix: PrefixInMemory) -> Operated:
    return make_operated(prefix)


async def test_a_version_is_edited_planned_and_applied_as_it_was_looked_at(operated: Operated) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        form = await browser.get("/versions/apply")
        assert "of version 3, which is in force" in form.text
        assert 'name="file:segments.yaml"' in form.text
        text = FILE.replace("gte: 100", "gte: 200").replace("\n", "\r\n")
        led = await browser.post("/versions/plan", data={"csrf": csrf, "file:segments.yaml": text})
        path = led.headers["location"].removeprefix("/console")
        page = (await browser.get(path)).text
        (shown,) = re.findall(r'name="hash" value="([^"]+)"', page)
        assert shown == next(iter(operated.versions.plans.values())).plan.hash
        assert "segments.yaml" in (await browser.get("/versions/apply")).text
        wrong = await browser.post(f"{path}/apply", data={"csrf": csrf, "hash": "0123456789ab-0"})
        assert (wrong.status_code, operated.versions.applied) == (409, [])
        missing = await browser.post(f"{path}/apply", data={"csrf": csrf})
        assert (missing.status_code, operated.versions.applied) == (400, [])
        await browser.post(f"{path}/apply", data={"csrf": csrf, "hash": shown, "message": " why "})
        assert operated.versions.applied == [("ann", "why")]
        done = (await browser.get(path)).text
        assert "Version 4 is in force" in done
        assert 'name="hash"' not in done


async def test_a_file_with_errors_is_shown_again_with_them(operated: Operated) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        text = FILE.replace("gte: 100", "gte: many </textarea><script>")
        answered = await browser.post("/versions/plan", data={"csrf": csrf, "file:segments.yaml": text})
        assert answered.status_code == 400
        assert "Nothing was planned" in answered.text
        assert "gte: many </textarea><script>" in html.unescape(answered.text)
        check_harmless(answered.text)
        assert not operated.versions.plans
        for data in (
            {},
            {"file:a.yaml": FILE, "route": "everywhere"},
            {"file:../a.yaml": FILE},
            {"file:/etc/a": FILE},
        ):
            assert (await browser.post("/versions/plan", data={"csrf": csrf, **data})).status_code == 400


async def test_a_rollback_is_planned_before_it_is_done(operated: Operated) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        led = await browser.post("/versions/rollback", data={"csrf": csrf, "to": "1"})
        assert led.status_code == 303
        (kept,) = operated.versions.kept()
        assert kept.intent.goes_back_to == 1
        for number in ("x", "-1", "1" * 20, "１"):
            assert (
                await browser.post("/versions/rollback", data={"csrf": csrf, "to": number})
            ).status_code == 400


async def test_a_plan_that_is_gone_is_named(operated: Operated) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        assert (await browser.get("/versions/plans/x")).status_code == 404
        assert (
            await browser.post("/versions/plans/x/apply", data={"csrf": csrf, "hash": "a-1"})
        ).status_code == 404


async def test_members_leave_and_return_in_the_name_of_the_operator(operated: Operated) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser)
        assert "5 accounts" in (await browser.get("/workflows/leave?member=Ann+Lee")).text
        assert (await browser.get("/workflows/leave?member=Nobody")).status_code == 404
        await browser.post("/workflows/leave", data={"csrf": csrf, "member": "Ann Lee"})
        assert "Has returned" in (await browser.get("/workflows?reassigned=5&left=0")).text
        await browser.post("/workflows/return", data={"csrf": csrf, "member": "Ann Lee", "accounts": "yes"})
        await browser.post("/workflows/return", data={"csrf": csrf, "member": "Ann Lee"})
        await browser.post("/workflows/webhooks/disable", data={"csrf": csrf, "endpoint": "crm"})
        await browser.post("/workflows/webhooks/enable", data={"csrf": csrf, "endpoint": "crm"})
    assert operated.owners.done == [
        ("leave", "ann", "Ann Lee"),
        ("return", "ann", "Ann Lee", True),
        ("return", "ann", "Ann Lee", False),
    ]
    assert operated.endpoints.done == [("disable", "ann", "crm"), ("enable", "ann", "crm")]


async def test_an_operator_of_one_area_changes_nothing_else(operated: Operated) -> None:
    async with operated.browser() as browser:
        csrf = await operated.sign_in(browser, areas=("webhooks",))
        page = (await browser.get("/workflows")).text
        assert "Leaves ..." not in page
        assert ">Resume</button>" in (await browser.get("/delivery")).text
        for path, data in (("workflows/leave", {"member": "Ann Lee"}), ("versions/rollback", {"to": "1"})):
            assert (await browser.post(f"/{path}", data={"csrf": csrf, **data})).status_code == 403
        assert (await browser.get("/versions/apply")).status_code == 403
        assert (
            await browser.post("/workflows/webhooks/enable", data={"csrf": csrf, "endpoint": "crm"})
        ).status_code == 303
    assert operated.owners.done == []
    assert operated.endpoints.done == [("enable", "ann", "crm")]


async def test_a_source_has_its_rate_its_refusals_and_its_last_error(operated: Operated) -> None:
    operated.letters.add(
        letter(1, message="first"), letter(2, message="second"), letter(3, b"[", source="", topic="sources/x")
    )
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        rows = (await browser.get("/sources?format=json")).json()["tables"]["sources"]["rows"]
    found = {row["source"]: row for row in rows}
    assert (found["/crm"]["per_hour"], found["/crm"]["facts"]) == (3.0, 3)
    assert (found["/crm"]["refused"], found["/crm"]["last_error"]) == (2, "second")
    assert found["/crm"]["retractions"] == 1


async def test_sources_of_letters_are_read_beside_other_requests(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated.letters.add(letter(1))
    threads: list[threading.Thread] = []

    def read(given: DeadLetter) -> str | None:
        threads.append(threading.current_thread())
        return source_of(given)

    monkeypatch.setattr(sources, "source_of", read)
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        await browser.get("/sources")
    assert threads
    assert threading.main_thread() not in threads


async def test_a_rate_is_not_made_of_a_few_seconds(operated: Operated) -> None:
    operated.sources.span = 30_000
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = (await browser.get("/sources")).text
        (row,) = (await browser.get("/sources?format=json")).json()["tables"]["sources"]["rows"]
    assert '<div class="note">in 30 s</div>' in page
    assert (row["facts"], row["per_hour"]) == (3, None)


async def test_a_burst_is_averaged_up_to_now_and_named_as_one(
    operated: Operated, prefix: PrefixInMemory
) -> None:
    """A thousand facts came within a minute, and nothing in the four hours since."""
    operated.sources.times = tuple(NOON + 60 * number for number in range(1_000))
    operated.sources.span = 60_000
    prefix.at = NOON + 4 * 3_600_000
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = (await browser.get("/sources")).text
        twin = (await browser.get("/sources?format=json")).json()
    (row,) = twin["tables"]["sources"]["rows"]
    assert (row["facts"], row["in_which_time"]) == (1_000, "all within 59 s, in 4 h")
    assert (row["per_hour"], row["averaged_over"]) == (250.0, "over 4 h")
    assert twin["until"] == format_instant(NOON + 4 * 3_600_000)
    assert '<div class="note">over 4 h</div>' in page
    assert "the average is no lasting rate" in page


async def test_a_source_of_which_nothing_was_taken_has_no_rate_where_the_log_is_empty(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def recent() -> RecentFacts:
        return RecentFacts()

    monkeypatch.setattr(operated.sources, "recent", recent)
    operated.letters.add(letter(1))
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        rows = (await browser.get("/sources?format=json")).json()["tables"]["sources"]["rows"]
    assert {(row["facts"], row["per_hour"], row["averaged_over"]) for row in rows} == {(0, None, None)}


async def test_facts_that_come_evenly_are_no_burst_and_a_small_rate_is_told_for_a_day_too(
    operated: Operated, prefix: PrefixInMemory
) -> None:
    operated.sources.span = 48 * 3_600_000
    operated.sources.times = (NOON, NOON + 24 * 3_600_000, NOON + 48 * 3_600_000)
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        (row,) = (await browser.get("/sources?format=json")).json()["tables"]["sources"]["rows"]
    assert (row["in_which_time"], row["averaged_over"]) == ("in 2 d", "1.5 a day, over 2 d")


async def test_a_source_says_how_often_it_usually_sends(operated: Operated) -> None:
    last = NOON // 3_600_000
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        assert "not known yet" in (await browser.get("/sources")).text
        operated.sources.hours = {last - 24 * day for day in range(30) if day != 4}
        page = (await browser.get("/sources")).text
        assert "every 24 h; the longest pause was 2 d" in page


@pytest.mark.parametrize(
    ("every", "words"),
    [
        ({"crm": 86_400_000}, "every 24 h, as the segments file says"),
        ({"crm": None}, "now and then: the segments file says that it is never silent"),
    ],
)
def test_what_the_segments_file_says_of_a_source_goes_before_what_was_learned(
    every: dict[str, int | None], words: str
) -> None:
    assert tell_rhythm(Rhythm(set(range(1_000)), 1_000 * 3_600_000), "/crm", every) == words
    assert tell_rhythm(Rhythm(set(range(1_001)), 1_000 * 3_600_000), "/other", every).startswith("every hour")


async def test_what_the_project_writes_itself_is_no_source(operated: Operated) -> None:
    operated.letters.add(letter(1, source="/resegment/router", endpoint="crm"))
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        rows = (await browser.get("/sources?format=json")).json()["tables"]["sources"]["rows"]
    assert [row["source"] for row in rows] == ["/crm"]


async def test_the_refusals_of_a_source_lead_to_their_dead_letters(operated: Operated) -> None:
    operated.letters.add(
        letter(1, source="/crm"),
        letter(2, b"[", source="", topic="sources/x"),
        letter(3, retried="2026-11-26T01:00:00Z"),
    )
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = (await browser.get("/sources")).text
        links = [html.unescape(one) for one in re.findall(r'href="/console(/dead-letters\?[^"]*)"', page)]
        for source, ids in (("crm", 2), ("sources%2Fx", 1)):
            (link,) = [one for one in links if source in one]
            shown = (await browser.get(link)).text
            assert shown.count('data-label="Reason"') == ids, link


async def test_an_account_that_waits_leads_to_its_page_whatever_its_name(operated: Operated) -> None:
    operated.owners.account = "a/b?c#d"
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = (await browser.get("/workflows")).text
        assert 'href="/console/accounts/a%2Fb%3Fc%23d"' in page
        assert (await browser.get("/workflows/leave", headers={"accept": "text/html"})).status_code == 403
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        assert (await browser.get("/workflows/leave")).status_code == 404


async def test_tables_that_rest_on_some_accounts_only_say_so(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        assert "first 100,000 accounts" not in (await browser.get("/workflows")).text
        operated.owners.complete = False
        assert (await browser.get("/workflows")).text.count("first 100,000 accounts") == 3


async def test_instants_in_the_twin_of_sources_are_in_rfc_3339(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        told = (await browser.get("/sources?format=json")).json()
    assert (told["since"], told["until"]) == ("2026-09-21T14:13:20Z", "2026-09-21T15:13:20Z")


async def test_a_long_list_in_the_audit_log_is_cut_on_the_page_and_whole_in_files(operated: Operated) -> None:
    operated.audit.ids = [f"letter-{number}" for number in range(2_000)]
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        page = (await browser.get("/audit")).text
        assert "letter-3 and 1,996 more" in page
        assert "letter-4" not in page
        assert "letter-1999" in (await browser.get("/audit?format=csv&table=actions")).text


@pytest.mark.parametrize(("role", "offered"), [("operator", False), ("viewer", True)])
async def test_who_may_do_everything_already_is_not_asked_to_sign_in(
    prefix: PrefixInMemory, role: str, *, offered: bool
) -> None:
    operated = make_operated(prefix, address="127.0.0.1", local=role)
    async with operated.browser() as browser:
        page = (await browser.get("/audit")).text
    assert f"({role})" in page
    assert ("Sign in" in page) is offered


@pytest.mark.parametrize(
    ("action", "arguments", "result", "told"),
    [
        ("dead-letters retry", {}, {"sent": 5, "refused": 0}, "sent 5, not sent 0"),
        ("dead-letters retry", {}, Sent(5, 1, 1).describe(), "sent 5, not sent 2"),
        ("apply", {"shadow": True}, {"version": 2, "applied": True}, "version 2, shadow True"),
        ("apply", {"shadow": None}, {"version": 2, "applied": True}, "version 2, applied True"),
    ],
)
async def test_what_came_of_an_action_is_not_misread(
    operated: Operated, action: str, arguments: dict[str, Any], result: dict[str, Any], told: str
) -> None:
    given: dict[str, Any] = {"id": "7", "begun": "7", "at": NOON, "actor": "ann", "action": action}
    begun = AuditEntry(**given, stage="begun", arguments=arguments)
    operated.audit.more = [
        AuditedAction(begun, AuditEntry(**given, stage="done", arguments={}, result=result))
    ]
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        found = (await browser.get("/audit", params={"format": "json", "action": action})).json()
    assert [row["result"] for row in found["tables"]["actions"]["rows"]] == [told]


async def test_the_audit_log_is_read_and_filtered(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser, "vic", "viewer")
        rows = (await browser.get("/audit?format=json")).json()["tables"]["actions"]["rows"]
        assert [(row["actor"], row["stage"]) for row in rows] == [("ann", "failed"), ("ann", "begun")]
        assert (await browser.get("/audit?actor=bob&format=json")).json()["tables"]["actions"]["rows"] == []


@pytest.mark.parametrize("attack", HOSTILE)
async def test_names_and_texts_of_others_stay_text_on_every_page(operated: Operated, attack: str) -> None:
    operated.owners.member = operated.owners.words = attack
    operated.endpoints.name = operated.sources.name = operated.audit.text = attack
    operated.letters.add(letter(1, source=attack, message=attack))
    quoted = FILE.replace("TEXT", f"|\n      {sanitize(attack)}\n").encode()
    operated.versions.text = FILE + "# " + attack
    plan = await operated.versions.plan(attack, {attack + ".yaml": quoted.decode()}, "none")
    await operated.versions.apply(attack, plan.id, plan.plan.hash, attack)
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        params: dict[str, Any] = {"actor": attack, "member": attack}
        for path in (
            "/sources",
            "/workflows",
            "/delivery",
            "/workflows/leave",
            "/audit",
            "/versions/apply",
            f"/versions/plans/{plan.id}",
        ):
            page = await browser.get(path, params=params)
            assert page.status_code == 200, path
            check_harmless(page.text)
            assert sanitize(attack) in html.unescape(page.text), path


async def test_every_page_and_error_of_the_console_carries_the_headers(operated: Operated) -> None:
    async with operated.browser() as browser:
        await operated.sign_in(browser)
        for path in (
            "/",
            "/segments",
            "/accounts",
            "/changes",
            "/versions",
            "/sources",
            "/pipeline",
            "/workflows",
            "/delivery",
            "/audit",
            "/dead-letters",
            "/nothing",
            "/versions/plans/x",
            "/sources?format=csv&table=x",
            "/openapi.json",
            "/static/console.css",
            "/static/../app.py",
        ):
            held = (await browser.get(path)).headers
            assert "script-src 'self'" in held["content-security-policy"], path
            assert "unsafe-inline" not in held["content-security-policy"]
            assert held["x-content-type-options"] == "nosniff"
            assert held["x-frame-options"] == "DENY"
            assert held.get("cache-control") == "no-store" or path.startswith("/static/")
