"""Segment changes on a terminal, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from resegment.console.counts import count
from resegment.console.dates import spell_dates, spell_instant
from resegment.console.facts import spell_fields
from resegment.console.sanitizing import escape_line
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.times import parse_instant
from resegment.segmentation.inspection.descriptions import show_value

SHOWN: Final = 2
"""How many tests a reason shows."""

INDENT: Final = "    "
_MEASURE: Final = Console()

Change = Mapping[str, Any]
"""The data of a change's event."""


class _Data(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    account: str
    sequence_number: int
    from_: str | None
    to: str | None
    effective_at: str
    supersedes: str | None
    supersedes_to: str | None = None


class _Event(msgspec.Struct, frozen=True):
    id: str
    data: _Data


_decoder: Final = msgspec.json.Decoder(_Event)
_DEEP: Final = 250
"""How deep what is printed as JSON may be nested, and a bit less."""


def read_change(value: bytes | None) -> dict[str, Any] | None:
    """Return the data of a change's event with its `id`; None for a record that is none, or that cannot be printed."""
    try:
        event = decode_value(_decoder, value)
        parse_instant(event.data.effective_at)
        change: dict[str, Any] = {"id": event.id, **orjson.loads(value or b"")["data"]} | {"id": event.id}
        if value is not None and value.count(b"[") + value.count(b"{") > _DEEP:
            orjson.dumps(change)
    except (ValueError, TypeError):  # errors of msgspec and orjson, too
        return None
    return change


def render(change: Change, *, void: bool = False, width: int | None = None) -> Text:
    """Render time, account, from → to and why. A void change is struck through and marked.

    If it is longer than `width`, the reason follows on its own, indented lines.
    """
    line = Text(f"{spell_instant(parse_instant(change['effective_at']))}  ", style="dim")
    line.append(change["account"], style="bold not dim").append("  ", style="not dim")
    before = change["from"] or "first seen"
    after = change["to"] or "no account any more"
    line.append(before, style="not dim").append(" → ", style="dim").append(after, style="cyan not dim")
    if void:
        line.stylize("strike")
        line.append("  void", style="yellow not dim")
    elif change["supersedes"] is not None:
        line.append(f"  instead of {change['supersedes_to']}", style="yellow not dim")
    reason = escape_line(give_reason(change))
    if not reason:
        return line
    if width is None or cell_len(line.plain) + cell_len(reason) + 2 <= width:
        return line.append(f"  {reason}", style="not strike")
    folded = Text(reason).wrap(_MEASURE, max(20, width - len(INDENT)), overflow="fold")
    return Text("\n").join([line, *(Text(INDENT).append_text(one) for one in folded)])


def tell_unread(records: int) -> str:
    """Say how many records of the changes' topic are none."""
    return f"{count(records, 'record')} of segment-changes cannot be read: passed over"


def give_reason(change: Change, most: int | None = SHOWN) -> str:
    """Return the tests that moved the account, with evidence: those that made it move first. `most` is how many are shown.

    If time moved it, start with the test of the old segment that is no longer true; if a new version of the segments
    file did, with its number. What the tests held on is missing where somebody was forgotten. A reason that no worker
    wrote cannot be read.
    """
    try:
        return _give_reason(change, most)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return "its reason cannot be read"


def _give_reason(change: Change, most: int | None) -> str:
    reason, cause = change["reason"], change["cause"]
    holds = _order(reason.get("holds") or (), cause)
    told = [f"no longer {test}" for test in reason.get("no_longer") or ()] if "deadline" in cause else []
    told = [*told[:1], *map(_tell, holds), *told[1:]]
    if not told:
        told = [f"no longer {test}" for test in reason.get("no_longer") or ()]
    if (version := cause.get("definition")) is not None:
        if change.get("moved"):
            return f"version {version} of the file calls it {change['to']}"
        told = [f"version {version} of the file", *told]
    if (other := cause.get("merged")) is not None:
        told = [f"merged into {other}" if change["to"] is None else f"{other} was merged into it", *told]
    elif (other := cause.get("unmerged")) is not None:
        told = [f"{other} is an account of its own again", *told]
    if (what := cause.get("forgotten")) is not None:
        told = ["forgotten" if what == "account" else "a person was forgotten", *told]
    more = 0 if most is None else max(0, len(told) - most)
    gone = " (forgotten)" if change.get("forgotten") else ""
    return "; ".join(told[:most]) + (f"; and {more} more" if more else "") + gone


def _order(holds: Sequence[Mapping[str, Any]], cause: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return tests in the order in which they can have moved the account: the newest fact first, of those that are alike.

    What rests on a causing event comes first. Where nothing does, the event changed a value, and numbers change most often. Where
    time moved the account, a hold may have ended, or something no longer is there.
    """
    events = set(cause.get("events") or ())
    cited = [
        {one["id"] for fact in held.get("evidence") or () for one in (fact, *fact.get("same", ()))}
        for held in holds
    ]
    if "deadline" in cause:
        order = ("facts", "absence", "number", "value")
    elif events and not any(ids & events for ids in cited):
        order = ("number", "value", "facts", "absence")
    else:
        order = ("facts", "number", "value", "absence")

    def weigh(place: int) -> int:
        held = holds[place]
        if cited[place] & events:
            return -1
        return order.index(_kind_of(held))

    newest = sorted(range(len(holds)), key=lambda place: _newest(holds[place]), reverse=True)
    return [holds[place] for place in sorted(newest, key=weigh)]


def _kind_of(held: Mapping[str, Any]) -> str:
    """Return what a test rests on: facts, their absence, a number or another value."""
    if "facts" in held:
        return "facts" if held["facts"] else "absence"
    value = held.get("value")
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "value"


def _newest(held: Mapping[str, Any]) -> str:
    return max((fact["time"] for fact in held.get("evidence") or ()), default="")


def _tell(held: Mapping[str, Any]) -> str:
    grounds = next(_grounds(held), "")
    return f"{held['test']}{grounds}"


def _grounds(held: Mapping[str, Any]) -> Iterator[str]:
    for fact in held.get("evidence") or ():
        data = ", ".join(value for _, value in spell_fields(fact.get("data")))
        more = f" and {held['facts'] - 1} more" if held.get("facts", 1) > 1 else ""
        yield f": {data + ' ' if data else ''}on {spell_dates(fact['time'][:10])}{more}"
    if "value" in held:
        yield f": {show_value(held['value'])}"
