"""The console in a browser, over years of real companies that are replayed through Kafka, faust and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI
from playwright.async_api import Browser

from resegment.cli.demo.data import Data, Dataset, Reading
from resegment.cli.runtime.console import console_of
from resegment.cli.runtime.serving import Serving, running
from resegment.cli.runtime.stack import stack
from resegment.http.console.app import PATH, mount_console
from resegment.http.console.navigation import NAVIGATION
from resegment.schemas.times import parse_instant
from resegment.settings import Settings
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.operations.ingest import send_replay
from resegment.streams.worker.worker import Worker
from tests.chromium import Visit, browsing, find_chromium, visiting

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOADED = parse_instant("2025-03-01T00:00:00Z")
"""Up to when history is there before anybody looks."""
LATER = parse_instant("2025-04-01T00:00:00Z")

LETTERS = "d"
"""Accounts before this letter are replayed: a quarter of all."""

PAGES = (
    *(one.path for one in NAVIGATION),
    "/segments/in-market?measure=1",
    "/accounts?q=arch",
    "/accounts/archform.com",
    "/accounts/archform.com?at=2024-05-01T00:00:00",
    "/changes?segment=in-market",
    "/versions/1",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A console that is served, and the worker behind it."""

    url: str
    serving: Serving
    data: Data
    browser: Browser

    async def replay(self, since: int, until: int) -> None:
        """Replay what became known in a time (ms)."""
        worker, bootstrap = self.serving.worker, self.serving.servers.bootstrap
        events = [
            one for one in self.data.events if since < one[0].recorded <= until and one[0].account < LETTERS
        ]
        async with KafkaPublisher(bootstrap, client_id="try", idempotent=False) as publisher:
            partitions = worker.settings.partitions
            await send_replay(events, publisher, worker.topics, partitions=partitions, until=until)
        assert await worker.drain(200)

    def visit(self, **given: Any) -> Any:
        return visiting(self.browser, self.url, **given)


@asynccontextmanager
async def replayed(folder: Path) -> AsyncIterator[Shown]:
    """Serve a console over real companies that were replayed until `LOADED`, with a browser."""
    find_chromium()
    settings = Settings.model_construct(
        folder=folder, prefix="try", clock="facts", http_port=0, route="all", partitions=4
    )
    data = await asyncio.to_thread(Reading(Dataset.YC).read)
    async with AsyncExitStack() as exits:
        servers = await exits.enter_async_context(stack(settings, fresh=True))
        parts = await exits.enter_async_context(console_of(settings, servers))

        def extend(app: FastAPI, _: Worker) -> None:
            mount_console(app, *parts)

        serving = await exits.enter_async_context(running(settings, data.definition, servers, extend=extend))
        await serving.joined()
        browser = await exits.enter_async_context(browsing())
        found = Shown(f"{serving.http_url}{PATH}", serving, data, browser)
        await found.replay(0, LOADED)
        async with found.visit() as visit:
            await wait_until_read(visit)
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    async with replayed(tmp_path_factory.mktemp("console")) as found:
        yield found


async def wait_until_read(visit: Visit) -> None:
    """Wait until the console has read everything: the first page says so by itself."""
    await visit.go("/")
    await visit.wait("!document.body.innerText.toLowerCase().includes('still reading')")


async def test_a_user_finds_an_account_and_reads_why_it_is_there(shown: Shown) -> None:
    async with shown.visit() as visit:
        await visit.go("/")
        await visit.page.keyboard.press("/")
        await visit.page.keyboard.type("archfo")
        await visit.page.keyboard.press("Enter")
        await visit.page.get_by_role("link", name="archform.com").click()
        await visit.page.wait_for_url("**/accounts/archform.com")
        said = await visit.text()
        assert "ArchForm" in said
        assert "dropped-a-competitor" in said
        assert "category in [crm, sales_engagement]" in said, "the test that holds"
        assert "synthetic-03200" in said, "its evidence"
        assert "What is missing for higher segments" in said
        assert "Leaves dropped-a-competitor" in said, "what comes next"
        await visit.page.locator("input[name=at]").fill("2024-05-01T00:00:00")
        await visit.page.get_by_role("button", name="Show this time").click()
        await visit.page.wait_for_url("**at=2024-05-01**")
        assert "in not-now since" in await visit.text()
        assert visit.problems == []


