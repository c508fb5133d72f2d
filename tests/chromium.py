"""A browser for tests: Debian's Chromium, or another one that the machine has."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 90.0
"""Seconds that a page may take to show what it comes to."""
SERIOUS = frozenset({"serious", "critical"})


def find_chromium() -> str:
    """Return the path of a browser. Skip the test where there is none, but not where CI has to have one."""
    found = next((path for name in NAMES if (path := shutil.which(name)) is not None), None)
    if found is None:
        if os.environ.get("CI") == "true" or os.environ.get("RESEGMENT_REQUIRE_APACHE") == "1":
            pytest.fail("no Chromium: install the package chromium")
        pytest.skip("no Chromium on this machine")
    return found


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Start a browser without a window."""
    path = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """A page in the browser that notes what goes wrong in it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.problems: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(text)

    async def go(self, path: str) -> None:
        """Open a page of the console."""
        response = await self.page.goto(self.base + path, wait_until="load")
        assert response is not None
        assert response.status == 200, f"{path}: {response.status}"

    async def wait(self, script: str, patience: float = PATIENCE) -> None:
        """Wait until an expression is true. The pages' own policy forbids what Playwright does for that."""
        async with asyncio.timeout(patience):
            while not await self.page.evaluate(script):
                await self.page.wait_for_timeout(50)

    async def text(self, selector: str = "main") -> str:
        """Return what a part of the page says."""
        return await self.page.locator(selector).first.inner_text()

    async def find_violations(self) -> list[str]:
        """Return the serious and critical findings of axe-core."""
        found: Any = (await Axe().run(self.page)).response
        return [
            f"{one['id']}: {one['help']} ({', '.join(str(node['target']) for node in one['nodes'][:3])})"
            for one in found["violations"]
            if one["impact"] in SERIOUS
        ]


@asynccontextmanager
async def visiting(
    browser: Browser, base: str, *, width: int = 1280, scheme: Any = "light", scripts: bool = True
) -> AsyncIterator[Visit]:
    """Open a window of a width, with a color scheme, with or without JavaScript."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    context.set_default_timeout(PATIENCE * 1000)
    try:
        yield Visit(await context.new_page(), base)
    finally:
        await context.close()
