"""An explanation on a terminal: the account's segment as a tree, what other segments need, what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from resegment.console.counts import count
from resegment.console.dates import spell_dates
from resegment.console.facts import spell_fields, spell_values
from resegment.segmentation.inspection.descriptions import show_value
from resegment.segmentation.inspection.explanation import Explanation, Need, Node, SegmentStatus

_SIGNS: Final = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
_SHOWN: Final = 3
"""How many facts are shown for one test."""


def render(explanation: Explanation, routing: str | None = None) -> Tree:
    """Render the explanation and the routing of the account. Signs say the same as the colors."""
    tree = Tree(
        Text(explanation.account, style="bold").append(f" at {spell_dates(explanation.at)}", style="dim")
    )
    for status in explanation.segments:
        if status.role == "current":
            _add_current(tree.add(_sign(True, spell_dates(explanation.summary), style="bold")), status)
    if not any(status.role == "current" for status in explanation.segments):
        tree.add(_sign(None, spell_dates(explanation.summary), style="bold"))
    higher = [one for one in explanation.segments if one.role == "higher"]
    if higher:
        above = tree.add(Text("above it", style="dim"))
        for status in higher:
            _add_higher(above, status)
    if explanation.also_qualified:
        tree.add(
            Text("it qualifies for ", style="dim")
            .append(", ".join(explanation.also_qualified))
            .append(", below")
        )
    tree.add(Text("next: ", style="dim").append(spell_values(explanation.outlook)))
    for test, number in sorted(explanation.dropped_by.items(), key=lambda one: (-one[1], one[0])):
        tree.add(
            _sign(None, f"{count(number, 'older fact')} dropped, because the account has too many: {test}")
        )
    if routing is not None:
        tree.add(Text("routing: ", style="dim").append(spell_dates(routing), style="not dim"))
    return tree


def _add_current(branch: Tree, status: SegmentStatus) -> None:
    for held in status.holds:
        branch.add(_line("⏸", "cyan", spell_dates(held.text)))
    if status.condition is not None:
        _add(branch, status.condition)
    if status.exit_when is not None:
        _add(branch.add(Text("exit_when", style="dim")), status.exit_when)


def _add_higher(above: Tree, status: SegmentStatus) -> None:
    name = f"{status.name} (draft: takes no account)" if status.draft else status.name
    branch = above.add(_sign(status.value, name))
    _add_needs(branch, status.needs)
    for held in status.holds:
        branch.add(_line("⏸", "cyan", spell_dates(held.text)))


def _add_needs(branch: Tree, needs: Iterable[Need], word: str = "needs ") -> None:
    """Add all that is needed; where one of several ways is enough, each of them."""
    for need in needs:
        if need.test is not None:
            told = Text(word, style="dim").append(spell_dates(str(need.test)), style="not dim")
            branch.add(_sign(None if need.test.value is None else False, told))
            continue
        ways = branch.add(Text(f"{word}one of these", style="dim"))
        for way in need.one_of:
            _add_needs(
                ways if len(way) == 1 else ways.add(Text("all of these together", style="dim")), way, ""
            )
        if need.more:
            ways.add(Text(f"or {count(need.more, 'more way')}", style="dim"))


def _add(tree: Tree, node: Node) -> None:
    branch = tree.add(_sign(node.value, _describe(node)))
    for part in node.parts:
        _add(branch, part)
    if node.near is not None:
        branch.add(Text(f"near: {spell_dates(node.near)}", style="dim"))
    if node.kind in ("event", "sequence", "open"):
        for fact in node.evidence[:_SHOWN]:
            _add_same(branch.add(_name(fact)), fact)
        more = (node.measured or 0) - len(node.evidence[:_SHOWN])
        if more > 0:
            branch.add(Text(f"and {more} more", style="dim"))
        if node.last is not None:
            branch.add(Text("does not count: ", style="dim").append_text(_name(node.last)))


def _describe(node: Node) -> Text:
    text = Text(node.text)
    if node.kind == "value":
        told = ", ".join(node.unknown) + " unknown" if node.unknown else f"is {show_value(node.measured)}"
        text.append(f"  {told}", style="dim")
        if node.made_of is not None:
            text.append(f"  ({node.made_of})", style="dim")
    if node.kind not in ("all", "any", "not", "segment", "condition", "term") and node.until is not None:
        text.append(f"  until {spell_dates(node.until)}", style="dim")
    return text


def _name(fact: dict[str, Any]) -> Text:
    data = ", ".join(f"{name} = {value}" for name, value in spell_fields(fact.get("data")))
    shown = f" ({data})" if data else ""
    return Text(
        f"{spell_dates(fact['time'])} {fact['kind']}{shown} from {fact['source']}, id {fact['id']}",
        style="dim",
    )


def _add_same(branch: Tree, fact: dict[str, Any]) -> None:
    """Add the facts of other sources that count as one with a fact, and the fields that come from them."""
    for one in fact.get("same", ()):
        fields = [name for name, source in fact.get("from", {}).items() if source == one["source"]]
        gave = f", which gave {', '.join(fields)}" if fields else ""
        branch.add(
            Text(
                f"the same: {spell_dates(one['time'])} from {one['source']}, id {one['id']}{gave}",
                style="dim",
            )
        )


def _sign(value: bool | None, text: str | Text, *, style: str = "") -> Text:
    sign, color = _SIGNS[value]
    return _line(sign, color, text if isinstance(text, Text) else Text(text, style=style))


def _line(sign: str, color: str, text: str | Text) -> Text:
    return Text(f"{sign} ", style=color).append_text(
        text if isinstance(text, Text) else Text(text, style="default")
    )
