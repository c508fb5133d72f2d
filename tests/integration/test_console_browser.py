"""People at work in the console, in a real browser: logins, roles, dead letters, versions, and what producers try."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from pydantic import BaseModel

from resegment.agents.batch import Message
from resegment.schemas.events import DATA
from tests.chromium import Visit, browsing, find_chromium
from tests.integration.test_console_operations import PATIENCE, Place, running_console
from tests.integration.test_routing_commands import event
from tests.servers.openid import OpenId, openid

pytestmark = pytest.mark.asyncio(loop_scope="module")

expect.set_options(timeout=PATIENCE * 1000)

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "<svg onload=alert(3)>",
    "javascript:alert(4)",
    "</textarea><script>alert(5)</script>",
    "' onmouseover='alert(6)' x='",
)
"""What producers write into every field that is theirs."""


def watch(page: Page, url: str) -> list[str]:
    """Return a list that fills with what pages at `url` must never do: dialogs, errors, and what their policy refuses."""
    seen: list[str] = []

    async def on_dialog(dialog: Any) -> None:
        seen.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", on_dialog)
    page.on("pageerror", lambda error: seen.append(f"error: {error}"))

    def on_message(said: Any) -> None:
        if said.type == "error" and said.location["url"].startswith(url):
            seen.append(f"{said.location['url']}: {said.text}")

    page.on("console", on_message)
    return seen


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenId]:
    find_chromium()
    with openid() as running:
        running.add("u-ann", email="ann@acme.com", email_verified=True, groups=["gtm-operators"])
        running.add("u-eve", email="eve@acme.com", email_verified=True, groups=["guests"])
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, provider: OpenId) -> AsyncIterator[Place]:
    login = {
        "oidc_issuer": provider.url,
        "oidc_client_id": "resegment",
        "oidc_client_secret": "a secret",
        "oidc_operators": "gtm-operators",
        "console_local": "none",
    }
    folder: Path = tmp_path_factory.mktemp("browsed")
    async with running_console(folder, **login) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(place: Place) -> AsyncIterator[Browser]:
    async with browsing() as found:
        yield found


@asynccontextmanager
async def opened(
    browser: Browser, place: Place, token: str | None = None
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A browser of a person of their own, who has signed in with the token, if they have one."""
    context = await browser.new_context(base_url=place.url)
    context.set_default_timeout(PATIENCE * 1000)
    page = await context.new_page()
    seen = watch(page, place.url)
    if token is not None:
        await page.goto("/console/")
        await page.get_by_label("Token").fill(token)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    try:
        yield page, seen
    finally:
        await context.close()


async def show_letter(page: Page, letter: str) -> None:
    """Open the page of dead letters until it has a new one: it reads the topic again every few seconds."""
    async with asyncio.timeout(PATIENCE):
        await page.goto("/console/dead-letters")
        while not await page.get_by_role("link", name=letter).count():
            await page.goto("/console/dead-letters")


