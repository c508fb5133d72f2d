"""Fetch the public answers of job boards: politely, and only what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.robotparser import RobotFileParser

import httpx
import orjson

from resegment import __version__
from resegment.errors import RefusedEvent

URLS: Final = {
    "ashby": "https://api.ashbyhq.com/posting-api/job-board/{slug}",
    "greenhouse": "https://boards-api.greenhouse.io/v1/boards/{slug}/jobs",
    "lever": "https://api.lever.co/v0/postings/{slug}?mode=json",
    "smartrecruiters": "https://api.smartrecruiters.com/v1/companies/{slug}/postings?limit=100&offset={offset}",
    "workable": "https://apply.workable.com/api/v1/widget/accounts/{slug}",
}
AGENT: Final = f"resegment/{__version__}"
PAUSE: Final = 1.0
"""Seconds between two requests to a host."""
TIMEOUT: Final = 20.0
MAX_ANSWER: Final = 32 * 1024 * 1024
MAX_PAGES: Final = 50
_PAGE: Final = 100


class Fetched(NamedTuple):
    """The answer of a board. `payload` is None if nothing changed since the answer of that ETag."""

    payload: Any
    etag: str | None


@dataclass(slots=True)
class Scraper:
    """Fetches boards with a client, one request a second to each host."""

    client: httpx.Client
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _last: dict[str, float] = field(default_factory=dict)
    _robots: dict[str, RobotFileParser] = field(default_factory=dict)

    def fetch(self, system: str, slug: str, etag: str | None = None) -> Fetched:
        """Return the answer of a board. Raises RefusedEvent (`no-news`) for any failure: nothing is known then."""
        url = httpx.URL(URLS[system].format(slug=slug, offset=0))
        if not self._robot(url).can_fetch(AGENT, str(url)):
            raise RefusedEvent("no-news", f"robots.txt of {url.host} does not allow it")
        answer = self._get(url, {} if etag is None else {"if-none-match": etag})
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return Fetched(None, etag)
        if answer.status_code != httpx.codes.OK:
            raise RefusedEvent(
                "no-news",
                f"{url.host} answered {answer.status_code}: nothing is known of the jobs of {slug[:60]}",
            )
        payload = _parse(answer)
        if system == "smartrecruiters":
            for page in self._pages(slug, payload):
                payload["content"].extend(page)
        return Fetched(payload, answer.headers.get("etag"))

    def _pages(self, slug: str, first: Any) -> Iterator[list[Any]]:
        """Yield the other pages of a long board. One that fails leaves the board a part, which closes nothing."""
        total = first.get("totalFound") if isinstance(first, dict) else None
        if not isinstance(total, int) or not isinstance(first.get("content"), list):
            return
        for offset in range(_PAGE, min(total, _PAGE * MAX_PAGES), _PAGE):
            answer = self._get(httpx.URL(URLS["smartrecruiters"].format(slug=slug, offset=offset)), {})
            page = _parse(answer) if answer.status_code == httpx.codes.OK else None
            if not isinstance(page, dict) or not isinstance(page.get("content"), list):
                return
            yield page["content"]

    def _robot(self, url: httpx.URL) -> RobotFileParser:
        robot = self._robots.get(url.host)
        if robot is None:
            answer = self._get(url.copy_with(path="/robots.txt", query=None), {})
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                raise RefusedEvent(
                    "no-news", f"robots.txt of {url.host} cannot be read ({answer.status_code})"
                )
            robot = self._robots[url.host] = RobotFileParser()
            # No file means that everything is allowed.
            robot.parse(answer.text.splitlines() if answer.status_code == httpx.codes.OK else [])
        return robot

    def _get(self, url: httpx.URL, headers: dict[str, str]) -> httpx.Response:
        wait = self._last.get(url.host, float("-inf")) + PAUSE - self.clock()
        if wait > 0:
            self.sleep(wait)
        self._last[url.host] = self.clock()
        try:
            return self.client.get(url, headers={"user-agent": AGENT, **headers}, timeout=TIMEOUT)
        except httpx.HTTPError as error:
            raise RefusedEvent("no-news", f"{url.host} did not answer ({type(error).__name__})") from error


def _parse(answer: httpx.Response) -> Any:
    if len(answer.content) > MAX_ANSWER:
        raise RefusedEvent("no-news", f"the answer has more than {MAX_ANSWER:,} bytes")
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        raise RefusedEvent("no-news", "the answer is not JSON: nothing is known of the jobs") from None
