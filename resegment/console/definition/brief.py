"""A brief on a terminal: what a rep reads before writing or calling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_dates
from resegment.console.facts import spell_values
from resegment.segmentation.inspection.briefs import OPEN_DEALS, Brief, Cadence, Contact


def render(brief: Brief) -> Group:
    """Render the brief, in the order in which a rep needs it."""
    return Group(*_parts(brief))


def _parts(brief: Brief) -> Iterator[RenderableType]:
    title = Text(brief.account, style="bold")
    if brief.name:
        title.append(f"  {brief.name}", style="default")
    yield title
    yield Text(f"in {brief.segment} since {spell_dates(brief.since[:10])}", style="dim")
    yield from _restrictions(brief)
    if brief.do_not_contact:
        yield Text("Do not contact: ", style="bold red").append(", ".join(brief.do_not_contact))
    yield Text()
    if brief.hypothesis:
        yield from _section("Why we think so", [brief.hypothesis])
    yield from _section("Why now", [one.text for one in brief.why_now])
    if brief.play is None:
        yield Text("No play: the segment has none.", style="yellow")
        yield Text()
    else:
        yield from _message(brief)
    yield _facts(brief)
    for problem in brief.problems:
        yield Text("left out: ", style="yellow").append(problem, style="default")


def _restrictions(brief: Brief) -> Iterator[Text]:
    """Yield who may do what: an open deal is somebody's to work, but nobody prospects there."""
    others = [one for one in brief.suppressed_by if one not in (OPEN_DEALS, "customers")]
    if others:
        yield Text("Do not contact: suppressed by ", style="bold red").append(", ".join(others))
    if OPEN_DEALS in brief.suppressed_by:
        since = f" since {spell_dates(brief.open_deals[0].since[:10])}" if brief.open_deals else ""
        text = Text(f"Deal open{since}", style="bold yellow")
        names = ", ".join(one.deal for one in brief.open_deals if one.deal)
        yield text.append(
            f"{f' ({names})' if names else ''}: don't prospect; here is what we know", style="not bold"
        )
    if "customers" in brief.suppressed_by:
        yield Text("A customer", style="bold yellow").append(": don't prospect", style="not bold")


def _message(brief: Brief) -> Iterator[RenderableType]:
    yield from _section("Pain", [brief.pain or ""])
    yield from _section("Value", [brief.value or ""])
    yield from _section("Proof", brief.proof_points)
    if brief.cta:
        yield from _section("Ask for", [brief.cta])
    if brief.objections:
        yield Text("If they say", style="bold cyan")
        for one in brief.objections:
            yield Padding(Text(f"“{one.objection}”", style="italic"), (0, 0, 0, 2))
            if one.response:
                yield Padding(Text(one.response), (0, 0, 0, 4))
        yield Text()
    if brief.personas:
        yield Text("Talk to", style="bold cyan")
        for contact in brief.personas:
            yield Padding(_contact(contact), (0, 0, 0, 2))
            if contact.message:
                yield Padding(Text(f"“{contact.message}”", style="italic"), (0, 0, 0, 4))
        yield Text()


def _section(title: str, lines: Sequence[str]) -> Iterator[RenderableType]:
    if not lines:
        return
    yield Text(title, style="bold cyan")
    for line in lines:
        mark = "• " if len(lines) > 1 else ""
        yield Padding(Text(f"{mark}{line}"), (0, 0, 0, 2))
    yield Text()


def _contact(contact: Contact) -> Text:
    text = Text(", ".join(contact.titles) or contact.name or "anyone", style="bold")
    if contact.cares_about:
        text.append(f"  cares about: {'; '.join(contact.cares_about)}", style="not bold default")
    return text


def _facts(brief: Brief) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    rows = {
        "play": brief.play,
        "channels": None if brief.channels is None else _cadence(brief.channels),
        "assets": ", ".join(brief.assets),
        "workflow": brief.workflow,
        "team": brief.team,
        "qualification": brief.qualification,
        "next": spell_values(brief.next.text) if brief.next is not None else "no change is due",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(value))
    return table


def _cadence(channels: Cadence) -> str:
    text = channels.primary
    if channels.secondary:
        text += f", then {' and '.join(channels.secondary)}"
    if channels.touches:
        text += f": {channels.touches} {'touch' if channels.touches == 1 else 'touches'}"
    return f"{text} over {channels.over}" if channels.over else text
