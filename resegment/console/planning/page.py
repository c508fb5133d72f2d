"""A plan as one HTML file: no script, nothing from elsewhere, dark and light, readable on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from resegment.console.dates import spell_dates
from resegment.console.planning.sankey import draw_sankey
from resegment.console.planning.words import (
    describe_difference,
    headline,
    list_findings,
    name_route,
    name_size,
    notes,
    subtitle,
    tell_commands,
    tell_route,
)
from resegment.console.sanitizing import sanitize
from resegment.segmentation.planning.plan import Plan

MAX_MOVES: Final = 2_000
"""How many accounts are listed by name."""

Cell = str | int


def render_html(plan: Plan) -> str:
    """Return the page. Names and texts of files can't become markup."""
    title = f"Plan {plan.hash}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{_text(title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_body(plan),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def render_part(plan: Plan) -> str:
    """Return what a plan says as a part of another page, whose style sheet it needs. Names and texts can't become markup."""
    return "\n".join(_body(plan))


def _body(plan: Plan) -> Iterator[str]:
    yield f'<header><p class="eyebrow">Plan <code>{_text(plan.hash)}</code></p>'
    yield f"<h1>{_text(headline(plan))}</h1>"
    yield f'<p class="muted">{_text(_sentence(subtitle(plan)))} {_text(_sentence(f"This plan: {tell_route(plan.route)}"))}</p>'
    yield "</header>"
    for warning in plan.warnings:
        yield f'<p class="warning" role="note"><strong>Warning.</strong> {_text(warning)}</p>'
    yield from _differences(plan)
    if plan.changes == "segments":
        yield from _section(
            "Accounts by segment",
            ("segment", "before", "after", "difference"),
            [(name_size(one), one.before, one.after, _Signed(one.after - one.before)) for one in plan.sizes],
        )
    yield from _flows(plan)
    yield from _samples(plan)
    yield from _section(
        "Suppressions and territories",
        ("name", "before", "after"),
        [(one.name, one.before, one.after) for one in plan.gates if one.before != one.after],
        note="Accounts for which they hold.",
    )
    names = ("start", "stop", "finish", "pause")
    yield from _section(
        "Enrollments by --route",
        ("route", *names),
        [(one.route, *(tell_commands(one).get(name, "0") for name in names)) for one in plan.enrollments],
        note=f"This plan has --route {name_route(plan.route)}.",
    )
    for one in list_findings(plan):
        yield from _section(one.title, one.columns, one.rows, note=one.note)
    for note in notes(plan):
        yield f"<p>{_text(note)}</p>"
    yield from _moves(plan)


class _Signed(int):
    """A number that is shown with its sign."""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _text(text: str) -> str:
    return escape(sanitize(text))


def _differences(plan: Plan) -> Iterator[str]:
    changed = [one for one in plan.differences if one.what != ("unchanged",)]
    if not changed:
        return
    yield '<section><h2>What differs</h2><ul class="differences">'
    for one in changed:
        yield (
            f'<li><span class="muted">{_text(one.part)}</span> <strong>{_text(one.name)}</strong>: '
            f"{_text(describe_difference(one))}"
        )
        for words in one.words:
            yield f'<div class="words">{_text(words)}</div>'
        if one.before != one.after and None not in (one.before, one.after):
            if one.before is not None:
                yield f"<del>{_text(one.before)}</del>"
            if one.after is not None:
                yield f"<ins>{_text(one.after)}</ins>"
        yield "</li>"
    same = len(plan.differences) - len(changed)
    yield f"</ul>{f'<p class=muted>{same} unchanged.</p>' if same else ''}</section>"


def _flows(plan: Plan) -> Iterator[str]:
    rows = [(one.from_, one.to, one.accounts, "only the name" if one.renamed else "") for one in plan.flows]
    yield from _section("Moves", ("from", "to", "accounts", ""), rows, before=draw_sankey(plan.flows))


def _samples(plan: Plan) -> Iterator[str]:
    flows = [one for one in plan.flows if one.samples]
    if not flows:
        return
    yield "<section><h2>Why, for some of them</h2>"
    for number, flow in enumerate(flows):
        opened = " open" if number < 2 else ""
        yield f"<details{opened}><summary>{_text(flow.from_)} to {_text(flow.to)}</summary><dl>"
        for one in flow.samples:
            yield f"<dt>{_text(one.account)}</dt>"
            yield f'<dd><span class="muted">before</span> {_text(spell_dates(one.before))}</dd>'
            yield f'<dd><span class="muted">after</span> {_text(spell_dates(one.after))}</dd>'
        yield "</dl></details>"
    yield "</section>"


def _moves(plan: Plan) -> Iterator[str]:
    if not plan.moves:
        return
    shown = plan.moves[:MAX_MOVES]
    hidden = len(plan.moves) - len(shown)
    yield f"<section><details><summary>All {len(plan.moves):,} moves by account</summary>"
    yield from _table(("account", "from", "to"), [(one.account, one.from_, one.to) for one in shown])
    if hidden:
        yield f'<p class="muted">and {hidden:,} more: `resegment plan --json` lists them all.</p>'
    yield "</details></section>"


