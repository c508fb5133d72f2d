"""Conditions beside the segments: who is suppressed, and in whose territory an account lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.fact import Kind
from resegment.schemas.segments import BuiltIn
from resegment.schemas.vocabulary import OPT_OUTS, RESUBSCRIPTIONS
from resegment.segmentation.language.conditions import (
    AtLeastOne,
    Check,
    Checks,
    Compare,
    Condition,
    Matcher,
    Newest,
    Some,
)
from resegment.segmentation.language.parsing.parser import Grammar
from resegment.segmentation.language.parsing.raw_document import territories


@dataclass(frozen=True, slots=True)
class Gate:
    """A named condition that is judged with the segments and takes no account. `traits` are its own."""

    name: str
    condition: Condition
    traits: Mapping[str, Newest] = field(default_factory=dict)


def suppression_gate(name: str) -> str:
    """Return the gate's name of a suppression."""
    return f"suppress:{name}"


def territory_gate(team: str, member: str) -> str:
    """Return the gate's name of a member's territory."""
    return f"territory:{team}/{member}"


_REACHED: Final = ("opened", "replied", "positive_reply", "meeting_booked", "meeting_held")
"""Outcomes that show that mail arrives again."""


def _action(kind: Kind, actions: tuple[str, ...], person: bool | None = None) -> Matcher:
    """Return the facts with one of some actions; `person` asks for those with or without a person."""
    where: list[tuple[str, Checks]] = [("action", (Check("in", actions),))]
    if person is not None:
        where.append(("person", (Check("exists", person),)))
    return Matcher(kind, tuple(where))


# Each meaning has a matcher of its own: where an account has too many facts, those of the largest series are dropped.


def _consent(*, person: bool) -> tuple[Matcher, ...]:
    kinds: tuple[Kind, ...] = ("outcome", "engagement")
    return tuple(_action(kind, actions, person) for kind in kinds for actions in (OPT_OUTS, RESUBSCRIPTIONS))


def _deals(*actions: str) -> tuple[Matcher, ...]:
    return tuple(_action("outcome", (action,)) for action in actions)


_OPTED_OUT: Final = Newest(_consent(person=False), OPT_OUTS)
_PERSONS_OPTED_OUT: Final = Newest(_consent(person=True), OPT_OUTS, by="person", folded=True)
_BOUNCED: Final = Newest(
    (_action("outcome", ("bounced",), False), _action("outcome", _REACHED)), ("bounced",)
)
_PERSONS_BOUNCED: Final = Newest(
    tuple(_action("outcome", actions, True) for actions in (("bounced",), _REACHED, RESUBSCRIPTIONS)),
    ("bounced",),
    by="person",
    folded=True,
)
_CUSTOMER: Final = Newest(_deals("won", "renewed", "churned"), ("won", "renewed"), by="deal")
_OPPORTUNITY: Final = Newest(
    _deals("opportunity_created", "won", "lost"), ("opportunity_created",), by="deal"
)

DEALS: Final = "(opportunity)"
"""The measure of the deals that are open."""

PARENT: Final = "parent"
"""The attribute that names an account's parent."""

PERSONS: Final = (_PERSONS_OPTED_OUT, _PERSONS_BOUNCED)
"""The persons not to contact: those who opted out, and those whose mail bounces."""

LOST: Final = Newest(_deals("lost"), ("lost",))
"""The newest lost deal."""


def _is(attribute: str) -> Condition:
    """Return the test that an attribute is true, or a text that means it."""
    return Some(
        (
            Compare(attribute, (Check("eq", True),)),
            Compare(attribute, (Check("matches", r"(?i)^\s*(true|yes)\s*$"),)),
        )
    )


def built_in_gate(name: str, *, by_person: bool = False) -> Gate:
    """Return the gate of a built-in suppression. `by_person` lets one person suppress the account."""
    attributes: tuple[Condition, ...] = ()
    match name:
        case "customers":
            attributes, measured = (_is("customer"),), {"(customer)": _CUSTOMER}
        case "open-opportunities":
            measured = {DEALS: _OPPORTUNITY}
        case "do-not-contact":
            attributes, measured = (_is("do_not_contact"),), {"(opted out)": _OPTED_OUT}
            if by_person:
                measured["(persons opted out)"] = _PERSONS_OPTED_OUT
        case _:
            measured = {"(bounced)": _BOUNCED}
            if by_person:
                measured["(persons bounced)"] = _PERSONS_BOUNCED
    tests = (*attributes, *(Compare(trait, AtLeastOne) for trait in measured))
    return Gate(suppression_gate(name), tests[0] if len(tests) == 1 else Some(tests), measured)


BUILT_IN: Final[Mapping[str, Gate]] = {name: built_in_gate(name) for name in get_args(BuiltIn)}
"""Suppressions that a file takes by their name alone."""


def read_gates(data: dict[str, Any], grammar: Grammar, problems: Problems) -> tuple[Gate, ...]:
    """Return the gates that a file declares, suppressions first; what has errors is collected and left out."""
    gates: list[Gate] = []
    seen: set[str] = set()
    listed = data.get("suppression")
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        path: Path = ("suppression", index)
        name = name_of(entry)
        if isinstance(name, str):
            if name in seen:
                problems.error(
                    "duplicate-name", f"two suppressions are named {name!r}", path, "use different names"
                )
            seen.add(name)
        if name in BUILT_IN and not (isinstance(entry, dict) and "name" in entry):
            options = entry.get(name) if isinstance(entry, dict) else None
            persons = options.get("persons") if isinstance(options, dict) else None
            gates.append(built_in_gate(name, by_person=persons == "account"))
        elif isinstance(entry, dict):
            if ("when" in entry) is ("file" in entry):
                problems.error(
                    "wrong-shape", "a suppression needs either when or file", path, "write one of the two"
                )
            elif "when" in entry and isinstance(name, str):
                condition = grammar.read_condition(entry["when"], (*path, "when"))
                if condition is not None:
                    gates.append(Gate(suppression_gate(name), condition))
    for team, member, path in territories(data):
        condition = grammar.read_condition(member["territory"], path)
        if condition is not None and isinstance(member.get("name"), str):
            gates.append(Gate(territory_gate(team, member["name"]), condition))
    return tuple(gates)


def name_of(entry: Any) -> Any:
    """Return the name of a suppression as the file writes it: a text, a map with a name, or a built-in with options."""
    if not isinstance(entry, dict) or "name" in entry:
        return entry.get("name") if isinstance(entry, dict) else entry
    return next((name for name in BUILT_IN if name in entry), None)
