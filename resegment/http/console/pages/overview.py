"""The first page: whether the prefix works, how fresh it is, and how accounts are spread over segments."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from resegment.http.console.table import Column
from resegment.http.console.viewing import View
from resegment.state.redis.reader import PartitionLook
from resegment.streams.operations.overview import describe_overview, find_notes, find_problems

router: Final = APIRouter()


@router.get("/")
async def show_overview(view: View) -> Response:
    """Show the health of the prefix."""
    look = await view.prefix.overview()
    owners = look.owners
    segments: list[Column[tuple[str, int]]] = [
        Column("segment", "Segment", lambda row: row[0]),
        Column("accounts", "Accounts", lambda row: row[1], "number"),
    ]
    partitions: list[Column[PartitionLook]] = [
        Column("partition", "Partition", lambda row: row.number, "number"),
        Column("owner", "Worker", lambda row: owners.get(row.number)),
        Column("clock", "Clock", lambda row: None if row.position is None else row.position.clock, "instant"),
        Column("accounts", "Accounts", lambda row: row.accounts, "number"),
        Column("outbox", "Outbox", lambda row: row.outbox, "number"),
        Column("due", "Due", lambda row: row.due, "number"),
        Column("next", "Next due", lambda row: row.next_deadline, "instant"),
    ]
    return view.respond(
        "overview.html",
        title="Overview",
        tables=[
            view.tables.table(
                "segments", "Accounts by segment", segments, list(look.sizes.items()), sort="-accounts"
            ),
            view.tables.table(
                "partitions", "Partitions", partitions, list(look.partitions), sort="partition"
            ),
        ],
        data=describe_overview(look),
        look=look,
        problems=find_problems(look),
        notes=find_notes(look),
        accounts=sum(one.accounts for one in look.partitions),
        lag=sum(look.lag.values()),
        letters=sum(look.letters.reasons.values()),
    )
