"""Accounts: search, and each with its segment and why, what is missing, what comes next, and everything that happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from resegment.console.counts import count
from resegment.console.dates import reader
from resegment.console.facts import spell_fields
from resegment.console.outcomes.account_view import REASONS
from resegment.http.console.pages.changes import tell_why
from resegment.http.console.pages.segments import member_table, read_member_filter
from resegment.http.console.pages.shadow import describe_shadowed, explain_shadowed, find_current
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.console.table import Column, Table
from resegment.http.console.times import read_instant, spell_local
from resegment.http.console.viewing import View, Viewing
from resegment.localization import texts_in
from resegment.outcomes.dataset import Dataset
from resegment.routing.describe import Stop, describe_queue, describe_routing, find_stop, words_of
from resegment.routing.policy import Policy
from resegment.routing.staffing.past import PastDecision, find_standing, tell_standing
from resegment.schemas.fact import KINDS
from resegment.schemas.routing import RoutedState
from resegment.schemas.state import Entry
from resegment.schemas.times import format_instant
from resegment.segmentation.inspection.briefs import Brief, describe_brief, write_brief
from resegment.segmentation.inspection.explain import describe_explanation
from resegment.segmentation.inspection.explain import explain as find_reasons
from resegment.segmentation.inspection.explanation import Explanation
from resegment.segmentation.inspection.next_change import find_gate_end
from resegment.segmentation.inspection.since import ChangedTest, compare_tests
from resegment.segmentation.language.gates import suppression_gate
from resegment.streams.live.account import AccountView
from resegment.streams.live.members import MemberFilter, find_name_of, find_owners
from resegment.streams.live.queries import (
    ChangeRow,
    CommandRow,
    Filter,
    find_changes,
    find_commands,
    find_span,
)

router: Final = APIRouter()

MOST: Final = 2_000
"""How many changes, and how many commands, a timeline has at most: the newest."""
_KINDS: Final = tuple(KINDS)
_SAYS: Final = {True: "true", False: "false", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an account, or became known of it; `at` in ms. `known` is when, if that was later, or when a command was sent."""

    at: int
    what: str
    text: str
    source: str
    id: str
    known: int | None = None


@router.get("/accounts")
async def show_accounts(view: View) -> Response:
    """Show accounts by name, domain or alias; one that is meant exactly is shown at once."""
    wanted = await read_member_filter(view, view.tables.query.get("segment") or None)
    text = wanted.text
    if view.tables.form == "html" and wanted == MemberFilter(text=text) and text:
        exact = await view.prefix.identify(text)
        if exact is not None:
            return RedirectResponse(view.account_url(exact), 303)
    table = await member_table(
        view,
        wanted,
        "accounts",
        sort="name" if text else "-since",
        with_segment=True,
        empty=f"No account is like {text}."
        if text
        else "No account is like that."
        if wanted.is_narrow
        else "No accounts yet.",
    )
    names = [one.name for one in (await view.prefix.registry()).current.definition.segments]
    tables: list[Table[Any]] = [table]
    if text and (aliases := await view.prefix.aliases(text)):
        tables.append(_aliases(view, aliases))
    return view.respond(
        "accounts.html",
        title="Accounts",
        tables=tables,
        data={"query": text, "segment": wanted.segment},
        wanted=wanted,
        owners=await view.prefix.find(partial(find_owners, segment=wanted.segment, queues=wanted.queues)),
        segments=names,
    )


def _aliases(view: Viewing, rows: list[tuple[str, str]]) -> Table[tuple[str, str]]:
    columns: list[Column[tuple[str, str]]] = [
        Column("alias", "Alias", lambda row: row[0]),
        Column("account", "Account", lambda row: row[1], link=lambda row: view.account_url(row[1])),
    ]
    return view.tables.table("aliases", "Aliases", columns, rows, sort="alias")


