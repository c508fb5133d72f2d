"""The page of the pipeline: what waits where, whether that grows, which stage is slow, and what spot checks found."""

from __future__ import annotations

import csv
import html
import io
from typing import Any

import httpx
import pytest
from msgspec import to_builtins

from resegment.console.sanitizing import sanitize
from resegment.http.console.pages.operations.pipeline import CheckRow, tell_checks
from resegment.streams.heartbeat import WorkerLook, look_at_worker
from resegment.streams.reports.pace import Pace
from resegment.streams.spot_checks import SpotCheck
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import NOW
from tests.unit.http.console.operating import HOSTILE, check_harmless

START = NOW / 1000 - 3_600


class Busy:
    """A worker with a backlog that changes minute by minute."""

    def __init__(self) -> None:
        self.now = START
        self.counts = {"intake": [10, 0, 0], "segmenter": [0, 0, 0]}
        self.pace = Pace(self, lambda: self.now)

    def read(self) -> tuple[list[float], dict[str, list[int]]]:
        return [0.1, 10.0], {name: list(one) for name, one in self.counts.items()}

    def look(self, minutes: int, grows: int) -> WorkerLook:
        for minute in range(minutes + 1):
            self.now = START + minute * 60
            lag = {
                "try.signals:0": 1_000 + grows * minute,
                "try.signals:1": 0,
                "try.triggers.hiring:0": 3,
                "try.segment-changes:0": 40,
            }
            told = to_builtins(self.pace.note(lag))
        return look_at_worker("w1", {"at": self.now, "partitions": [0], "lag": lag, "pace": told}, self.now)


def tell(prefix: PrefixInMemory, minutes: int = 20, grows: int = 100) -> None:
    busy = Busy()
    busy.look(0, 0)
    busy.counts = {"intake": [30, 0, 0], "segmenter": [0, 50, 0]}
    prefix.told["workers"] = [busy.look(minutes, grows)]


async def test_the_page_says_in_which_partitions_events_wait_and_whether_that_grows(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    tell(prefix)
    page = (await http.get("/pipeline")).text
    assert "3,003" in page
    assert "growing: 2,003 at Mar 31, 2026, 11:10 AM UTC" in html.unescape(page)
    told = (await http.get("/pipeline?format=json")).json()
    assert told["backlog"]["trend"] == "growing"
    assert told["undecided"] == 3_003
    first, *others = told["tables"]["backlog"]["rows"]
    assert first == {
        "topic": "try.signals",
        "partition": 0,
        "waits_for": "a decision",
        "waiting": 3_000,
        "before": 2_000,
        "change": 1_000,
        "worker": "w1",
    }
    assert {(row["topic"], row["waits_for"]) for row in others} == {
        ("try.triggers.hiring", "a decision"),
        ("try.segment-changes", "the router"),
    }
    assert "figures since" in page
    rows = csv.reader(io.StringIO((await http.get("/pipeline?format=csv&table=minutes&rows=all")).text))
    assert len(list(rows)) == 22


@pytest.mark.parametrize(("grows", "word"), [(-40, "shrinking"), (1, "about the same")])
async def test_a_backlog_that_does_not_grow_says_so(
    http: httpx.AsyncClient, prefix: PrefixInMemory, grows: int, word: str
) -> None:
    tell(prefix, grows=grows)
    assert f"{word}: " in (await http.get("/pipeline")).text


async def test_the_slowest_stage_of_the_last_hour_is_named(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    tell(prefix)
    rows = (await http.get("/pipeline?format=json")).json()["tables"]["stages"]["rows"]
    assert [(row["stage"], row["slowest"]) for row in rows] == [("segmenter", "slowest"), ("intake", None)]
    assert rows[0]["p95"] == 9.505
    page = (await http.get("/pipeline")).text
    assert "95 % within 9.5 s" in page


async def test_a_worker_of_an_earlier_release_leaves_figures_out_and_says_so(http: httpx.AsyncClient) -> None:
    page = (await http.get("/pipeline")).text
    assert "known once all workers have run for a minute" in page
    assert "No worker reports what waits." in page


async def test_spot_checks_are_told_in_words(http: httpx.AsyncClient, prefix: PrefixInMemory) -> None:
    assert "No account was compared" in (await http.get("/pipeline")).text
    at = NOW / 1000
    one = SpotCheck(at=at, checked=5, whole=True, within=86_400, oldest=at - 7_200)
    prefix.told["spot_checks"] = {0: one, 1: SpotCheck(at=at, checked=2, within=86_400)}
    page = (await http.get("/pipeline")).text
    assert "and 1 of 2 partitions were checked so far; none differs." in page
    prefix.told["spot_checks"] = {0: one}
    page = html.unescape((await http.get("/pipeline")).text)
    assert "Every account was compared with the log since Mar 31, 2026, 10:00 AM UTC; none differs." in page


def test_not_every_account_was_checked_while_a_partition_has_no_check_at_all() -> None:
    row = CheckRow(0, NOW, NOW - 7_200_000, 805, whole=True, within=60, differing=0, blocked=None)
    told = tell_checks([row], {0: 805, 1: 5_000, 2: 463})
    assert "805 of 6,268 accounts and 1 of 3 partitions were checked so far; none differs." in told
    part = row._replace(partition=1, oldest=None, checked=9_000)
    assert "5,805 of 6,268 accounts and 1 of 3" in tell_checks([row, part], {0: 805, 1: 5_000, 2: 463})
    assert tell_checks([row], {0: 805}).startswith("Every account was compared")


@pytest.mark.parametrize("attack", HOSTILE)
async def test_what_spot_checks_found_stays_text(
    http: httpx.AsyncClient, prefix: PrefixInMemory, attack: str
) -> None:
    one = SpotCheck(at=NOW / 1000, differing=1, named={attack: attack}, blocked=attack, oldest=0.0)
    prefix.told["spot_checks"] = {0: one}
    prefix.told["workers"] = [WorkerLook(attack, [0], {attack: 1}, 0, places={f"{attack}:0": 1})]
    for path in ("/pipeline", "/", "/health"):
        page = (await http.get(path)).text
        check_harmless(page)
        assert sanitize(attack) in html.unescape(page), path


async def test_commands_in_a_problem_are_shown_as_code(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    prefix.told["spot_checks"] = {0: SpotCheck(at=0, differing=1, named={"a.com": "b"})}
    assert "<code>resegment verify</code>" in (await http.get("/")).text


async def test_the_first_page_says_whether_the_backlog_grows(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    tell(prefix)
    page: Any = (await http.get("/")).text
    assert "records not worked off, growing" in page
    assert 'href="/console/pipeline"' in page
