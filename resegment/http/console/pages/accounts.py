"""Accounts: search, and each with its segment and why, what is missing, what comes next, and everything that happened."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from resegment.console.facts import spell_fields
from resegment.http.console.pages.changes import tell_why
from resegment.http.console.pages.segments import member_table, read_member_filter
from resegment.http.console.pages.shadow import describe_shadowed, explain_shadowed, find_current
from resegment.http.console.pages.timeline import (
    arrange_events,
    describe_credit,
    find_entry,
    read_changes,
    read_commands,
    show_timeline,
    tell_credit,
)
from resegment.http.console.table import Column, Table
from resegment.http.console.times import read_instant, spell_local
from resegment.http.console.viewing import View, Viewing
from resegment.localization import texts_in
from resegment.routing.describe import Stop, describe_queue, describe_routing, find_stop, words_of
from resegment.routing.policy import Policy
from resegment.routing.staffing.past import find_standing, tell_standing
from resegment.schemas.routing import RoutedState
from resegment.segmentation.inspection.briefs import Brief, describe_brief, write_brief
from resegment.segmentation.inspection.explain import describe_explanation
from resegment.segmentation.inspection.explain import explain as find_reasons
from resegment.segmentation.inspection.explanation import Explanation
from resegment.segmentation.inspection.next_change import find_gate_end
from resegment.segmentation.inspection.since import ChangedTest, compare_tests
from resegment.segmentation.language.gates import suppression_gate
from resegment.streams.live.account import AccountView
from resegment.streams.live.members import MemberFilter, find_name_of, find_owners
from resegment.streams.live.queries import find_span

router: Final = APIRouter()

_SAYS: Final = {True: "true", False: "false", None: "unknown"}


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
        empty="No account matches this. A name, domain or alias is found by any part of it. Clear the filters to see all accounts."
        if wanted.is_narrow or wanted.segment
        else "No account yet. One appears with the first event about it.",
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
        now=await view.prefix.now(),
    )


def _aliases(view: Viewing, rows: list[tuple[str, str]]) -> Table[tuple[str, str]]:
    columns: list[Column[tuple[str, str]]] = [
        Column("alias", "Alias", lambda row: row[0]),
        Column("account", "Account", lambda row: row[1], link=lambda row: view.account_url(row[1])),
    ]
    return view.tables.table(
        "aliases", "Aliases", columns, rows, sort="alias", empty="No alias has that text."
    )


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
    commands = await read_commands(view.prefix, name, found.now, at)
    changes = await read_changes(view.prefix, name, at)
    entry = find_entry(changes, explanation.segment)
    dataset = await view.prefix.account_outcomes(name, at)
    events = arrange_events(found, changes, commands, dataset, at)
    span = await view.prefix.find(find_span)
    is_past = at is not None and at < found.now
    routing = None if is_past else found.routing
    sent = [one.decision for one in commands]
    standing = find_standing(found.routing, sent, at or 0) if is_past else None
    stop = _find_stop(found, routing, (await view.prefix.registry()).current.policy)
    shadow = None if at is not None else await view.prefix.shadowed_account(name, found.at)
    under_shadow = None if shadow is None else explain_shadowed(shadow)
    higher = [one for one in explanation.segments if one.role == "higher"]
    company = await view.prefix.find(partial(find_name_of, account=name))
    tables: list[Table[Any]] = [show_timeline(view, events, view.tell_span(span.begin, span.end))]
    if is_past:
        tables.append(_since(view, compare_tests(explanation, await _explain_now(view, name))))
    return view.respond(
        "account.html",
        title=name,
        tables=tables,
        data={
            **describe_explanation(explanation),
            "version": {"number": found.version, "fingerprint": found.fingerprint},
            "routing": None if routing is None else describe_routing(routing, found.turn),
            "stopped_by": None if stop is None else stop.describe(),
            "routing_then": None if standing is None else standing.describe(),
            "credit": describe_credit(dataset),
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
        credit=tell_credit(dataset),
        entry=entry,
        why=None if entry is None else tell_why(entry, None),
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
        empty="Every test says now what it said then. A row appears for each that does not.",
    )


def _tell_facts(row: ChangedTest) -> str | None:
    told = [f"{one['kind']} of {one['time']} from {one['source']}, id {one['id']}" for one in row.facts]
    return "; ".join(told) or None


def _brief_of(found: AccountView) -> Brief | None:
    """Return the brief; None where the account is still in a segment that the version has no more."""
    if found.account.state.membership.segment not in found.engine.program.numbers:
        return None
    return write_brief(found.engine, found.account, found.at)


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
