"""A plan in Markdown, for the comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from resegment.console.dates import spell_dates
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
from resegment.console.sanitizing import escape_line
from resegment.segmentation.planning.plan import Plan

MAX_ROWS: Final = 50
MAX_SAMPLED: Final = 10
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
_LINKS: Final = re.compile(r"(@|#|://|www\.)")
"""What GitHub makes links and mentions of."""


def render_markdown(plan: Plan) -> str:
    """Return the plan as Markdown. Names and texts of files can't become markup."""
    return "\n".join(_lines(plan)) + "\n"


def _difference(accounts: int) -> str:
    return f"{accounts:+,}" if accounts else "0"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"### Plan `{plan.hash}`"
    yield ""
    yield f"**{escape(headline(plan))}** {escape(_sentence(subtitle(plan)))}"
    for warning in plan.warnings:
        yield ""
        yield f"> **Warning:** {escape(warning)}"
    yield from _differences(plan)
    if plan.changes == "segments":
        yield from _table(
            "Accounts by segment",
            ("segment", "before", "after", "difference"),
            [
                (name_size(one), one.before, one.after, _difference(one.after - one.before))
                for one in plan.sizes
            ],
        )
    flows = [(one.from_, one.to, one.accounts, "only the name" if one.renamed else "") for one in plan.flows]
    yield from _table("Moves", ("from", "to", "accounts", ""), flows)
    yield from _samples(plan)
    yield from _table(
        "Suppressions and territories",
        ("name", "before", "after"),
        [(one.name, one.before, one.after) for one in plan.gates if one.before != one.after],
    )
    names = ("start", "stop", "finish", "pause")
    rows = [(one.route, *(tell_commands(one).get(name, "0") for name in names)) for one in plan.enrollments]
    yield from _table("Enrollments by `--route`", ("route", *names), rows)
    if rows:
        yield ""
        yield f"This plan (`--route {escape(name_route(plan.route))}`): {escape(tell_route(plan.route))}."
    for one in list_findings(plan):
        yield from _table(one.title, one.columns, one.rows)
    for note in notes(plan):
        yield ""
        yield escape(note)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _differences(plan: Plan) -> Iterator[str]:
    changed = [one for one in plan.differences if one.what != ("unchanged",)]
    if not changed:
        return
    yield ""
    yield "#### What differs"
    yield ""
    for one in changed:
        yield f"- {escape(one.part)} **{escape(one.name)}**: {escape(describe_difference(one))}"
        for words in one.words:
            yield f"  - {escape(words)}"


def _samples(plan: Plan) -> Iterator[str]:
    flows = [one for one in plan.flows if one.samples][:MAX_SAMPLED]
    if not flows:
        return
    yield ""
    yield "<details><summary>Why, for some of them</summary>"
    for flow in flows:
        yield ""
        yield f"**{escape(flow.from_)} to {escape(flow.to)}**"
        yield ""
        for one in flow.samples:
            yield f"- {escape(one.account)}"
            yield f"  - before: {escape(spell_dates(one.before))}"
            yield f"  - after: {escape(spell_dates(one.after))}"
    yield ""
    yield "</details>"


def _table(title: str, columns: Sequence[str], rows: Sequence[Iterable[object]]) -> Iterator[str]:
    if not rows:
        return
    shown = [tuple(one) for one in rows[:MAX_ROWS]]
    numeric = [
        all(isinstance(one[place], int) for one in shown) or name == "difference"
        for place, name in enumerate(columns)
    ]
    yield ""
    yield f"#### {title}"
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---:' if one else '---' for one in numeric)} |"
    for row in shown:
        yield f"| {' | '.join(_cell(one) for one in row)} |"
    if len(rows) > MAX_ROWS:
        yield ""
        yield f"and {len(rows) - MAX_ROWS:,} more"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def escape(text: str) -> str:
    """Return the text on one line, with everything that Markdown or HTML could read as markup escaped."""
    plain = _LINKS.sub(lambda match: f"{match[0]}\N{ZERO WIDTH SPACE}", escape_line(text))
    return _SPECIAL.sub(r"\\\1", plain)