async def test_a_table_is_sorted_and_paged_in_place_and_the_address_has_its_state(shown: Shown) -> None:
    async with shown.visit() as visit:
        await visit.go("/accounts?segment=not-now")
        await visit.page.locator("#table-accounts thead a", has_text="Name").click()
        await visit.page.wait_for_url("**accounts.sort=name**")
        await visit.page.locator("#table-accounts .pager a", has_text="Next").click()
        await visit.page.wait_for_url("**accounts.page=2**")
        second = await visit.text("#table-accounts tbody")
        await visit.page.reload()
        assert await visit.text("#table-accounts tbody") == second
        await visit.page.go_back()
        await visit.page.wait_for_url("**accounts.sort=name")
        assert "segment=not-now" in visit.page.url
        assert visit.problems == []


async def test_every_page_is_read_without_scripts(shown: Shown) -> None:
    async with shown.visit(scripts=False) as visit:
        for path in PAGES:
            await visit.go(path)
            assert len(await visit.text()) > 50, path
        await visit.go("/changes")
        await visit.page.get_by_role("link", name="Account", exact=True).click()
        await visit.page.wait_for_url("**changes.sort=account**")


@pytest.mark.parametrize(
    ("width", "scheme", "pages"),
    [
        (1280, "light", PAGES),
        (390, "dark", ("/", "/accounts/archform.com", "/changes")),
        pytest.param(1280, "dark", PAGES, marks=pytest.mark.faults),
        pytest.param(390, "light", PAGES, marks=pytest.mark.faults),
        pytest.param(390, "dark", PAGES, marks=pytest.mark.faults),
    ],
)
async def test_no_page_has_a_serious_finding_of_axe_or_runs_over_its_edge(
    shown: Shown, width: int, scheme: str, pages: tuple[str, ...]
) -> None:
    async with shown.visit(width=width, scheme=scheme) as visit:
        for path in pages:
            await visit.go(path)
            assert await visit.find_violations() == [], path
            assert await visit.page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert visit.problems == []


async def test_changes_arrive_without_a_reload_and_an_interrupted_feed_leaves_nothing_out(
    shown: Shown,
) -> None:
    async with shown.visit() as visit:
        await visit.go("/")
        await visit.wait("document.getElementById('feed-status').textContent === 'Live'")
        before = shown.serving.worker.changes_decided
        await visit.page.evaluate("window.kept = true")
        middle = parse_instant("2025-03-16T00:00:00Z")
        await shown.replay(LOADED, middle)
        first = shown.serving.worker.changes_decided - before
        await _wait_for_rows(visit, first)
        # the connection breaks while changes come; Chromium comes back by itself
        await visit.page.context.set_offline(True)
        await shown.replay(middle, LATER)
        await visit.page.context.set_offline(False)
        every = shown.serving.worker.changes_decided - before
        assert every > first > 0
        await _wait_for_rows(visit, every)
        assert await visit.page.evaluate("window.kept") is True, "the page was not loaded again"
        numbers = await visit.page.evaluate(
            "[...document.querySelectorAll('[data-feed] li')].map((one) => Number(one.dataset.seq))"
        )
        came = numbers[:every]
        assert came == sorted(set(came), reverse=True), "each once, the newest first"


async def _wait_for_rows(visit: Visit, count: int) -> None:
    await visit.wait(f"Number(document.querySelector('[data-feed]').dataset.received) >= {count}")
    found = await visit.page.evaluate("Number(document.querySelector('[data-feed]').dataset.received)")
    assert found == count
