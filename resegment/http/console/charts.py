"""Charts as SVG, made on the server: colors come from the style of the page, and a table has the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

from resegment.console.dates import reader
from resegment.console.planning.sankey import draw_sankey
from resegment.http.console.history import Window
from resegment.segmentation.planning.plan import PlannedFlow

WIDTH: Final = 760
HEIGHT: Final = 180
MINUTE: Final = 60_000
DAY: Final = 86_400_000
_LEFT: Final = 56
_BOTTOM: Final = 22
FIRST_SEEN: Final = "first seen"
ENDED: Final = "merged away"


def draw_sparkline(sizes: Sequence[int]) -> Markup:
    """Return a small line without axes, between zero and the largest size."""
    if not sizes:
        return Markup("")
    width, height = 140, 30
    line = _path(sizes, max(1, *sizes), width, height - 4, 0, 2)
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true" focusable="false">'
        '<path class="area" d="{}L{} {}L0 {}Z"/><path class="line" d="{}"/></svg>'
    ).format(width, height, width, height, line, width, height, height, line)


def draw_line(sizes: Sequence[int], window: Window) -> Markup:
    """Return a line over the time of the window, with axes."""
    if not sizes:
        return Markup("")
    top = _nice(max(1, *sizes))
    line = _path(sizes, top, WIDTH - _LEFT - 8, HEIGHT - _BOTTOM - 10, _LEFT, 10)
    base = HEIGHT - _BOTTOM
    area = Markup('<path class="area" d="{}L{} {}L{} {}Z"/><path class="line" d="{}"/>').format(
        line, WIDTH - 8, base, _LEFT, base, line
    )
    return _framed(area, top, window)


def draw_bars(moves: Sequence[int], first: Sequence[int], window: Window, *, with_first: bool) -> Markup:
    """Return bars of how many accounts moved in each bucket; `with_first` puts those seen first on top."""
    both = [a + (b if with_first else 0) for a, b in zip(moves, first, strict=True)]
    if not both:
        return Markup("")
    top = _nice(max(1, *both))
    step = (WIDTH - _LEFT - 8) / len(both)
    tall = HEIGHT - _BOTTOM - 10
    bars = []
    for place, (start, moved, seen) in enumerate(zip(window.starts, moves, first, strict=True)):
        x, low = _LEFT + place * step, float(HEIGHT - _BOTTOM)
        told = f"{reader().moment(start)}: {moved:,} moved" + (f", {seen:,} first seen" if with_first else "")
        for kind, number in (("moved", moved), ("seen", seen if with_first else 0)):
            height = tall * number / top
            low -= height
            if number:
                bars.append(
                    Markup(
                        '<rect class="bar {}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
                    ).format(
                        kind,
                        f"{x + step * 0.1:.1f}",
                        f"{low:.1f}",
                        f"{step * 0.8:.1f}",
                        f"{height:.1f}",
                        told,
                    )
                )
    return _framed(Markup("").join(bars), top, window)


def draw_flows(flows: Sequence[tuple[str, str, int]], most: int = 24) -> Markup:
    """Return the largest flows between segments as a Sankey diagram."""
    planned = [
        PlannedFlow(from_=from_ or FIRST_SEEN, to=to or ENDED, accounts=number)
        for from_, to, number in flows[:most]
    ]
    return Markup(draw_sankey(planned))  # noqa: S704  # it escapes every name


def _framed(inner: Markup, top: int, window: Window) -> Markup:
    base = HEIGHT - _BOTTOM
    lines = []
    for share in (0, 0.5, 1):
        y = base - (base - 10) * share
        lines.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end" dy="0.35em">{}</text>'
            ).format(_LEFT, WIDTH - 8, f"{y:.1f}", f"{y:.1f}", _LEFT - 8, f"{y:.1f}", _short(top * share))
        )
    first, last = _ends(window)
    ends = Markup('<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text>').format(
        _LEFT, HEIGHT - 5, first, WIDTH - 8, HEIGHT - 5, last
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">{}{}{}</svg>'
    ).format(WIDTH, HEIGHT, Markup("").join(lines), inner, ends)


def _ends(window: Window) -> tuple[str, str]:
    """Return how both ends of the axis are written: as days, with their times where these alone would not tell them apart."""
    first, last = reader().day(window.since), reader().day(window.until)
    if window.until - window.since >= 2 * DAY and first != last:
        return first, last
    return reader().moment(window.since), reader().moment(window.until // MINUTE * MINUTE)


def _path(sizes: Sequence[int], top: float, width: float, height: float, x0: float, y0: float) -> str:
    """Return steps from bucket to bucket: a size holds until the next."""
    step = width / max(1, len(sizes) - 1)
    points = [
        f"{x0 + place * step:.1f} {y0 + height - height * size / top:.1f}" for place, size in enumerate(sizes)
    ]
    if len(points) == 1:
        points.append(f"{x0 + width:.1f} {points[0].split()[1]}")
    return f"M{'L'.join(points)}"


def _nice(top: int) -> int:
    """Return the next number that is easy to read on an axis."""
    power = 1
    while True:
        for factor in (1, 2, 4, 5, 8):
            if factor * power >= top:
                return factor * power
        power *= 10


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if value >= 10_000:
        return f"{value / 1_000:g}k"
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def legend(items: Sequence[tuple[str, str]]) -> Markup:
    """Return what the colors mean: pairs of a class and a name."""
    parts = (Markup('<span class="key {}"></span>{}').format(kind, escape(name)) for kind, name in items)
    return Markup('<p class="legend">{}</p>').format(Markup(" ").join(parts))
