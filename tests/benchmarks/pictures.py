"""Take pictures of the console's pages, for docs/console.md and to be looked at.

    python -P tests/benchmarks/pictures.py [--folder FOLDER] [--way 390-dark ...] [--docs]

A console is served over real companies that are replayed, with a shadow beside; the page of outcomes is served over
examples/outcomes-year. `--docs` takes those of docs/images, and puts them there; else every page is taken in four ways, or in
those that are named.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI
from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from resegment.http.console.app import PATH, build_console
from resegment.http.server import serving
from resegment.segmentation.definition import Content
from resegment.sources.files.reader import Refusals, read_events
from resegment.sources.segments import load_definition
from resegment.state.redis.client import connect_redis
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.applying.apply import apply_version
from resegment.streams.definitions.applying.requests import ApplyConnection, ApplyRequest
from resegment.streams.definitions.content import compile_content
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.outcomes.files import read_dataset_files
from resegment.streams.worker.worker import Worker
from tests.chromium import Visit, visiting
from tests.console import PrefixInMemory
from tests.integration.test_console import PAGES, Shown, replayed

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
YEAR = ROOT / "examples" / "outcomes-year"
ACCOUNT = "/accounts/archform.com"
SHOTS = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))
DOCS = (
    ("console-overview", "/?span=90d", 1280, "light"),
    ("console-overview-phone", "/?span=90d", 390, "dark"),
    ("console-segment", "/segments/in-market?measure=1&span=90d", 1280, "dark"),
    ("console-account", ACCOUNT, 1280, "light"),
    ("console-account-phone", ACCOUNT, 390, "light"),
    ("console-shadow", "/versions/shadow", 1280, "light"),
    ("console-shadow-phone", "/versions/shadow", 390, "dark"),
)
"""The pictures of docs/console.md."""
OUTCOMES = (
    ("console-outcomes", "/outcomes", 1280, "light"),
    ("console-outcomes-phone", "/outcomes", 390, "dark"),
)


async def begin_shadow(shown: Shown) -> None:
    """Judge another version beside the one in force: it asks for other sizes."""
    worker, servers = shown.serving.worker, shown.serving.servers
    before = shown.data.definition.content
    segments = tuple(
        (
            name,
            text.replace(b"employees: {gte: 10}", b"employees: {gte: 25}").replace(
                b"gte: 3000000", b"gte: 1000000"
            ),
        )
        for name, text in before.segments
    )
    client = connect_redis(worker.settings, servers.redis_url)
    try:
        async with KafkaPublisher(servers.bootstrap, client_id="pictures", idempotent=False) as publisher:
            connection = ApplyConnection(
                client, publisher, servers.bootstrap, worker.topics, {}, worker.settings.partitions, "facts"
            )
            request = ApplyRequest(compile_content(Content(segments, before.lists)), kind="shadow")
            await apply_version(connection, request)
        assert await worker.drain(60)
        await _wait_for_shadow(client, worker)
    finally:
        await client.aclose()


async def _wait_for_shadow(client: Redis, worker: Worker) -> None:
    """Wait until the shadow has judged all that was decided."""
    name, partitions = worker.topics.prefix, worker.settings.partitions
    live, judged = (
        PrefixReader(client, name, partitions),
        PrefixReader(client, name, partitions, stage="shadow"),
    )
    async with asyncio.timeout(60):
        for number in range(partitions):
            while True:
                both = await live.position(number), await judged.position(number)
                if both[0] is None or (both[1] is not None and both[1].offset >= both[0].offset):
                    break
                await asyncio.sleep(0.1)


@asynccontextmanager
async def outcomes() -> AsyncIterator[str]:
    """Serve a console over a year of outcomes; yield its address."""
    refusals = Refusals()
    events = read_events(str(YEAR / "outcomes.jsonl.gz"), None)
    dataset = read_dataset_files(events, [str(YEAR / "commands.jsonl.gz")], refusals)
    last = dataset.outcomes["at"].max() + timedelta(days=1)  # type: ignore[operator]
    prefix = PrefixInMemory(
        load_definition(str(YEAR / "segments.yaml")),
        now=round(last.timestamp() * 1000),  # type: ignore[union-attr]
    )
    prefix.dataset = dataset
    app = FastAPI()
    app.mount(PATH, build_console(prefix))
    try:
        async with serving(app, "127.0.0.1", 0) as url:
            yield f"{url}{PATH}"
    finally:
        await prefix.close()


async def take(visit: Visit, path: str, file: Path, *, full: bool) -> None:
    """Take a picture of a page, once it has loaded what it loads later."""
    await visit.go(path)
    await visit.page.wait_for_load_state("load")
    await visit.page.wait_for_timeout(700)
    await visit.page.screenshot(path=file, full_page=full)
    width = await visit.page.evaluate("document.documentElement.scrollWidth")
    own = await visit.page.evaluate("window.innerWidth")
    found = await visit.find_violations()
    if found or width > own or visit.problems:
        print(file.name, found, f"{width} of {own} pixels" if width > own else "", visit.problems)
        visit.problems.clear()


async def main(folder: Path, ways: Sequence[str], *, docs: bool) -> None:
    with tempfile.TemporaryDirectory() as made:
        async with replayed(Path(made)) as shown, outcomes() as year:
            await begin_shadow(shown)
            if docs:
                for url, some in ((shown.url, DOCS), (year, OUTCOMES)):
                    for name, path, width, scheme in some:
                        async with visiting(shown.browser, url, width=width, scheme=scheme) as visit:
                            await take(visit, path, IMAGES / f"{name}.png", full=False)
                return
            pages = [(shown.url, path) for path in (*PAGES, "/versions/shadow")]
            pages += [(year, path) for path in ("/outcomes", "/outcomes?by=play")]
            for width, scheme in (one for one in SHOTS if not ways or f"{one[0]}-{one[1]}" in ways):
                for url, path in pages:
                    async with visiting(shown.browser, url, width=width, scheme=scheme) as visit:
                        name = re.sub(r"[^a-z0-9]+", "-", path).strip("-") or "overview"
                        name = f"year-{name}" if url == year else name
                        await take(visit, path, folder / f"{name}-{width}-{scheme}.png", full=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "pictures")
    parser.add_argument("--docs", action="store_true", help="take those of docs/images")
    parser.add_argument("--way", action="append", default=[], help="a width and a scheme, as in 390-dark")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(given.folder, given.way, docs=given.docs))