@router.get("/accounts/{name:path}")
async def show_account(view: View, name: str) -> Response:
    """Show one account, now or at the instant that the address names."""
    if not name:
        return RedirectResponse(view.url("/accounts"), 303)
    at = read_instant(view.tables.query.get("at"), view.zone)
    exact = await view.prefix.identify(name)
    if exact is not None and exact != name:
        return RedirectResponse(view.account_url(exact), 303)
    found = await view.prefix.account(name, at)
    explanation = find_reasons(found.engine, found.account, found.at)
    with texts_in(view.locale):
        brief = _brief_of(found)
    commands = await view.prefix.find(partial(find_commands, account=name, until=None, most=MOST))
    dataset = await view.prefix.account_outcomes(name, at)
    events = await read_events(view.prefix, found, dataset, commands, at)
    span = await view.prefix.find(find_span)
    is_past = at is not None and at < found.now
    routing = None if is_past else found.routing
    sent = [*map(_to_decision, reversed(commands))]
    standing = find_standing(found.routing, sent, at or 0) if is_past else None
    stop = _find_stop(found, routing, (await view.prefix.registry()).current.policy)
    shadow = None if at is not None else await view.prefix.shadowed_account(name, found.at)
    under_shadow = None if shadow is None else explain_shadowed(shadow)
    higher = [one for one in explanation.segments if one.role == "higher"]
    company = await view.prefix.find(partial(find_name_of, account=name))
    tables: list[Table[Any]] = [_timeline(view, events, view.tell_span(span.begin, span.end))]
    if is_past:
        tables.append(_since(view, compare_tests(explanation, await _explain_now(view, name))))
    return view.respond(
        "account.html",
        title=name,
        tables=tables,
        data={
            **describe_explanation(explanation),
            "version": {"number": found.version, "fingerprint": found.fingerprint},
            "routing": None if routing is None else describe_routing(routing),
            "stopped_by": None if stop is None else stop.describe(),
            "routing_then": None if standing is None else standing.describe(),
            "credit": _describe_credit(dataset),
            "shadow": None
            if shadow is None
            else describe_shadowed(shadow, under_shadow, explanation.segment),
            "brief": None if brief is None else describe_brief(brief),
        },
        account=name,
        aliases=[alias for alias, _ in await view.prefix.aliases(account=name)],
        company=company or (brief.name if brief is not None else None),
        found=found,
        at=at,
        local=spell_local(found.at, view.zone),
        is_future=found.at > found.now,
        explanation=explanation,
        current=find_current(explanation),
        higher=higher,
        routing=None if routing is None else words_of(routing, stop),
        stop=stop,
        standing=standing,
        then=None if standing is None else tell_standing(standing),
        credit=_tell_credit(dataset),
        shadow=shadow,
        under_shadow=None if under_shadow is None else (under_shadow, find_current(under_shadow)),
        brief=brief,
        fields=spell_fields,
        kinds=sorted({one.what for one in events}),
        what=view.tables.query.get("what", ""),
    )


async def _explain_now(view: Viewing, name: str) -> Explanation:
    present = await view.prefix.account(name, None)
    return find_reasons(present.engine, present.account, present.at)


def _since(view: Viewing, changed: list[ChangedTest]) -> Table[ChangedTest]:
    columns: list[Column[ChangedTest]] = [
        Column("test", "Test", lambda row: row.test),
        Column("then", "Then", lambda row: _SAYS[row.then]),
        Column("now", "Now", lambda row: _SAYS[row.now]),
        Column("facts", "What it rested on", _tell_facts, "words", sortable=False),
        Column("segments", "Segments", lambda row: list(row.segments), sortable=False),
    ]
    return view.tables.table(
        "since",
        "What says something else now",
        columns,
        changed,
        sort="test",
        empty="Every test says the same now.",
    )


def _tell_facts(row: ChangedTest) -> str | None:
    told = [f"{one['kind']} of {one['time']} from {one['source']}, id {one['id']}" for one in row.facts]
    return "; ".join(told) or None


def _brief_of(found: AccountView) -> Brief | None:
    """Return the brief; None where the account is still in a segment that the version has no more."""
    if found.account.state.membership.segment not in found.engine.program.numbers:
        return None
    return write_brief(found.engine, found.account, found.at)


async def read_events(
    prefix: ConsolePrefix,
    found: AccountView,
    dataset: Dataset,
    commands: Sequence[CommandRow],
    at: int | None,
) -> list[Event]:
    """Return what happened to an account up to an instant (ms), None for now, as far as that is kept.

    `dataset` has its touches and outcomes as they were known then, `commands` all its commands.
    """
    until = None if at is None else at + 1
    changes = await prefix.find(
        partial(
            find_changes,
            wanted=Filter(account=found.account.name, until=until),
            order="account",
            descending=True,
            start=0,
            size=MOST,
        )
    )
    came = [*_of_touches(dataset), *_of_outcomes(dataset)]
    told = {(one.source, one.id) for one in came}
    return [
        *map(_of_change, changes.rows),
        *(_of_command(one) for one in commands if until is None or one.at < until),
        *(one for one in came if until is None or one.at < until),
        *(
            one
            for one in _of_facts(found.account.state.entries, found.at)
            if (one.source, one.id) not in told
        ),
    ]


def _to_decision(row: CommandRow) -> PastDecision:
    what = "enrolled" if row.action == "enroll" else row.action
    return PastDecision(row.at, what, row.segment, row.workflow, row.owner, row.reason)


