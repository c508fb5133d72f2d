"""What happened to an account: its changes, the commands about it, touches and outcomes, and the facts that it keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from resegment.console.counts import count
from resegment.console.dates import reader
from resegment.console.facts import spell_fields
from resegment.console.outcomes.account_view import REASONS
from resegment.http.console.pages.changes import tell_why
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.console.table import Column, Table
from resegment.http.console.viewing import Viewing
from resegment.outcomes.dataset import Dataset
from resegment.routing.staffing.past import PastDecision
from resegment.schemas.fact import KINDS
from resegment.schemas.state import Entry
from resegment.schemas.times import format_instant
from resegment.streams.live.account import AccountView
from resegment.streams.live.queries import ChangeRow, CommandRow, Filter, find_changes, find_commands

MOST: Final = 2_000
"""How many changes, and how many commands, a timeline has at most: the newest."""
_LATER: Final = 60_000
"""From how much later (ms) on it is said that a fact became known later, or that a change came earlier than its command."""
_KINDS: Final = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an account, or became known of it; `at` in ms.

    `known` is when a fact became known, if that was later, or the time of the change that a command follows, if that was earlier.
    """

    at: int
    what: str
    text: str
    source: str
    id: str
    known: int | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A command with when (ms) it was issued: its change's time where no other is known."""

    at: int
    row: CommandRow

    @property
    def decision(self) -> PastDecision:
        """The decision that it tells of."""
        one = self.row
        what = "enrolled" if one.action == "enroll" else one.action
        return PastDecision(self.at, what, one.segment, one.workflow, one.owner, one.reason)


async def read_commands(prefix: ConsolePrefix, account: str, now: int, at: int | None) -> list[Issued]:
    """Return the commands about an account in the order in which they were issued: up to `at` (ms), None for all.

    `now` (ms) is the prefix's own time. A command that was sent after it is one of a replay, whose clock is that of the facts.
    """
    until = None if at is None else at + 1
    rows = await prefix.find(partial(find_commands, account=account, until=until, most=MOST))
    found = [
        Issued(row.at if row.sent is None or row.sent > now else row.sent, row) for row in reversed(rows)
    ]
    return sorted((one for one in found if at is None or one.at <= at), key=lambda one: one.at)


async def read_changes(prefix: ConsolePrefix, account: str, at: int | None) -> list[ChangeRow]:
    """Return the changes of an account up to an instant (ms), None for now, as far as the index has them; the newest first."""
    wanted = Filter(account=account, until=None if at is None else at + 1)
    find = partial(find_changes, wanted=wanted, order="account", descending=True, start=0, size=MOST)
    return list((await prefix.find(find)).rows)


def arrange_events(
    found: AccountView,
    changes: Sequence[ChangeRow],
    commands: Sequence[Issued],
    dataset: Dataset,
    at: int | None,
) -> list[Event]:
    """Return what happened to an account up to an instant (ms), None for now. `dataset` is what was known then."""
    came = [*_of_touches(dataset), *_of_outcomes(dataset)]
    told = {(one.source, one.id) for one in came}
    facts = _of_facts(found.account.state.entries, found.at)
    return [
        *map(_of_change, changes),
        *(_of_command(one, found.now) for one in commands),
        *(one for one in came if at is None or one.at <= at),
        *(one for one in facts if (one.source, one.id) not in told),
    ]


def find_entry(changes: Sequence[ChangeRow], segment: str | None) -> ChangeRow | None:
    """Return the change that put an account into the segment that it is in; None where the index does not have it."""
    newest = next(iter(changes), None)
    return newest if newest is not None and newest.to == segment else None


def show_timeline(view: Viewing, events: list[Event], span: str) -> Table[Event]:
    """Return the timeline as a table, of the kind that the address names."""
    what = view.tables.query.get("what", "")
    columns: list[Column[Event]] = [
        Column("at", "When", lambda row: row.at, "instant"),
        Column("what", "What", lambda row: row.what),
        Column("text", "", lambda row: row.text, sortable=False),
        Column(
            "source", "Source", lambda row: row.source or None, note=lambda row: row.id or None, noted="Id"
        ),
        Column("known", "Known, or its change", lambda row: row.known, "instant"),
    ]
    return view.tables.table(
        "timeline",
        "Timeline",
        columns,
        [one for one in events if what in ("", one.what)],
        sort="-at",
        span=span,
        note="Facts are those that the account's state keeps because the segments file uses them. Commands are listed by when "
        f"they were sent.{_tell_cut(events)}",
        empty="Nothing of that kind is known of this account. Choose everything to see what is."
        if what
        else "Nothing is known of this account. A row appears with its first event.",
    )


def _tell_cut(events: list[Event]) -> str:
    """Say that a timeline lacks older changes or commands, where it does."""
    counts = Counter(one.what for one in events)
    if max(counts["change"], counts["command"]) < MOST:
        return ""
    return f" It has only the newest {MOST:,} changes and the newest {MOST:,} commands."


