"""What a report counts of the topics, once each, and for whom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import polars as pl
from msgspec.structs import replace

from resegment.console.operations.report import Report, render_report
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.frames import OUTCOMES, TOUCHES
from resegment.streams.reports.activity import (
    Activity,
    CommandCount,
    Flow,
    OutcomeCount,
    SegmentActivity,
    count_letters,
)
from tests.unit.console.test_plan_views import on_terminal

DAY = 86_400_000


def change(account: str, number: int, left: str | None, taken: str | None, day: int, **given: Any) -> bytes:
    data = {
        "account": account,
        "sequence_number": number,
        "from": left,
        "to": taken,
        "effective_at": f"1970-01-{day + 1:02d}T00:00:00Z",
        "supersedes": None,
        **given,
    }
    return orjson.dumps({"id": f"{account}-{number}", "data": data})


def command(key: str, account: str = "a.com", owner: str | None = "Ann", segment: str = "hot") -> bytes:
    data = {"account": account, "action": "enroll", "workflow": "calls", "segment": segment, "owner": owner}
    return orjson.dumps({"id": key, "data": {**data, "idempotency_key": key}})


def test_moves_are_counted_once_and_not_if_a_later_one_replaced_them() -> None:
    activity = Activity(5 * DAY, 10 * DAY)
    first = change("a.com", 1, None, "cold", 5)
    activity.take_changes([first, first, b"", None, b"[]", b'{"id": 1}', change("b.com", 1, None, "hot", 4)])
    activity.take_changes([change("c.com", 1, None, "cold", 6), change("c.com", 2, "cold", "hot", 6)])
    replaced = change("d.com", 2, None, "hot", 7, supersedes="d.com-1")
    activity.take_changes([change("d.com", 1, None, "cold", 7), replaced, change("e.com", 9, "hot", None, 9)])
    activity.take_changes([change("f.com", 1, None, "hot", 10)])  # after the end
    assert activity.flows() == [
        Flow(None, "cold", 2),
        Flow(None, "hot", 1),
        Flow("cold", "hot", 1),
        Flow("hot", None, 1),
    ]
    assert activity.segments({"hot": 7, "idle": 3}) == [
        SegmentActivity("hot", 7, 2, 1),
        SegmentActivity("idle", 3, 0, 0),
        SegmentActivity("cold", 0, 2, 1),
    ]
    assert activity.oldest == 4 * DAY


def test_a_segment_has_its_own_moves_and_commands() -> None:
    activity = Activity(0, 10 * DAY, segment="hot")
    activity.take_changes([change("a.com", 1, None, "cold", 1), change("a.com", 2, "cold", "hot", 2)])
    activity.take_commands([command("1"), command("1"), command("2", segment="cold"), b"no"], DAY)
    assert activity.flows() == [Flow("cold", "hot", 1)]
    assert activity.segments({"hot": 1, "cold": 4}) == [SegmentActivity("hot", 1, 1, 0)]
    assert activity.commands() == [CommandCount("calls", "enroll", 1)]


def test_an_owner_has_their_own_commands_and_the_moves_of_these_accounts() -> None:
    activity = Activity(0, 10 * DAY, owner="Ann")
    activity.take_commands([command("1"), command("2", "b.com", "Bo"), command("3", "c.com", None)], DAY)
    activity.take_commands([command("4")], 10 * DAY)
    activity.take_changes([change("a.com", 1, None, "hot", 1), change("b.com", 1, None, "hot", 1)])
    assert activity.commands() == [CommandCount("calls", "enroll", 1)]
    assert activity.flows() == [Flow(None, "hot", 1)]


def frame(columns: Any, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(columns) | row for row in rows], schema=columns)


def dataset() -> Dataset:
    def at(day: int) -> datetime:
        return datetime.fromtimestamp(day * 86_400, UTC)

    touches = [
        {"touch": "1", "account": "a.com", "at": at(1), "segment": "hot", "owner": "Ann"},
        {"touch": "2", "account": "b.com", "at": at(1), "segment": "cold", "owner": "Bo"},
    ]
    outcomes = [
        {"account": "a.com", "at": at(3), "action": "replied", "touch": "1"},
        {"account": "b.com", "at": at(3), "action": "replied", "touch": "2"},
        {"account": "c.com", "at": at(3), "action": "replied", "touch": None},
        {"account": "a.com", "at": at(9), "action": "won", "touch": "1"},
    ]
    return Dataset(frame(TOUCHES, touches), frame(OUTCOMES, outcomes))


def test_outcomes_are_those_of_the_time_and_of_the_touches_of_a_segment_or_owner() -> None:
    assert Activity(2 * DAY, 5 * DAY).outcomes(dataset()) == [OutcomeCount("replied", 3, 2)]
    assert Activity(0, 10 * DAY, segment="hot").outcomes(dataset()) == [
        OutcomeCount("replied", 1, 1),
        OutcomeCount("won", 1, 1),
    ]
    assert Activity(0, 5 * DAY, owner="Bo").outcomes(dataset()) == [OutcomeCount("replied", 1, 1)]


def test_dead_letters_are_counted_by_reason_the_most_frequent_first() -> None:
    letters = [
        {"refused_at": f"1970-01-0{day}T00:00:00Z", "reason": reason}
        for day, reason in ((2, "not-json"), (3, "no-account"), (3, "no-account"), (9, "no-account"))
    ]
    assert list(count_letters(letters, DAY, 5 * DAY).items()) == [("no-account", 2), ("not-json", 1)]


def test_records_that_cannot_be_read_are_counted_and_passed_over() -> None:
    activity = Activity(0, 10 * DAY)
    nested = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b","
    whole, said = change("a.com", 1, None, "hot", 1), command("1")
    late = change("b.com", 1, None, "hot", 1, effective_at="soon")
    activity.take_changes(
        [whole.replace(b"hot", b"h\xfft"), whole.replace(b"{", nested, 1), late, None, whole]
    )
    activity.take_commands([said.replace(b"Ann", b"A\xff"), said.replace(b"{", nested, 1), said], DAY)
    assert activity.unread == {"segment-changes": 4, "workflow-commands": 2}
    assert activity.flows() == [Flow(None, "hot", 1)]
    assert activity.commands() == [CommandCount("calls", "enroll", 1)]


def test_a_report_says_which_records_were_passed_over() -> None:
    report = Report("p", "", "", None, None, [], [], [], [], {}, [], unread={"segment-changes": 1_200})
    told = on_terminal(render_report(report, 0, DAY), 200)
    assert "Records that cannot be read were passed over: 1,200 of segment-changes." in told
    assert "passed over" not in on_terminal(render_report(replace(report, unread={}), 0, DAY))
