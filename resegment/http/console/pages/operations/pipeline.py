"""Where events wait and where time goes: the backlog of each partition, the stages, the workers, and the spot checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from fastapi import APIRouter, Response

from resegment.console.counts import count
from resegment.http.console.charts import MINUTE, draw_line
from resegment.http.console.history import Window
from resegment.http.console.table import Column, Table
from resegment.http.console.viewing import View, Viewing
from resegment.schemas.times import format_second
from resegment.state.redis.reader import PartitionLook
from resegment.streams.heartbeat import WorkerLook
from resegment.streams.operations.overview import Overview
from resegment.streams.reports.freshness import is_decided
from resegment.streams.reports.pace import (
    BacklogLook,
    PlaceLook,
    StageLook,
    StagesLook,
    describe_pace,
    look_at_backlog,
    look_at_stages,
    tell_trend,
)
from resegment.streams.spot_checks import describe_spot_checks, find_blocked, find_differences

router: Final = APIRouter()
PATH: Final = "/pipeline"
WAITS_FOR: Final = {
    "signals": "a decision",
    "segment-changes": "the router",
    "routing-events": "the router, as answers",
}


class CheckRow(NamedTuple):
    """What spot checks know of one partition; instants in ms."""

    partition: int
    at: int
    oldest: int | None
    checked: int
    whole: bool
    within: int
    differing: int
    blocked: str | None


class Differing(NamedTuple):
    """An account that is not as the log gives it."""

    account: str
    partition: int
    what: str


@router.get(PATH)
async def show_pipeline(view: View) -> Response:
    """Show what waits where, how long each stage takes, who works, and what spot checks found."""
    look = await view.prefix.overview()
    backlog, stages = look_at_backlog(look.workers), look_at_stages(look.workers)
    checks = _check_rows(look)
    undecided = backlog.of(
        {one.topic for one in backlog.places if waits_for(one.topic, look) == "a decision"}
    )
    return view.respond(
        "pipeline.html",
        title="Pipeline",
        tables=[
            _backlog(view, look, backlog),
            _minutes(view, backlog),
            _stages(view, stages),
            _partitions(view, look),
            _workers(view, look),
            _checks(view, checks),
            _differing(view, look),
        ],
        data={
            **describe_pace(backlog, stages),
            "undecided": undecided.waiting,
            "spot_check": describe_spot_checks(look.spot_checks),
        },
        look=look,
        backlog=backlog,
        undecided=undecided,
        told=tell_trend(undecided),
        stages=stages,
        chart=_chart(backlog),
        problems=[*find_differences(look.spot_checks), *find_blocked(look.spot_checks)],
        checks=tell_checks(checks, _owned(look)),
    )


def waits_for(topic: str, look: Overview) -> str:
    """Return what the records of a topic wait for."""
    if is_decided(topic, look.prefix):
        return "a decision"
    return WAITS_FOR.get(topic.removeprefix(f"{look.prefix}."), "")


def tell_checks(rows: Sequence[CheckRow], accounts: Mapping[int, int]) -> str:
    """Say when every account was checked, as far as that is known; instants are in RFC 3339.

    `accounts` has how many accounts each partition has that a worker owns, or that has any.
    """
    if not rows:
        return "No account was compared with the log yet. RESEGMENT_SPOT_CHECK says how often that happens."
    differing = sum(one.differing for one in rows)
    found = "none differs" if not differing else "1 differs" if differing == 1 else f"{differing:,} differ"
    numbers = {one.partition for one in rows} | accounts.keys()
    through = {one.partition: one.oldest for one in rows if one.oldest is not None}
    if len(through) < len(numbers):
        checked = sum(
            accounts.get(one.partition, one.checked)
            if one.partition in through
            else min(one.checked, accounts.get(one.partition, one.checked))
            for one in rows
        )
        return (
            f"The first check of all accounts is under way: {checked:,} of {count(sum(accounts.values()), 'account')} and "
            f"{len(through)} of {count(len(numbers), 'partition')} were checked so far; {found}."
        )
    oldest = min(through.values())
    return f"Every account was compared with the log since {format_second(oldest)}; {found}."


def _owned(look: Overview) -> dict[int, int]:
    """Return how many accounts each partition has that a worker owns, or that has any."""
    owners = look.owners
    return {one.number: one.accounts for one in look.partitions if one.accounts or one.number in owners}


def _chart(backlog: BacklogLook) -> object:
    if len(backlog.series) < 2:  # a line needs two points
        return None
    first, last = backlog.series[0][0], backlog.series[-1][0]
    return draw_line([waiting for _, waiting in backlog.series], Window("", first, last, MINUTE))


def _backlog(view: Viewing, look: Overview, backlog: BacklogLook) -> Table[PlaceLook]:
    columns: list[Column[PlaceLook]] = [
        Column("topic", "Topic", lambda row: row.topic, "code"),
        Column("partition", "Partition", lambda row: row.partition, "number"),
        Column("waits_for", "Waits for", lambda row: waits_for(row.topic, look)),
        Column("waiting", "Waiting now", lambda row: row.waiting, "number"),
        Column("before", "Before", lambda row: row.before, "number"),
        Column("change", "Change", lambda row: row.change, "number"),
        Column("worker", "Worker", lambda row: row.worker),
    ]
    shown = [one for one in backlog.places if one.waiting or one.before]
    left_out = len(backlog.places) - len(shown)
    return view.tables.table(
        "backlog",
        "What waits, by partition",
        columns,
        shown,
        sort="-waiting",
        span="" if backlog.compared is None else f"before is at {format_second(backlog.compared)}",
        note=f"Nothing waits in {count(left_out, 'other partition')}." if shown and left_out else "",
        empty="Nothing waits in any partition. A row appears when events come faster than they are decided."
        if backlog.places
        else "No worker reports what waits. Rows appear once one runs.",
    )


def _minutes(view: Viewing, backlog: BacklogLook) -> Table[tuple[int, int]]:
    columns: list[Column[tuple[int, int]]] = [
        Column("at", "At", lambda row: row[0], "instant"),
        Column("waiting", "Waiting", lambda row: row[1], "number"),
    ]
    return view.tables.table(
        "minutes",
        "What waited, minute by minute",
        columns,
        list(backlog.series),
        sort="-at",
        span="" if backlog.since is None else f"figures since {format_second(backlog.since)}",
        empty="No worker reports what waited. A row appears for each minute that all workers have run.",
    )


def _stages(view: Viewing, stages: StagesLook) -> Table[StageLook]:
    slowest = stages.slowest
    columns: list[Column[StageLook]] = [
        Column(
            "stage", "Stage", lambda row: row.name, note=lambda row: row.meaning or None, noted="What it does"
        ),
        Column("median", "Half within", lambda row: row.median, "length"),
        Column("p95", "95 % within", lambda row: row.p95, "length"),
        Column("slowest", "Note", lambda row: "slowest" if row is slowest else None),
        Column("batches", "Batches", lambda row: row.batches, "number"),
    ]
    since = "" if stages.since is None else f"since {format_second(stages.since)}"
    return view.tables.table(
        "stages",
        "Stages from a signal to its command",
        columns,
        stages.stages,
        sort="-p95",
        span=f"the last hour, {since}" if since else "",
        note="Of each batch, the record that waited longest; waiting for the stage is included.",
        empty="No stage had work in the last hour. A row appears with an event that goes through it; stages are timed on the wall "
        "clock only.",
    )


def _partitions(view: Viewing, look: Overview) -> Table[PartitionLook]:
    owners = look.owners
    columns: list[Column[PartitionLook]] = [
        Column("partition", "Partition", lambda row: row.number, "number"),
        Column("owner", "Worker", lambda row: owners.get(row.number, "no worker")),
        Column("clock", "Clock", lambda row: None if row.position is None else row.position.clock, "instant"),
        Column("ahead", "Clock ahead by", lambda row: _ahead(look, row), "length"),
        Column("accounts", "Accounts", lambda row: row.accounts, "number"),
        Column("outbox", "Outbox", lambda row: row.outbox, "number"),
        Column("due", "Due", lambda row: row.due, "number"),
        Column("next", "Next due", lambda row: row.next_deadline, "instant"),
    ]
    return view.tables.table(
        "partitions",
        "Partitions",
        columns,
        list(look.partitions),
        sort="partition",
        note="A partition is a share of the accounts; one worker at a time decides on it. Its outbox has changes that are not "
        "published yet, and accounts are due that time alone may move.",
        empty="No partition yet. They appear once the first worker has begun.",
    )


def _ahead(look: Overview, row: PartitionLook) -> int | None:
    """Return by how much (ms) the clock of a partition is ahead of now; None where it is not, or in a replay."""
    if row.position is None or look.clock != "wall":
        return None
    return max(0, row.position.clock - look.now) or None


def _workers(view: Viewing, look: Overview) -> Table[WorkerLook]:
    columns: list[Column[WorkerLook]] = [
        Column("worker", "Worker", lambda row: row.name),
        Column("partitions", "Partitions", lambda row: list(row.partitions), sortable=False),
        Column("lag", "Waiting", lambda row: sum(row.lag.values()), "number"),
        Column("silent", "Last seen, ago", lambda row: row.silent, "length"),
    ]
    return view.tables.table(
        "workers",
        "Workers",
        columns,
        list(look.workers),
        sort="worker",
        empty="No worker is running. One appears once `resegment worker` or `resegment up` runs.",
    )


def _check_rows(look: Overview) -> list[CheckRow]:
    return [
        CheckRow(
            number,
            int(one.at * 1000),
            None if one.oldest is None else int(one.oldest * 1000),
            one.checked,
            one.whole,
            int(one.within * 1000),
            one.differing,
            one.blocked,
        )
        for number, one in look.spot_checks.items()
    ]


def _checks(view: Viewing, rows: Sequence[CheckRow]) -> Table[CheckRow]:
    columns: list[Column[CheckRow]] = [
        Column("partition", "Partition", lambda row: row.partition, "number"),
        Column("oldest", "Every account checked since", lambda row: row.oldest, "instant"),
        Column("at", "Last check", lambda row: row.at, "instant"),
        Column("checked", "Checked", lambda row: row.checked, "number"),
        Column("within", "Each within", lambda row: row.within, "length"),
        Column("differing", "Differ", lambda row: row.differing, "number"),
        Column("blocked", "Cannot be checked", lambda row: row.blocked),
    ]
    return view.tables.table(
        "spot_checks",
        "Spot checks by partition",
        columns,
        rows,
        sort="partition",
        note="Checked counts the accounts that the worker of the partition has compared since it started.",
        empty="Nothing was checked yet. A row appears once workers have compared an account of a partition with the log.",
    )


def _differing(view: Viewing, look: Overview) -> Table[Differing]:
    columns: list[Column[Differing]] = [
        Column("account", "Account", lambda row: row.account, link=lambda row: view.account_url(row.account)),
        Column("partition", "Partition", lambda row: row.partition, "number"),
        Column("what", "What differs", lambda row: row.what),
    ]
    rows = [
        Differing(name, number, what)
        for number, one in look.spot_checks.items()
        for name, what in one.named.items()
    ]
    more = sum(one.differing for one in look.spot_checks.values()) - len(rows)
    return view.tables.table(
        "differing",
        "Accounts that differ from the log",
        columns,
        rows,
        sort="account",
        note=f"{more:,} more are not named; `resegment verify` shows all." if more > 0 else "",
        empty="No account differs. One appears when Redis and the log say different things of it.",
    )