# Touches and outcomes in short


def describe_credit(dataset: Dataset) -> dict[str, Any]:
    """Return how often an account was touched or held out, and what its outcomes are credited to."""
    held = dataset.touches["arm"] == "holdout"
    told: dict[str, Any] = {}
    for name, rows in (("touch", dataset.touches.filter(~held)), ("held_out", dataset.touches.filter(held))):
        last = rows.tail(1).to_dicts()
        told |= {
            "touches" if name == "touch" else name: rows.height,
            f"last_{name}": format_instant(_ms(last[0]["at"])) if last else None,
            "last_segment" if name == "touch" else "held_out_of": last[0]["segment"] if last else None,
        }
    return told | {
        "outcomes": dataset.outcomes.height,
        "credited": dataset.outcomes["touch"].count(),
        "uncredited": dataset.uncredited,
        "dropped": dataset.dropped,
    }


def tell_credit(dataset: Dataset) -> str:
    """Say the same in one sentence; instants are in RFC 3339."""
    about = describe_credit(dataset)
    told = "Never touched"
    if about["touches"]:
        last = f"the last time on {about['last_touch']} from {about['last_segment']}"
        told = f"Touched {count(about['touches'], 'time')}, {last}"
    if about["held_out"]:
        drawn = "once" if about["held_out"] == 1 else f"{about['held_out']:,} times"
        last = f"{'' if about['held_out'] == 1 else 'the last time '}on {about['last_held_out']}"
        told += (
            f"; held out {drawn} as a comparison, {last} from {about['held_out_of']}: no workflow got it then"
        )
    if not about["outcomes"]:
        told += ", and no outcome is known" if told == "Never touched" else "; no outcome is known"
    else:
        told += f"; {count(about['outcomes'], 'outcome')}"
        if about["touches"]:
            told += f", {about['credited']:,} credited to a touch"
    lost = (
        f" {count(about['dropped'], 'older record')} of touches and outcomes are gone."
        if about["dropped"]
        else ""
    )
    return f"{told}.{lost}"


# What each kind of event says


def _of_touches(dataset: Dataset) -> Iterator[Event]:
    for one in dataset.touches.iter_rows(named=True):
        where = f"{one['segment']}, {one['workflow'] or 'no workflow'}"
        version = f", version {one['version']}" if one["version"] is not None else ""
        drawn = f" ({one['experiment']}: {one['variant']})" if one["experiment"] is not None else ""
        is_held = one["arm"] == "holdout"
        text = f"{'held out of' if is_held else 'enrolled from'} {where}{version}{drawn}"
        yield Event(_ms(one["at"]), "held out" if is_held else "touch", text, "", one["touch"])


def _of_outcomes(dataset: Dataset) -> Iterator[Event]:
    numbers = {one: number for number, one in enumerate(dataset.touches["touch"], 1)}
    for one in dataset.outcomes.iter_rows(named=True):
        about = ", ".join(str(one[name]) for name in ("person", "deal") if one[name] is not None)
        amount = "" if one["amount_usd"] is None else f", {reader().money(one['amount_usd'])}"
        credited = (
            f"credited to touch {numbers.get(one['touch'], '?')} by {one['credited_by']}"
            if one["touch"] is not None
            else f"credited to no touch: {REASONS.get(one['reason'], one['reason'])}"
        )
        text = f"{one['action']}{f' ({about})' if about else ''}{amount}; {credited}"
        yield Event(_ms(one["at"]), "outcome", text, one["source"], one["record"])


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _of_change(row: ChangeRow) -> Event:
    moved = f"{row.from_ or 'first seen'} → {row.to or 'merged away'}"
    why = tell_why(row, None)
    return Event(row.at, "change", f"{moved}: {why}" if why else moved, "", "")


def _of_command(one: Issued, now: int) -> Event:
    row = one.row
    owner = f", owner {row.owner}" if row.owner else ""
    reason = f": {row.reason}" if row.reason else ""
    is_known = row.sent is not None and row.sent <= now
    text = f"{row.action} {row.workflow} ({row.segment}){owner}{'' if is_known else ', for the change of this time'}{reason}"
    return Event(one.at, "command", text, "", "", row.at if one.at - row.at > _LATER else None)


def _of_facts(entries: list[Entry], at: int) -> Iterator[Event]:
    for one in entries:
        if one.known > at:
            continue
        kind = _KINDS[one.kind]
        data = ", ".join(f"{field} = {value}" for field, value in spell_fields(one.data))
        text = f"{data or 'no fields that are used'}{' (retracted)' if one.retracted else ''}"
        yield Event(
            one.time, kind, text, one.source, one.id, one.known if one.known - one.time > _LATER else None
        )
