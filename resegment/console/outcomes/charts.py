"""Charts of outcomes as SVG without script; the page's style gives their colors. All names are escaped.

Each figure that is drawn stands in a table too: the drawings are hidden from screen readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from resegment.console.outcomes.words import name_metric, nice_top, spell_range, spell_share
from resegment.console.planning.sankey import draw_sankey
from resegment.console.sanitizing import sanitize
from resegment.outcomes.measuring.report import Cycle, Flow, Group, Rate

WIDTH: Final = 760
ROW: Final = 26
LABEL: Final = 190
RIGHT: Final = 150
MAX_LABEL: Final = 24
TALL: Final = 240
COLORS: Final = 8
FUNNEL: Final = ("sent", "reply", "positive_reply", "meeting", "opportunity", "win")


def text(value: str) -> str:
    """Return a text that cannot become markup."""
    return escape(sanitize(value))


def draw_forest(rates: Sequence[tuple[str, Rate]]) -> str:
    """Draw each rate as a dot with Wilson's interval as a bar and the always-valid one as a thin line."""
    held = [(name, one) for name, one in rates if one.n and one.rate is not None]
    if not held:
        return ""
    top = nice_top(
        max(one.interval.high for _, one in held if one.n >= 10 or len(held) == 1)
        if any(one.n >= 10 for _, one in held)
        else 1.0
    )
    tall = ROW * len(held) + 34
    return "\n".join(
        [
            f'<svg class="chart" viewBox="0 0 {WIDTH} {tall}" aria-hidden="true" focusable="false">',
            *_axis(top, ROW * len(held) + 8),
            *(
                part
                for number, (name, one) in enumerate(held)
                for part in _forest_row(name, one, top, ROW * number + ROW / 2 + 2)
            ),
            "</svg>",
        ]
    )


def _place(share: float, top: float) -> float:
    return LABEL + min(1.0, max(0.0, share / top)) * (WIDTH - LABEL - RIGHT)


def _axis(top: float, bottom: float) -> Iterator[str]:
    for step in range(5):
        share = top * step / 4
        x = _place(share, top)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom:.0f}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{bottom + 18:.0f}" text-anchor="middle">{_tick(share)}</text>'


def _tick(share: float) -> str:
    return f"{100 * share:.4g}%"


def _forest_row(name: str, one: Rate, top: float, y: float) -> Iterator[str]:
    share = one.rate or 0.0
    label = f"{name}: {one.k:,} of {one.n:,}, {spell_share(one.rate)}, 95% {spell_range(one.interval)}"
    yield f'<g class="row {one.label}{" all" if name == "all" else ""}"><title>{text(label)}</title>'
    yield f'<text x="{LABEL - 12}" y="{y:.1f}" dy="0.35em" text-anchor="end">{text(_cut(name))}</text>'
    for interval, kind in ((one.always_valid, "always"), (one.interval, "wilson")):
        x0, x1 = _place(interval.low, top), _place(interval.high, top)
        yield f'<line class="{kind}" x1="{x0:.1f}" x2="{x1:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    yield f'<circle cx="{_place(share, top):.1f}" cy="{y:.1f}" r="4.5"/>'
    yield f'<text class="value" x="{WIDTH - RIGHT + 12}" y="{y:.1f}" dy="0.35em">{spell_share(one.rate)} <tspan class="count">{one.k:,}/{one.n:,}</tspan></text></g>'


def draw_funnel(group: Group) -> str:
    """Draw how many touches of a group reached each step, each of those that are old enough for it."""
    steps = [one for metric in FUNNEL for one in group.rates if one.metric == metric and one.n]
    if not steps:
        return ""
    row = 24
    parts = []
    left, wide = 108, 250
    for number, one in enumerate(steps):
        y = row * number + 4
        share = one.rate or 0.0
        parts.append(
            f"<g><title>{text(f'{name_metric(one.metric)}: {one.k:,} of {one.n:,}, 95% {spell_range(one.interval)}')}</title>"
            f'<text x="{left - 8}" y="{y + 9}" dy="0.35em" text-anchor="end">{name_metric(one.metric)}</text>'
            f'<rect class="back" x="{left}" y="{y}" width="{wide}" height="18" rx="2"/>'
            f'<rect class="bar" x="{left}" y="{y}" width="{max(0.5, wide * share):.1f}" height="18" rx="2"/>'
            f'<text class="value" x="{left + wide + 8}" y="{y + 9}" dy="0.35em">{spell_share(share)}</text></g>'
        )
    tall = row * len(steps) + 6
    head = f'<svg class="funnel" viewBox="0 0 420 {tall}" aria-hidden="true" focusable="false">'
    return "\n".join([head, *parts, "</svg>"])


def draw_incidence(cycles: Sequence[tuple[str, Cycle]]) -> str:
    """Draw the share of deals that was won by each day, with its interval, for up to eight groups."""
    held = [(name, one) for name, one in cycles if one.won][:COLORS]
    if not held:
        return ""
    last = max(one.curve[-1].day for _, one in held) or 1.0
    longest = min(last, 730.0)
    top = nice_top(max(point.interval.high for _, one in held for point in one.curve if point.day <= longest))
    left, right, bottom = 52, WIDTH - 12, TALL - 30

    def x(day: float) -> float:
        return left + min(day, longest) / longest * (right - left)

    def y(share: float) -> float:
        return bottom - min(share, top) / top * (bottom - 12)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {TALL}" aria-hidden="true" focusable="false">']
    for step in range(5):
        share, day = top * step / 4, longest * step / 4
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>')
        parts.append(
            f'<text class="tick" x="{left - 8}" y="{y(share):.1f}" dy="0.35em" text-anchor="end">{_tick(share)}</text>'
        )
        parts.append(
            f'<text class="tick" x="{x(day):.1f}" y="{TALL - 8}" text-anchor="{"start" if step == 0 else "end" if step == 4 else "middle"}">day {day:.0f}</text>'
        )
    for number, (name, one) in enumerate(held):
        points = [point for point in one.curve if point.day <= longest]
        upper = _stairs(
            [(x(point.day), y(point.interval.high)) for point in points],
            right=x(min(longest, one.curve[-1].day)),
        )
        lower = _stairs(
            [(x(point.day), y(point.interval.low)) for point in points],
            right=x(min(longest, one.curve[-1].day)),
        )
        line = _stairs(
            [(x(point.day), y(point.won)) for point in points], right=x(min(longest, one.curve[-1].day))
        )
        band = " ".join([*upper, *reversed(lower)])
        parts.append(f'<polygon class="band c{number}" points="{band}"/>')
        parts.append(
            f'<polyline class="line c{number}" points="{" ".join(line)}"><title>{text(name)}</title></polyline>'
        )
    parts.append("</svg>")
    return "\n".join(parts)


def _stairs(points: Sequence[tuple[float, float]], right: float) -> list[str]:
    steps: list[str] = []
    before: float | None = None
    for x, y in points:
        if before is not None:
            steps.append(f"{x:.1f},{before:.1f}")
        steps.append(f"{x:.1f},{y:.1f}")
        before = y
    if before is not None:
        steps.append(f"{right:.1f},{before:.1f}")
    return steps


class _Come(NamedTuple):
    """A flow of touches to the furthest step that they reached."""

    from_: str
    to: str
    accounts: int
    renamed: bool = False


def draw_flows(flows: Sequence[Flow]) -> str:
    """Draw how far the touches of each group have come."""
    return draw_sankey([_Come(one.group, one.stage, one.touches) for one in flows])


def _cut(name: str) -> str:
    return name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1]}…"
