"""Read the sections of a file that have a grammar of their own: traits, named conditions, conditions of segments."""

from __future__ import annotations

from typing import Any

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.events import Firmographic
from resegment.segmentation.language.conditions import Condition, Trait
from resegment.segmentation.language.limits import WORDS
from resegment.segmentation.language.parsing.parser import Grammar

Conditions = dict[tuple[int, str], Condition | None]
"""The conditions of segments, by the segment's number and the key."""


def read_traits(raw: Any, grammar: Grammar, problems: Problems) -> dict[str, Trait | None]:
    """Return the traits; scores last, because their conditions may test any other."""
    traits: dict[str, Trait | None] = {}
    if not isinstance(raw, dict):
        return traits
    scores = [name for name, entry in raw.items() if isinstance(entry, dict) and "score" in entry]
    for name in scores:
        grammar.expect_trait(name, "number")
    for name in sorted(raw, key=lambda name: name in scores):
        entry = raw[name]
        path: Path = ("traits", name)
        if name in WORDS:
            problems.error(
                "reserved-name", f"{name!r} is a reserved word", path, "give the trait another name"
            )
        if name in Firmographic.model_fields:
            problems.error(
                "hidden-attribute",
                f"the trait {name!r} has the name of an attribute",
                path,
                "give the trait another name",
            )
        traits[name] = grammar.read_trait(name, entry, path)
    return {name: traits[name] for name in raw}


def read_named(raw: Any, grammar: Grammar) -> dict[str, Condition | None]:
    """Return the conditions that have a name."""
    return {
        name: grammar.read_condition(entry, ("conditions", name))
        for name, entry in (raw.items() if isinstance(raw, dict) else ())
    }


def read_conditions(raw: Any, grammar: Grammar) -> Conditions:
    """Return what segments have under `when` and `exit_when`."""
    conditions: Conditions = {}
    for index, entry in enumerate(raw if isinstance(raw, list) else ()):
        if not isinstance(entry, dict):
            continue
        path: Path = ("segments", index)
        if "when" in entry:
            conditions[index, "when"] = grammar.read_condition(entry["when"], (*path, "when"))
        hold = entry.get("hold")
        if isinstance(hold, dict) and "exit_when" in hold:
            conditions[index, "exit_when"] = grammar.read_condition(
                hold["exit_when"], (*path, "hold", "exit_when")
            )
    return conditions
