"""What the commands that look at a prefix judge and say, without one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from resegment.cli.identity.accounts import Order, arrange
from resegment.cli.operations.changes import ChangeFilter
from resegment.console.operations.changes import give_reason, render
from resegment.console.operations.status import render as render_status
from resegment.console.operations.status import spell_ranges
from resegment.console.terminal import encode_line, screen
from resegment.state.partition_store import Position
from resegment.state.redis.reader import PartitionLook, PlacedAccount
from resegment.state.redis.webhooks import EndpointState
from resegment.streams.operations.dead_letters import DeadLetterCount
from resegment.streams.operations.overview import (
    Overview,
    WorkerLook,
    describe_overview,
    find_notes,
    find_problems,
)
from resegment.streams.spot_checks import SpotCheck

NOW = 1_800_000_000_000
SECOND = 1_000


def partition(number: int, **given: Any) -> PartitionLook:
    plain = {
        "position": Position(offset=5, clock=NOW - 60 * SECOND, commit=3),
        "accounts": 10,
        "sizes": {"hot": 4, "cold": 6},
        "outbox": 0,
        "waiting_since": None,
        "deadlines": 2,
        "due": 0,
        "next_deadline": NOW + 60 * SECOND,
    }
    return PartitionLook(number=number, **{**plain, **given})


def overview(*partitions: PartitionLook, owned: tuple[int, ...] | None = (0, 1), **given: Any) -> Overview:
    workers = [] if owned is None else [WorkerLook("w1", owned, {"signals": 3}, SECOND)]
    plain: dict[str, Any] = {
        "prefix": "p",
        "clock": "wall",
        "definition": "abc",
        "letters": DeadLetterCount(),
    }
    return Overview(now=NOW, workers=workers, partitions=partitions, **{**plain, **given})


def test_a_prefix_whose_partitions_are_owned_and_up_to_date_is_healthy() -> None:
    assert find_problems(overview(partition(0), partition(1))) == []


def test_a_partition_whose_state_redis_lost_is_named_with_the_command_that_rebuilds_it() -> None:
    lost = overview(partition(0), partition(1), missing={1: "accounts of the segmenter"})
    (problem,) = find_problems(lost)
    assert problem.startswith("partition 1 waits: Redis has lost its state (accounts of the segmenter)")
    assert problem.endswith("run `resegment rebuild --partition 1`")
    interrupted = overview(partition(0), partition(1), missing={1: "all of the router"}, rebuilding=[1])
    assert find_problems(interrupted) == [
        "partition 1 is being rebuilt and waits; if no `resegment rebuild` runs, run it again"
    ]


@pytest.mark.parametrize(
    ("owned", "problem"),
    [
        (None, "no worker is running: events wait, and no account moves"),
        ((0, 2), "partition 1 has no owner: events wait there"),
        ((0,), "partitions 1 and 2 have no owner: events wait there"),
        ((), "partitions 0, 1 and 2 have no owner: events wait there"),
    ],
)
def test_partitions_without_an_owner_are_named(owned: tuple[int, ...] | None, problem: str) -> None:
    assert find_problems(overview(partition(0), partition(1), partition(2), owned=owned)) == [problem]


def test_a_key_store_that_is_away_is_a_problem_that_is_named_once() -> None:
    look = overview(partition(0))
    away = replace(look.workers[0], keys_away="the key store in Redis: cannot read keys: timeout")
    assert find_problems(replace(look, workers=[away, replace(away, name="w2")])) == [
        "batches wait: the key store in Redis: cannot read keys: timeout"
    ]


def test_accounts_that_differ_from_the_log_are_a_problem_with_the_commands_that_help() -> None:
    checks = {
        0: SpotCheck(at=0, checked=10, whole=True, within=60),
        1: SpotCheck(
            at=0, differing=4, named={"a.com": "timer", "b.com": "fact 1 of /crm", "c.com": "timer"}
        ),
    }
    (problem,) = find_problems(overview(partition(0), partition(1), spot_checks=checks))
    assert problem == (
        "in partition 1, Redis and the log differ for 4 accounts: a.com (timer), b.com (fact 1 of /crm), c.com (timer) "
        "and 1 more; `resegment verify` shows every difference, and `resegment rebuild --partition 1 --replace` restores "
        "the partition from the log"
    )


def test_partitions_that_cannot_be_checked_are_noted_and_no_problem() -> None:
    checks = {number: SpotCheck(at=0, blocked="the log does not begin at its beginning") for number in (0, 1)}
    found = overview(partition(0), partition(1), spot_checks=checks)
    assert find_problems(found) == []
    assert (
        "accounts can't be checked against the log in partitions 0, 1: the log does not begin at its beginning"
        in find_notes(found)
    )


def test_an_outbox_is_stuck_when_its_oldest_commit_has_waited_for_long() -> None:
    stuck = partition(1, outbox=12, waiting_since=NOW - 42 * SECOND)
    busy = partition(0, outbox=900, waiting_since=NOW - 2 * SECOND)
    assert find_problems(overview(busy, stuck)) == [
        "the outbox of partition 1 is not emptying: 12 commits wait to be published, the oldest for 42 s"
    ]


def test_due_accounts_are_late_by_the_wall_clock_only() -> None:
    late = partition(0, due=1, next_deadline=NOW - 180 * SECOND)
    just = partition(1, due=1, next_deadline=NOW - SECOND)
    assert find_problems(overview(late, just)) == [
        "partition 0 decides late: 1 account is due, the first for 3 min"
    ]
    assert find_problems(overview(late, just, clock="facts")) == []


def test_dead_letters_that_cannot_be_counted_are_a_problem_and_counted_ones_are_none() -> None:
    assert find_problems(overview(partition(0), letters=DeadLetterCount({"not-json": 3}))) == []
    assert find_problems(overview(partition(0), letters=DeadLetterCount(problem="no broker"))) == [
        "the dead letters could not be counted: no broker"
    ]


def reported(**report: Any) -> dict[str, Any]:
    """What one process reports of a webhook."""
    return {"webhooks": {"crm": EndpointState(begun=True, reports={"1": report})}}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"grown": {"p.signals": 8}},
            "the topic p.signals has 8 partitions and the prefix 1: records in other partitions are not read",
        ),
        ({"grown": {"p.signals": 0}}, "the topic p.signals has only 0 of 1 partitions"),
        (
            {
                "webhooks": {
                    "crm": EndpointState({"at": "2027-01-01T00:00:00Z", "why": "answered 410"}, begun=True)
                }
            },
            "the webhook crm is disabled since 2027-01-01T00:00:00Z (answered 410): its commands wait",
        ),
        (
            {
                "webhooks": {
                    "crm": EndpointState(
                        begun=True, reports={"1": {"state": "left alone", "problem": "status 500"}}
                    )
                }
            },
            "the webhook crm fails: status 500",
        ),
        (
            reported(state="delivering", undelivered=3, problem="status 404"),
            "the webhook crm refuses what it gets: its last 3 commands are in the dead letters: status 404",
        ),
        (
            reported(state="delivering", failing_since=NOW / 1000 - 7_200, problem="status 500"),
            "the webhook crm has failed for 2 h: status 500",
        ),
        (
            reported(state="starting", failure="no access", problem="no access"),
            "the webhook crm gets nothing, because its commands cannot be read: no access",
        ),
        (
            {"webhooks": {"crm": EndpointState(begun=True)}},
            "no process delivers to the webhook crm: its commands wait",
        ),
        (
            {"letters": DeadLetterCount({"undeliverable": 2}, undelivered={"crm": 2})},
            (
                "2 events for the webhook crm are in the dead letters: "
                "`resegment dead-letters retry --endpoint crm` sends them again"
            ),
        ),
    ],
)
def test_what_keeps_a_prefix_from_its_work_is_a_problem(given: dict[str, Any], problem: str) -> None:
    seen = overview(partition(0), **given)
    assert find_problems(seen) == [problem]
    assert describe_overview(seen)["healthy"] is False


def test_endpoints_that_deliver_or_were_taken_out_of_the_file_are_no_problem() -> None:
    webhooks = {
        "crm": EndpointState(
            begun=True,
            reports={"1": {"state": "delivering", "undelivered": 0, "failing_since": NOW / 1000 - 30}},
        ),
        "old": EndpointState(begun=True),
    }
    assert find_problems(overview(partition(0), webhooks=webhooks)) == []


def test_a_clock_ahead_of_redis_is_a_problem_on_the_wall_clock_only() -> None:
    ahead = partition(0, position=Position(offset=5, clock=NOW + 3_600 * SECOND * 24 * 365, commit=3))
    near = partition(1, position=Position(offset=5, clock=NOW + 30 * SECOND, commit=3))
    (problem,) = find_problems(overview(ahead, near))
    assert problem.startswith("the clock of partition 0 is 365 d ahead")
    assert find_problems(overview(ahead, near, clock="facts")) == []


def test_a_list_that_a_worker_cannot_read_is_a_problem_said_once() -> None:
    workers = [WorkerLook(name, (0, 1), {}, SECOND, "p.txt: no such file or folder") for name in ("w1", "w2")]
    seen = replace(overview(partition(0), partition(1)), workers=workers)
    assert find_problems(seen) == [
        "a suppression list is frozen, workers use its last version: p.txt: no such file or folder"
    ]


def test_lines_of_a_list_that_are_skipped_are_a_note() -> None:
    workers = [WorkerLook(name, (0,), {}, SECOND, skipped={"partners": 3}) for name in ("w1", "w2")]
    seen = replace(overview(partition(0)), workers=workers)
    assert find_problems(seen) == []
    assert "list partners: 3 lines skipped, as `resegment lint` shows" in find_notes(seen)


def test_facts_that_a_limit_dropped_are_a_note_by_test() -> None:
    dropped = {"engagement (action = page_view)": (1_234, 1)}
    workers = [
        WorkerLook("w1", (0,), {}, SECOND, dropped={**dropped, "intent": (3, 2)}),
        WorkerLook("w2", (1,), {}, SECOND, dropped=dropped),
    ]
    seen = replace(overview(partition(0)), workers=workers)
    assert find_problems(seen) == []
    said = "the limit of facts that a test counts dropped {} older ones of {} accounts since the workers started: {}"
    assert find_notes(seen)[-2:] == [
        said.format("2,468", 2, "engagement (action = page_view)"),
        said.format("3", 2, "intent"),
    ]
    assert describe_overview(seen)["workers"][0]["dropped_facts"] == {
        "engagement (action = page_view)": 1_234,
        "intent": 3,
    }


def test_the_age_of_an_outbox_is_shown() -> None:
    seen = overview(partition(0, outbox=12, waiting_since=NOW - 5 * SECOND))
    console = screen()
    with console.capture() as captured:
        console.print(render_status(seen))
    assert "12 (5 s)" in captured.get()
    assert describe_overview(seen)["partitions"][0]["outbox_age_seconds"] == 5


def test_a_description_sums_segments_and_lag_and_gives_instants_as_text() -> None:
    described = describe_overview(overview(partition(0), partition(1, position=None), owned=(0,)))
    assert described["segments"] == {"cold": 12, "hot": 8}
    assert described["lag"] == {"signals": 3}
    assert described["healthy"] is False
    assert [one["owner"] for one in described["partitions"]] == ["w1", None]
    assert [one["clock"] for one in described["partitions"]] == ["2027-01-15T07:59:00Z", None]
    orjson.dumps(described)


@pytest.mark.parametrize("count", [1, 64])
def test_what_is_wrong_stands_on_the_screen_however_many_partitions_there_are(count: int) -> None:
    seen = overview(*(partition(number) for number in range(count)), owned=tuple(range(1, count)))
    console = screen()
    with console.capture() as captured:
        console.print(render_status(seen))
    assert "✗ partition 0 has no owner" in captured.get()
    assert ("63 more with nothing waiting" in captured.get()) is (count == 64)


def test_ranges_are_spelt_short() -> None:
    assert spell_ranges([7, 0, 1, 2]) == "0-2, 7"
    assert spell_ranges([]) == ""


def test_places_are_arranged_by_the_newest_or_by_name_up_to_a_limit() -> None:
    places = [
        PlacedAccount(1, "c", "s"),
        PlacedAccount(3, "b", "s"),
        PlacedAccount(3, "a", "s"),
        PlacedAccount(2, "d", "s"),
    ]
    assert [one.account for one in arrange(places, Order.entered, None)] == ["a", "b", "d", "c"]
    assert [one.account for one in arrange(places, Order.entered, 2)] == ["a", "b"]
    assert [one.account for one in arrange(places, Order.name, 3)] == ["a", "b", "c"]


def change(number: int, account: str = "acme.com", **given: Any) -> dict[str, Any]:
    return {
        "account": account,
        "sequence_number": number,
        "from": "cold",
        "to": "hot",
        "effective_at": f"2026-01-{number:02}T00:00:00Z",
        "cause": {"events": ["e1"]},
        "reason": {"holds": []},
        "supersedes": None,
        "supersedes_to": None,
        **given,
    }


def record(number: int, account: str = "acme.com", **given: Any) -> bytes:
    return orjson.dumps({"id": f"{account}-{number}", "data": change(number, account, **given)})


def test_a_change_that_was_published_twice_is_read_once_and_what_is_none_is_left_out() -> None:
    wanted = ChangeFilter()
    found = wanted.take([record(1), record(2), record(1), record(2), b"broken", None, b"7", b"{}", record(3)])
    assert [one["sequence_number"] for one in found] == [1, 2, 3]


def test_records_that_are_no_changes_are_counted_and_never_end_the_list() -> None:
    nested = b"[" * 300 + b"]" * 300
    broken = [
        record(1).replace(b"hot", b"h\xfft"),
        record(1).replace(b'{"holds":[]}', nested),
        record(1).replace(b'{"holds":[]}', b"[" * 100_000 + b"]" * 100_000),
        record(1, effective_at="soon"),
        record(1, account=7),
        b'{"id":"x","data":{}}',
        b'{"id":"x","data":[]}',
        record(1, supersedes=[]),
        None,
    ]
    wanted = ChangeFilter(account="acme.com", segment="hot", since=1)
    odd = record(3, reason={"holds": [7]}, cause=[])
    found = [*wanted.arrange(wanted.take([*broken, record(2), odd]))]
    assert wanted.unread == len(broken)
    assert [one["sequence_number"] for one in found] == [2, 3]
    assert "its reason cannot be read" in render(found[1]).plain
    assert all(encode_line(one).endswith(b"\n") for one in found)


def test_a_change_is_void_once_another_supersedes_it_even_where_that_one_is_filtered_out() -> None:
    wanted = ChangeFilter(segment="hot")
    found = wanted.take(
        [record(1), record(2, to="warm", supersedes="acme.com-1", effective_at="2026-01-01T00:00:00Z")]
    )
    assert [(one["to"], one["void"]) for one in wanted.arrange(found)] == [("hot", True)]


def test_the_last_changes_are_those_that_took_effect_last() -> None:
    wanted = ChangeFilter(last=2)
    found = wanted.take([record(5, "b.com"), record(1, "a.com"), record(3, "c.com")])
    assert [one["account"] for one in wanted.arrange(found)] == ["c.com", "b.com"]


def holding(test: str, *ids: str) -> dict[str, Any]:
    evidence = [
        {"id": name, "kind": "hiring", "time": "2026-01-01T00:00:00Z", "data": {"change": "opened"}}
        for name in ids
    ]
    return {"test": test, "facts": len(ids), "evidence": evidence}


def test_a_reason_begins_with_the_test_that_the_causing_event_made_true() -> None:
    holds = [{"test": "employees >= 20", "value": 30}, holding("old", "e0"), holding("new", "e1", "e0")]
    assert give_reason(change(1, reason={"holds": holds})) == (
        "new: opened on Jan 1, 2026 and 1 more; old: opened on Jan 1, 2026; and 1 more"
    )


def test_where_time_moved_an_account_the_reason_begins_with_what_ended() -> None:
    reason = {"holds": [{"test": "employees >= 20", "value": 30}], "no_longer": ["hiring within 90d"]}
    moved = change(1, cause={"deadline": "2026-01-01T00:00:00Z"}, reason=reason)
    assert give_reason(moved) == "no longer hiring within 90d; employees >= 20: 30"


def test_a_change_is_told_on_one_line_that_says_what_is_void_and_instead_of_what() -> None:
    assert "cold → hot" in render(change(1)).plain
    assert "void" in render(change(1), void=True).plain
    assert "instead of warm" in render(change(1, supersedes="x", supersedes_to="warm")).plain
    assert "first seen → hot" in render({**change(1), "from": None}).plain
