"""Compare an account at two instants, test by test: what held then and does not now, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from resegment.segmentation.inspection.explanation import Explanation, Node


class ChangedTest(NamedTuple):
    """A test that says something else now; None is unknown. `facts` are those that it rested on when it held."""

    test: str
    then: bool | None
    now: bool | None
    facts: tuple[dict[str, Any], ...]
    segments: tuple[str, ...]
    """The segments whose conditions have the test, by the version of then."""


def compare_tests(then: Explanation, now: Explanation) -> list[ChangedTest]:
    """Return the tests that both explanations have and that say something else; each once, in the order of the segments."""
    present = {node.text: node for node, _ in _tests(now)}
    found: dict[str, ChangedTest] = {}
    for node, segment in _tests(then):
        other = present.get(node.text)
        if other is None or other.value is node.value:
            continue
        known = found.get(node.text)
        segments = (segment,) if known is None else tuple(dict.fromkeys((*known.segments, segment)))
        facts = node.evidence if node.value else other.evidence
        found[node.text] = ChangedTest(node.text, node.value, other.value, facts, segments)
    return list(found.values())


def _tests(explanation: Explanation) -> Iterator[tuple[Node, str]]:
    for segment in explanation.segments:
        for root in (segment.condition, segment.exit_when):
            if root is not None:
                for node in _leaves(root):
                    yield node, segment.name


def _leaves(node: Node) -> Iterator[Node]:
    if node.kind in ("event", "sequence", "open", "value", "segment"):
        yield node
    for part in node.parts:
        if part.kind != "term":
            yield from _leaves(part)
