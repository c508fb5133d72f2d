"""How boards are fetched: from which address, how often, and what a failure means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from resegment.errors import RefusedEvent
from resegment.sources.adapters.port import Context
from resegment.sources.boards.scraping import URLS, Scraper
from resegment.sources.conversion import Source, scrape_boards
from resegment.sources.registry import find_adapter
from resegment.sources.state import SourceState
from tests.unit.sources.adapting import Converted, sort_out

DAY = 86_400_000
START = 1_767_225_600_000
Answer = Callable[[httpx.Request], httpx.Response]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def scraper(
    answer: Answer, clock: Clock | None = None, robots: str | int = 404
) -> tuple[Scraper, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.path == "/robots.txt":
            return httpx.Response(200, text=robots) if isinstance(robots, str) else httpx.Response(robots)
        return answer(request)

    clock = clock or Clock()
    return Scraper(httpx.Client(transport=httpx.MockTransport(handle)), clock.sleep, lambda: clock.now), seen


def look(one: Scraper, state: SourceState, day: int, *slugs: str, system: str = "greenhouse") -> Converted:
    source = Source(find_adapter(system), Context(account="acme.com"), state=state)
    return sort_out(item for _, _, item in scrape_boards(slugs or ("acme",), source, one, START + day * DAY))


def jobs(*numbers: int) -> dict[str, Any]:
    return {"jobs": [{"id": number, "title": "Account Executive"} for number in numbers]}


def changes(found: Converted) -> list[tuple[str, str]]:
    return [(one.data["change"], one.data["job"]) for one in found.facts]


@pytest.mark.parametrize("system", sorted(URLS))
def test_each_system_is_asked_at_its_own_address(system: str) -> None:
    one, seen = scraper(lambda _: httpx.Response(200, json=[]))
    one.fetch(system, "acme")
    assert "acme" in seen[-1].url.path
    assert seen[-1].headers["user-agent"].startswith("resegment/")


def test_what_changed_since_the_last_time_comes_out() -> None:
    answers = iter([jobs(1, 2), jobs(1), jobs(1, 3)])
    one, _ = scraper(lambda _: httpx.Response(200, json=next(answers)))
    state = SourceState()
    assert changes(look(one, state, 0)) == [("opened", "1"), ("opened", "2")]
    assert changes(look(one, state, 1)) == []
    assert changes(look(one, state, 2)) == [("opened", "3"), ("closed", "2")]


def test_an_answer_that_did_not_change_confirms_what_it_lacks() -> None:
    answers = iter([jobs(1, 2), jobs(1)])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("if-none-match") == '"b"':
            return httpx.Response(304)
        given = next(answers)
        return httpx.Response(200, json=given, headers={"etag": '"a"' if len(given["jobs"]) == 2 else '"b"'})

    one, _ = scraper(answer)
    state = SourceState()
    look(one, state, 0)
    assert changes(look(one, state, 1)) == []
    assert changes(look(one, state, 2)) == [("closed", "2")]
    assert changes(look(one, state, 3)) == []


@pytest.mark.parametrize("failure", [404, 429, 500, 503, "html", "broken"])
def test_a_failure_is_no_news(failure: int | str) -> None:
    good = [True]

    def answer(request: httpx.Request) -> httpx.Response:
        if good[0]:
            return httpx.Response(200, json=jobs(1))
        if failure == "broken":
            raise httpx.ConnectError("no")
        return httpx.Response(200, text="<html>") if failure == "html" else httpx.Response(int(failure))

    one, _ = scraper(answer)
    state = SourceState()
    look(one, state, 0)
    good[0] = False
    for day in (1, 2, 3):
        found = look(one, state, day)
        assert (found.facts, [reason for reason, _ in found.refused]) == ([], ["no-news"])
    good[0] = True
    assert look(one, state, 4).facts == []


def test_a_host_is_asked_once_a_second_and_its_robots_once() -> None:
    clock = Clock()
    one, seen = scraper(lambda _: httpx.Response(200, json=jobs(1)), clock)
    look(one, SourceState(), 0, "a", "b", "c")
    assert [request.url.path for request in seen].count("/robots.txt") == 1
    assert clock.slept == [1.0, 1.0, 1.0]


def test_what_robots_forbid_is_not_fetched() -> None:
    one, seen = scraper(lambda _: httpx.Response(200, json=jobs(1)), robots="User-agent: *\nDisallow: /v1\n")
    assert [reason for reason, _ in look(one, SourceState(), 0).refused] == ["no-news"]
    assert [request.url.path for request in seen] == ["/robots.txt"]


def test_robots_that_cannot_be_read_are_asked_for_again() -> None:
    one, seen = scraper(lambda _: httpx.Response(200, json=jobs(1)), robots=503)
    for _ in range(2):
        with pytest.raises(RefusedEvent):
            one.fetch("greenhouse", "acme")
    assert len(seen) == 2


def test_all_pages_of_a_long_board_are_one_look() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        offset = int(request.url.params["offset"])
        page = [{"id": str(number), "name": "AE"} for number in range(offset, min(offset + 100, 150))]
        return httpx.Response(200, json={"totalFound": 150, "content": page})

    one, _ = scraper(answer)
    assert len(look(one, SourceState(), 0, system="smartrecruiters").facts) == 150
