"""Explain one account of a flow by both versions, in a sentence or two each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.inspection.descriptions import show_value
from resegment.segmentation.inspection.explain import explain, explain_absence
from resegment.segmentation.inspection.explanation import Explanation, Node, SegmentStatus
from resegment.segmentation.planning.plan import Sample

MAX_TESTS: Final = 4
"""How many tests a sentence names."""


def explain_sample(
    old: Engine,
    new: Engine,
    accounts: tuple[Account, Account],
    at: int,
    places: tuple[str, str],
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> Sample:
    """Explain an account that is in `places[0]` by the old version and in `places[1]` by the new one.

    `accounts` are the account as each version has it at `at`. `renamed` has new names of segments, by the old ones.
    """
    from_, to = places
    back = {name: one for one, name in renamed.items()}
    before = explain(old, accounts[0], at, ahead=False)
    after = explain(new, accounts[1], at, ahead=False)
    return Sample(
        account=accounts[0].name,
        before=_tell(before, from_, back.get(to, to)),
        after=_tell(after, to, renamed.get(from_, from_)),
    )


def _tell(explanation: Explanation, here: str, other: str) -> str:
    """Return why the account is in `here`, and why it is not in `other`, by one version."""
    return f"{_tell_presence(explanation, here)}; {_tell_absence(explanation, other)}"


def _tell_presence(explanation: Explanation, name: str) -> str:
    status = next((one for one in explanation.segments if one.name == name), None)
    if status is None or explanation.segment != name:
        return explanation.summary
    if status.condition is None:
        return f"{name}, because it qualifies for no segment above"
    if status.value is not True:
        held = next((one.text for one in status.holds if one.by != "cooldown"), None)
        return f"{name}, {held}" if held else name
    tests = list(dict.fromkeys(_true_tests(status.condition)))
    more = f" and {len(tests) - MAX_TESTS} more" if len(tests) > MAX_TESTS else ""
    return f"{name}, because {', '.join(tests[:MAX_TESTS])}{more}"


def _tell_absence(explanation: Explanation, name: str) -> str:
    try:
        text = explain_absence(explanation, name)
    except KeyError:
        return f"there is no {name}"
    status = _status(explanation, name)
    if status.condition is None:  # the fallback needs nothing
        return f"{name} is only for accounts that qualify for nothing else"
    return text


def _status(explanation: Explanation, name: str) -> SegmentStatus:
    return next(one for one in explanation.segments if one.name == name)


def _true_tests(node: Node) -> Iterator[str]:
    """Yield the tests that make a condition true, with what they measure."""
    if node.kind == "all":
        for part in node.parts:
            yield from _true_tests(part)
    elif node.kind == "any":
        for part in node.parts:
            if part.value is True:
                yield from _true_tests(part)
                return
    elif node.kind == "not":
        yield f"not {' and '.join(part.text for part in node.parts)}"
    elif node.kind == "value":
        yield f"{node.text} (is {show_value(node.measured)})"
    elif node.kind in ("event", "open", "sequence") and node.measured:
        yield f"{node.text} (found {node.measured})"
    else:
        yield node.text
