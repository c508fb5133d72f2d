"""A real browser: Debian's Chromium, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the path of the browser; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


def require_chromium() -> str:
    """Skip where there is no browser, but fail where one is required."""
    path = find_chromium()
    if path is not None:
        return path
    if os.environ.get("CI") == "true" or os.environ.get("RESEGMENT_REQUIRE_APACHE") == "1":
        pytest.fail("There is no browser: apt-get install chromium.")
    pytest.skip("There is no browser: apt-get install chromium")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run the browser during the block."""
    path = require_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


def watch(page: Page) -> list[str]:
    """Return a list that fills with what a page must never do: dialogs, errors of scripts, and refusals by its policy."""
    seen: list[str] = []

    async def on_dialog(dialog: Any) -> None:
        seen.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", on_dialog)
    page.on("pageerror", lambda error: seen.append(f"error: {error}"))
    page.on(
        "console", lambda said: seen.append(f"{said.type}: {said.text}") if said.type == "error" else None
    )
    return seen
