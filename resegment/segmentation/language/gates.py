"""Conditions beside the segments: who is suppressed, and in whose territory an account lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.language.conditions import (
    Aggregate,
    Check,
    Compare,
    Condition,
    Matcher,
    Occurs,
    Some,
    Trait,
    Window,
)
from resegment.segmentation.language.parser import Grammar


@dataclass(frozen=True, slots=True)
class Gate:
    """A named condition that is judged with the segments and takes no account. `traits` are its own."""

    name: str
    condition: Condition
    traits: Mapping[str, Trait] = field(default_factory=dict)


def suppression_gate(name: str) -> str:
    """The gate's name of a suppression."""
    return f"suppress:{name}"


def territory_gate(team: str, member: str) -> str:
    """The gate's name of a member's territory."""
    return f"territory:{team}/{member}"


def _newest_outcome(trait: str, among: tuple[str, ...], is_one_of: tuple[str, ...]) -> tuple[Compare, Trait]:
    """That the newest outcome of some is one of few; the trait's name is none that a file can give."""
    matcher = Matcher("outcome", (("action", (Check("in", among),)),))
    return Compare(trait, (Check("in", is_one_of),)), Aggregate("latest", matcher, Window(), "action")


def _is(attribute: str) -> Compare:
    return Compare(attribute, (Check("eq", True),))


def _ever(kind: Any, action: str) -> Occurs:
    return Occurs(Matcher(kind, (("action", (Check("eq", action),)),)), Window())


def _built_in() -> dict[str, Gate]:
    won, won_trait = _newest_outcome("(customer)", ("won", "renewed", "churned"), ("won", "renewed"))
    opened, opened_trait = _newest_outcome(
        "(opportunity)", ("opportunity_created", "won", "lost"), ("opportunity_created",)
    )
    reached = ("opened", "replied", "positive_reply", "meeting_booked", "meeting_held")
    bounced, bounced_trait = _newest_outcome("(bounced)", ("bounced", *reached), ("bounced",))
    contact = Some(
        (_is("do_not_contact"), _ever("outcome", "unsubscribed"), _ever("engagement", "unsubscribe"))
    )
    conditions: dict[str, tuple[Condition, dict[str, Trait]]] = {
        "customers": (Some((_is("customer"), won)), {won.name: won_trait}),
        "open-opportunities": (opened, {opened.name: opened_trait}),
        "do-not-contact": (contact, {}),
        "bounced": (bounced, {bounced.name: bounced_trait}),
    }
    return {
        name: Gate(suppression_gate(name), condition, traits)
        for name, (condition, traits) in conditions.items()
    }


BUILT_IN: Final[Mapping[str, Gate]] = _built_in()
"""Suppressions that a file takes by their name alone."""


def read_gates(data: dict[str, Any], grammar: Grammar, problems: Problems) -> tuple[Gate, ...]:
    """The gates that a file declares, suppressions first; what has errors is collected and left out."""
    gates: list[Gate] = []
    seen: set[str] = set()
    listed = data.get("suppression")
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        path: Path = ("suppression", index)
        name = entry.get("name") if isinstance(entry, dict) else entry
        if isinstance(name, str):
            if name in seen:
                problems.error(
                    "duplicate-name", f"a second suppression named {name!r}", path, "names are unique"
                )
            seen.add(name)
        if isinstance(entry, str) and entry in BUILT_IN:
            gates.append(BUILT_IN[entry])
        elif isinstance(entry, dict):
            if ("when" in entry) is ("file" in entry):
                problems.error(
                    "wrong-shape", "a suppression has a condition or a file", path, "give it when, or file"
                )
            elif "when" in entry and isinstance(name, str):
                condition = grammar.read_condition(entry["when"], (*path, "when"))
                if condition is not None:
                    gates.append(Gate(suppression_gate(name), condition))
    return (*gates, *_read_territories(data.get("teams"), grammar))


def _read_territories(teams: Any, grammar: Grammar) -> list[Gate]:
    gates: list[Gate] = []
    for team, entry in teams.items() if isinstance(teams, dict) else ():
        members = entry.get("members") if isinstance(entry, dict) else None
        for index, member in enumerate(members if isinstance(members, list) else ()):
            if isinstance(member, dict) and member.get("territory") is not None:
                path: Path = ("teams", team, "members", index, "territory")
                condition = grammar.read_condition(member["territory"], path)
                if condition is not None and isinstance(member.get("name"), str):
                    gates.append(Gate(territory_gate(team, member["name"]), condition))
    return gates
