"""Draw flows between segments as a Sankey diagram: SVG without script, whose colors the page's style gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple, Protocol

from resegment.console.sanitizing import sanitize

WIDTH: Final = 760
NODE: Final = 10
"""Width of a node."""
LETTER: Final = 7.3
"""Width of a letter of the names on either side, roughly."""
GAP: Final = 18
SCALE: Final = 260
"""Height of all flows together."""
LEAST: Final = 2.0
"""Height of the smallest flow: one that is there has to be seen."""
MAX_LABEL: Final = 24
COLORS: Final = 8
"""How many colors the page's style has."""


class Flow(Protocol):
    """What goes from one place to another. A flow that is `renamed` is a flow of its own."""

    @property
    def from_(self) -> str: ...
    @property
    def to(self) -> str: ...
    @property
    def accounts(self) -> int: ...
    @property
    def renamed(self) -> bool: ...


class _Node(NamedTuple):
    name: str
    top: float
    height: float
    accounts: int


def draw_sankey(flows: Sequence[Flow]) -> str:
    """Return an SVG of the flows, from the segments on the left to those on the right; empty without flows.

    The caller shows the same numbers in a table: the drawing is hidden from screen readers.
    """
    if not flows:
        return ""
    total = sum(one.accounts for one in flows)
    heights = {(one.from_, one.to, one.renamed): max(LEAST, SCALE * one.accounts / total) for one in flows}
    left = _stack([(one.from_, one.accounts, heights[_key(one)]) for one in flows])
    right = _stack([(one.to, one.accounts, heights[_key(one)]) for one in flows])
    longest = max(len(_cut(name)) for name in (*left, *right))
    label = int(LETTER * (longest + len(f" {total:,}"))) + 10
    tall = max(_bottom(left), _bottom(right)) + GAP
    return "\n".join(
        [
            f'<svg class="sankey" viewBox="0 0 {WIDTH} {tall:.0f}" aria-hidden="true" focusable="false">',
            *_links(flows, heights, (left, right), label + NODE),
            *_nodes(left, label, at_left=True),
            *_nodes(right, WIDTH - label - NODE, at_left=False),
            "</svg>",
        ]
    )


def _key(flow: Flow) -> tuple[str, str, bool]:
    return flow.from_, flow.to, flow.renamed


def _stack(parts: Sequence[tuple[str, int, float]]) -> dict[str, _Node]:
    """Return the nodes of one side, one below the other, the largest first."""
    heights: dict[str, float] = {}
    accounts: dict[str, int] = {}
    for name, number, height in parts:
        heights[name] = heights.get(name, 0.0) + height
        accounts[name] = accounts.get(name, 0) + number
    nodes: dict[str, _Node] = {}
    top = float(GAP)
    for name in sorted(heights, key=lambda one: (-accounts[one], one)):
        nodes[name] = _Node(name, top, heights[name], accounts[name])
        top += max(heights[name], 14.0) + GAP  # room for the label
    return nodes


def _bottom(nodes: dict[str, _Node]) -> float:
    return max(one.top + max(one.height, 14.0) for one in nodes.values())


def _links(
    flows: Sequence[Flow],
    heights: dict[tuple[str, str, bool], float],
    sides: tuple[dict[str, _Node], dict[str, _Node]],
    x0: int,
) -> Iterator[str]:
    left, right = sides
    colors = {name: number % COLORS for number, name in enumerate(left)}
    starts = {name: one.top for name, one in left.items()}
    ends = {name: one.top for name, one in right.items()}
    x1 = WIDTH - x0
    middle = (x0 + x1) / 2
    order = sorted(flows, key=lambda one: (left[one.from_].top, right[one.to].top))
    for flow in order:
        height = heights[_key(flow)]
        y0, y1 = starts[flow.from_] + height / 2, ends[flow.to] + height / 2
        starts[flow.from_] += height
        ends[flow.to] += height
        label = f"{flow.from_} to {flow.to}: {flow.accounts:,}"
        yield (
            f'<path class="flow c{colors[flow.from_]}" stroke-width="{height:.1f}" '
            f'd="M{x0} {y0:.1f}C{middle:.0f} {y0:.1f} {middle:.0f} {y1:.1f} {x1} {y1:.1f}">'
            f"<title>{escape(sanitize(label))}</title></path>"
        )


def _nodes(nodes: dict[str, _Node], x: int, *, at_left: bool) -> Iterator[str]:
    for number, one in enumerate(nodes.values()):
        color = f"c{number % COLORS}" if at_left else "to"
        yield (
            f'<rect class="node {color}" x="{x}" y="{one.top:.1f}" width="{NODE}" height="{one.height:.1f}" rx="1"/>'
        )
        place = x - 8 if at_left else x + NODE + 8
        anchor = "end" if at_left else "start"
        middle = one.top + max(one.height, 14.0) / 2 if one.height >= 14 else one.top + one.height / 2
        yield (
            f'<text x="{place}" y="{middle:.1f}" dy="0.35em" text-anchor="{anchor}">'
            f'{escape(sanitize(_cut(one.name)))} <tspan class="count">{one.accounts:,}</tspan></text>'
        )


def _cut(name: str) -> str:
    return name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1]}…"