def _section(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, note: str = "", before: str = ""
) -> Iterator[str]:
    if not rows:
        return
    yield f"<section><h2>{_text(title)}</h2>"
    if note:
        yield f'<p class="muted">{_text(note)}</p>'
    if before:
        yield f'<div class="wide" tabindex="0">{before}</div>'
    yield from _table(columns, rows)
    yield "</section>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    numeric = [all(isinstance(row[place], int) for row in rows) for place in range(len(columns))]
    yield '<div class="wide" tabindex="0"><table><thead><tr>'
    yield "".join(
        f'<th scope="col"{_align(right=right)}>{_text(name)}</th>'
        for name, right in zip(columns, numeric, strict=True)
    )
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(_cells(row, numeric))}</tr>"
    yield "</tbody></table></div>"


def _cells(row: Sequence[Cell], numeric: Iterable[bool]) -> Iterator[str]:
    for value, right in zip(row, numeric, strict=True):
        if isinstance(value, _Signed):
            sign = "up" if value > 0 else "down" if value < 0 else ""
            yield f'<td class="number {sign}">{f"{int(value):+,}" if value else "0"}</td>'
        elif isinstance(value, int):
            yield f"<td{_align(right=right)}>{value:,}</td>"
        else:
            yield f"<td{_align(right=right)}>{_text(value)}</td>"


def _align(*, right: bool) -> str:
    return ' class="number"' if right else ""


_STYLE: Final = """
:root { color-scheme: light dark; --text: #1c1d21; --muted: #5d6270; --page: #fff; --line: #dcdfe6; --panel: #f5f6f9;
  --up: #12703c; --down: #b3261e; --warn: #7a4b00; --warn-page: #fff4dc; --to: #7d8496; }
@media (prefers-color-scheme: dark) { :root { --text: #e9eaee; --muted: #a2a8b8; --page: #15171c; --line: #333843;
  --panel: #1e2128; --up: #6fd39a; --down: #ff9c92; --warn: #ffd48a; --warn-page: #33270d; --to: #9aa1b3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.25rem 0 0.5rem; }
h2 { font-size: 1.1rem; margin: 0 0 0.5rem; }
section { margin-top: 2rem; }
.eyebrow { margin: 0; color: var(--muted); }
.muted { color: var(--muted); }
p { margin: 0.5rem 0; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.9em; }
.warning { background: var(--warn-page); color: var(--warn); border-radius: 6px; padding: 0.6rem 0.8rem; }
.wide { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; width: 100%; font-size: 0.95rem; }
th, td { text-align: left; padding: 0.35rem 0.75rem 0.35rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: normal; }
th { color: var(--muted); font-weight: 600; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.up { color: var(--up); } .down { color: var(--down); }
.differences { list-style: none; margin: 0; padding: 0; }
.differences li { padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
.words { padding-left: 1.25rem; }
del, ins { display: block; text-decoration: none; margin-top: 0.25rem; padding-left: 1.25rem; text-indent: -1.25rem;
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.88rem; }
del { color: var(--down); } del::before { content: "\\2212  "; }
ins { color: var(--up); } ins::before { content: "+  "; }
details { border: 1px solid var(--line); border-radius: 6px; padding: 0.5rem 0.8rem; margin-bottom: 0.5rem; }
summary { cursor: pointer; font-weight: 600; }
dt { font-weight: 600; margin-top: 0.75rem; } dd { margin: 0.1rem 0 0 1rem; }
dd .muted { display: inline-block; min-width: 3.5rem; }
blockquote { margin: 0.5rem 0; padding-left: 0.8rem; border-left: 3px solid var(--line); }
.sankey { display: block; width: 100%; min-width: 34rem; max-height: 40rem; margin-bottom: 0.75rem; }
.sankey text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--text); }
.sankey .count { fill: var(--muted); }
.flow { fill: none; stroke-opacity: 0.42; } .flow:hover { stroke-opacity: 0.75; } .node.to { fill: var(--to); }
.flow.c0 { stroke: #4269d0; } .node.c0 { fill: #4269d0; } .flow.c1 { stroke: #c98a12; } .node.c1 { fill: #c98a12; }
.flow.c2 { stroke: #d9483b; } .node.c2 { fill: #d9483b; } .flow.c3 { stroke: #3a9e8f; } .node.c3 { fill: #3a9e8f; }
.flow.c4 { stroke: #3c9a4b; } .node.c4 { fill: #3c9a4b; } .flow.c5 { stroke: #c75b9b; } .node.c5 { fill: #c75b9b; }
.flow.c6 { stroke: #8f5fc4; } .node.c6 { fill: #8f5fc4; } .flow.c7 { stroke: #8a6d4d; } .node.c7 { fill: #8a6d4d; }
@media print { details > * { display: block; } }
"""