async def test_an_operator_logs_in_by_the_provider_and_out_again(
    place: Place, provider: OpenId, browser: Browser
) -> None:
    async with opened(browser, place) as (page, seen):
        await page.goto("/console/sources")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_role("link", name="Sign in with your account").click()
        await page.locator("input[name=sub]").last.fill("u-ann")
        await page.get_by_role("button", name="Authorize").last.click()
        await page.wait_for_url("**/console/sources")
        await expect(page.get_by_text("ann@acme.com (operator)")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await page.goto("/console/sources")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not seen


async def test_somebody_else_of_the_provider_is_refused(
    place: Place, provider: OpenId, browser: Browser
) -> None:
    async with opened(browser, place) as (page, _):
        await page.goto("/console/login")
        await page.get_by_role("link", name="Sign in with your account").click()
        await page.locator("input[name=sub]").last.fill("u-eve")
        await page.get_by_role("button", name="Authorize").last.click()
        await expect(page.get_by_text("eve@acme.com may not use this console")).to_be_visible()


async def test_a_viewer_sees_dead_letters_and_finds_no_way_to_change_anything(
    place: Place, browser: Browser
) -> None:
    await place.refuse(1)
    token = await place.token("viewer", "viewer")
    async with opened(browser, place, token) as (page, seen):
        for path in ("dead-letters", "workflows", "delivery", "versions", "sources", "pipeline"):
            await page.goto(f"/console/{path}")
            forms = await page.locator("form[method=post]").evaluate_all("all => all.map(one => one.action)")
            assert [one.rpartition("/")[2] for one in forms] == ["logout"], path
        answered = await page.goto("/console/versions/apply")
        assert answered is not None
        assert answered.status == 403
        await expect(page.get_by_text("viewer may not change anything")).to_be_visible()
    assert [one for one in seen if "403" not in one] == []


async def test_an_operator_edits_a_dead_letter_and_sends_it_again(place: Place, browser: Browser) -> None:
    letter = await place.refuse(2)
    token = await place.token("operator", "operator")
    async with opened(browser, place, token) as (page, seen):
        await show_letter(page, letter)
        await page.get_by_role("link", name=letter).click()
        await expect(page.locator("pre")).to_contain_text("many-2")
        fixed = event("firmographic", "browsed.com", employees=700)
        await page.get_by_role("textbox", name="Value").fill(orjson.dumps(fixed).decode())
        await page.get_by_role("button", name="Send the edited record").click()
        await expect(page.get_by_text("1 record sent again")).to_be_visible()
        await expect(page.get_by_role("link", name=letter)).to_have_count(0)
        assert await place.worker.drain(PATIENCE)
        await page.goto("/console/audit")
        await expect(page.get_by_role("row").filter(has_text="dead-letters retry").first).to_contain_text(
            "operator"
        )
    (state,) = await place.reader.states(["browsed.com"])
    assert state is not None
    assert state.membership.segment == "large"
    assert not seen


async def test_an_operator_chooses_dead_letters_in_the_table(place: Place, browser: Browser) -> None:
    chosen, other = await place.refuse(3), await place.refuse(4)
    token = await place.token("chooser", "operator")
    async with opened(browser, place, token) as (page, seen):
        await show_letter(page, other)
        await page.get_by_label(f"Choose {chosen}").check()
        await page.get_by_role("button", name="Send the chosen ones again").click()
        await expect(page.get_by_text("1 record sent again")).to_be_visible()
    found = await place.letters()
    assert found[chosen].retried is not None
    assert found[other].retried is None
    assert not seen


async def test_an_operator_plans_and_applies_a_version(place: Place, browser: Browser) -> None:
    token = await place.token("planner", "operator")
    async with opened(browser, place, token) as (page, seen):
        await page.goto("/console/versions/apply")
        box = page.locator("textarea")
        text = await box.input_value()
        await box.fill(text.replace("gte: 100", "gte: 300"))
        await page.get_by_role("button", name="Plan", exact=True).click()
        await expect(page.locator(".plan")).to_contain_text("large")
        await page.get_by_label("Why").fill("fewer accounts")
        await page.get_by_role("button", name="Apply this plan").click()
        # without a reload: the page looks again by itself
        await expect(page.get_by_text("Version 2 is in force")).to_be_visible()
        await page.goto("/console/versions")
        await expect(page.get_by_text("fewer accounts").first).to_be_visible()
    assert not seen


async def test_the_pages_of_operators_have_no_serious_finding_of_axe(place: Place, browser: Browser) -> None:
    letter = await place.refuse(5)
    token = await place.token("checker", "operator")
    async with opened(browser, place) as (page, _):
        await page.goto("/console/login")
        assert await Visit(page, place.url).find_violations() == []
    async with opened(browser, place, token) as (page, _):
        await page.goto("/console/versions/apply")
        await page.get_by_role("button", name="Plan the rollback").click()
        await page.wait_for_url("**/versions/plans/**")
        plan = page.url
        await show_letter(page, letter)
        for url in (
            page.url,
            plan,
            f"{place.url}/console/dead-letters/show?id={quote(letter)}",
            f"{place.url}/console/versions/apply",
            f"{place.url}/console/workflows",
            f"{place.url}/console/workflows/leave?member=Ann%20Lee",
            f"{place.url}/console/delivery",
            f"{place.url}/console/pipeline",
            f"{place.url}/console/sources",
            f"{place.url}/console/audit",
        ):
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                await page.goto(url)
                assert await Visit(page, place.url).find_violations() == [], (url, scheme)


async def test_what_producers_write_stays_text_in_a_real_browser(place: Place, browser: Browser) -> None:
    token = await place.token("reader", "operator")
    await _write_hostile(place)
    async with opened(browser, place, token) as (page, seen):
        letters = await place.letters()
        await show_letter(page, list(letters)[-1])
        paths = [
            "dead-letters",
            "pipeline",
            "sources",
            "workflows?reason=all",
            "delivery",
            "audit",
            "accounts?q=hostile",
            "accounts/hostile.com",
            "changes",
        ]
        paths += [f"dead-letters/show?id={quote(one)}" for one in letters][-12:]
        for path in paths:
            answered = await page.goto(f"/console/{path}")
            assert answered is not None
            assert answered.status == 200, path
            assert (
                await page.locator(
                    "main script, main img, main svg[onload], main [onerror], main [onload]"
                ).count()
                == 0
            )
            hrefs = await page.locator("main a").evaluate_all(
                "all => all.map(one => one.getAttribute('href') || '')"
            )
            assert not [one for one in hrefs if one.lower().startswith(("javascript:", "data:"))]
            for one in await page.locator("main td:visible, main dd:visible").all():
                if "alert" in await one.inner_text():
                    await one.hover()
                    break
    assert not seen


async def _write_hostile(place: Place) -> None:
    """Send facts with hostile names and texts, and records that are refused with hostile fields, keys and headers."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for number, text in enumerate(HOSTILE):
        about = {"id": f"hostile-{number}", "source": f"/{text}", "time": now}
        await place.send(
            *(
                event(kind, "hostile.com", **_fill(model, text)) | about
                for kind, model in DATA.items()
                if kind != "outcome"
            )
        )
        wrong: dict[str, Any] = event("firmographic", "hostile.com", employees=text) | {
            "id": text,
            "source": text,
        }
        wrong["data"][text] = text
        records = [
            Message(
                place.topics.accounts.name, text.encode(), orjson.dumps(wrong), [("ce_source", text.encode())]
            ),
            Message(place.topics.accounts.name, None, text.encode(), [(text, text.encode())]),
        ]
        before = len(await place.letters())
        await place.publisher.publish(records)
        async with asyncio.timeout(PATIENCE):
            while len(await place.letters()) < before + len(records):
                await asyncio.sleep(0.05)


def _fill(model: type[BaseModel], text: str) -> dict[str, Any]:
    """Return data with the text in every field that takes one, and the first of their values in those that list some."""
    found: dict[str, Any] = {}
    for name, one in model.model_fields.items():
        spelled = str(one.annotation)
        if "list[" in spelled and "str" in spelled.lower():
            found[name] = [text]
        elif "Literal[" in spelled:
            found[name] = spelled.partition("Literal['")[2].partition("'")[0]
        elif "[str, Strict" in spelled and name != "currency":
            found[name] = text
    return found | ({"action": "page_view"} if "action" in found else {})
