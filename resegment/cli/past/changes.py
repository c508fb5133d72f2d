"""Find the changes of a time that is over: as they were published, or decided again from `signals`."""

from __future__ import annotations

from typing import Any

import orjson

from resegment.agents.batch import Message
from resegment.cli.past.looking import PastView
from resegment.console.dates import spell_instant
from resegment.console.terminal import print_note
from resegment.schemas.times import parse_instant
from resegment.streams.definitions.announcing import Announcer


async def find_changes(view: PastView, start: int, end: int, account: str | None) -> list[bytes | None]:
    """Return the events of the changes that took effect between two instants (ms), and of some before.

    Where their topic does not reach back to the first, they are decided again. Raises HistoryGone if that is not
    possible.
    """
    print_note(f"Changes from {spell_instant(start)} to {spell_instant(end)}, in {view.place}.")
    partitions = None if account is None else [view.partition_of(account)]
    topic = view.source.topics.segment_changes.name
    found: list[bytes | None] = []
    firsts: dict[int, Any] = {}
    async with view.source.reading(topic, partitions) as reader:
        is_whole = reader.newest_beginning == 0
        async for records in reader.to_end():
            if view.source.archive is None:
                firsts.setdefault(records[0].partition, records[0])
            found += [record.value for record in await view.source.opener.open(records)]
        is_emptied = any(begin > 0 and number not in firsts for number, begin in reader.begins.items())
    is_whole = is_whole and all(one.offset == 0 for one in firsts.values())
    # what a partition had whose records are all gone nobody can tell
    reach = (
        end if is_emptied else max((_decided_at(one.value) or end for one in firsts.values()), default=end)
    )
    if is_whole or reach < start:
        _tell_missing(view, end)
        return found
    kept = "has lost what a partition had" if is_emptied else f"reaches back to {spell_instant(reach)} only"
    print_note(f"{topic} {kept}: these changes are decided again from signals.")
    announcer = Announcer(view.registry)
    changes = await view.past.changes(end - 1, partitions)
    made: list[Message] = [announcer.change(one) for one in changes]
    _tell_missing(view, end)
    return [one.value for one in made]


def _decided_at(value: bytes | None) -> int | None:
    """Return when a change was decided; None where the record is none."""
    try:
        return parse_instant(orjson.loads(value or b"")["data"]["decided_at"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _tell_missing(view: PastView, end: int) -> None:
    if view.known_until is not None and view.known_until < end:
        print_note(f"{view.place} has everything up to {spell_instant(view.known_until)} only.")