def _find_stop(found: AccountView, routing: RoutedState | None, policy: Policy) -> Stop | None:
    """Return what keeps the account out of its workflow or from an owner, and until when."""
    if routing is not None and policy.is_queued(routing):
        return describe_queue(routing)
    stop = None if routing is None else find_stop(routing, found.turn)
    if routing is None or stop is None or stop.decision != "suppressed":
        return stop
    gate = suppression_gate(routing.why)
    if gate not in found.account.state.active_gates:
        return stop
    return stop._replace(until=find_gate_end(found.engine, found.account, gate))


def _describe_credit(dataset: Dataset) -> dict[str, Any]:
    """Return how often an account was touched, and what its outcomes are credited to."""
    last = dataset.touches.tail(1).to_dicts()
    return {
        "touches": dataset.touches.height,
        "last_touch": format_instant(_ms(last[0]["at"])) if last else None,
        "last_segment": last[0]["segment"] if last else None,
        "outcomes": dataset.outcomes.height,
        "credited": dataset.outcomes["touch"].count(),
        "uncredited": dataset.uncredited,
        "dropped": dataset.dropped,
    }


def _tell_credit(dataset: Dataset) -> str:
    """Say the same in one sentence; instants are in RFC 3339."""
    about = _describe_credit(dataset)
    if not about["touches"] and not about["outcomes"]:
        return "Never touched, and no outcome is known."
    last = (
        f", the last time on {about['last_touch']} from {about['last_segment']}" if about["touches"] else ""
    )
    told = f"Touched {count(about['touches'], 'time')}{last}; {count(about['outcomes'], 'outcome')}"
    if about["outcomes"]:
        told += f", {about['credited']:,} credited to a touch"
    lost = (
        f" {count(about['dropped'], 'older record')} of touches and outcomes are gone."
        if about["dropped"]
        else ""
    )
    return f"{told}.{lost}"


def _of_touches(dataset: Dataset) -> Iterator[Event]:
    for one in dataset.touches.iter_rows(named=True):
        where = f"{one['segment']}, {one['workflow'] or 'no workflow'}"
        version = f", version {one['version']}" if one["version"] is not None else ""
        drawn = f" ({one['experiment']}: {one['variant']})" if one["experiment"] is not None else ""
        what = "held out of" if one["arm"] == "holdout" else "enrolled from"
        yield Event(_ms(one["at"]), "touch", f"{what} {where}{version}{drawn}", "", one["touch"])


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
    why = tell_why(row)
    return Event(row.at, "change", f"{moved}: {why}" if why else moved, "", "")


def _of_command(row: CommandRow) -> Event:
    owner = f", owner {row.owner}" if row.owner else ""
    reason = f": {row.reason}" if row.reason else ""
    change = "" if row.sent is not None else ", for the change of this time"
    text = f"{row.action} {row.workflow} ({row.segment}){owner}{change}{reason}"
    return Event(row.at, "command", text, "", "", row.sent)


def _of_facts(entries: list[Entry], at: int) -> Iterator[Event]:
    for one in entries:
        if one.known > at:
            continue
        kind = _KINDS[one.kind]
        data = ", ".join(f"{field} = {value}" for field, value in spell_fields(one.data))
        text = f"{data or 'no fields that are used'}{' (retracted)' if one.retracted else ''}"
        known = one.known if one.known - one.time > 60_000 else None
        yield Event(one.time, kind, text, one.source, one.id, known)


def _tell_cut(events: list[Event]) -> str:
    """Say that a timeline lacks older changes or commands, where it does."""
    counts = Counter(one.what for one in events)
    if max(counts["change"], counts["command"]) < MOST:
        return ""
    return f" It has only the newest {MOST:,} changes and the newest {MOST:,} commands."


def _timeline(view: Viewing, events: list[Event], span: str) -> Table[Event]:
    what = view.tables.query.get("what", "")
    columns: list[Column[Event]] = [
        Column("at", "When", lambda row: row.at, "instant"),
        Column("what", "What", lambda row: row.what),
        Column("text", "", lambda row: row.text, sortable=False),
        Column(
            "source", "Source", lambda row: row.source or None, note=lambda row: row.id or None, noted="Id"
        ),
        Column("known", "Known or sent", lambda row: row.known, "instant"),
    ]
    return view.tables.table(
        "timeline",
        "Timeline",
        columns,
        [one for one in events if what in ("", one.what)],
        sort="-at",
        span=span,
        note=f"Facts are those that the account's state keeps because the segments file uses them.{_tell_cut(events)}",
        empty="Nothing of that kind.",
    )
