"""Write what was learned as a score that a segments file takes, and set it beside the scores in force."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from resegment.outcomes.learning.candidates import write_test
from resegment.outcomes.learning.learning import Learned
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.language.conditions import Score
from resegment.segmentation.language.parsing.raw_document import conditions, tests


class Compared(msgspec.Struct, frozen=True):
    """A term with its points in a score in force and in the learned one; None where it is not one of its terms."""

    text: str
    in_force: float | None
    learned: int | None


def make_score(learned: Learned) -> dict[str, Any]:
    """Return the trait."""
    return {"score": [{"when": one.when, "points": one.points} for one in learned.terms]}


def write_score(learned: Learned, name: str) -> str:
    """Return the trait as YAML, to be put into a segments file."""
    lines = [f"  {write_test(name)}:", "    score:"]
    lines += [f"      - {write_test(one)}" for one in make_score(learned)["score"]]
    return "\n".join(["traits:", *lines, ""])


def put_in(definition: Definition, learned: Learned, name: str) -> Definition:
    """Return the definition with the score in it, in the place of one of that name. Raises InvalidSegments."""
    data = definition.document.data
    whole = {
        **{key: value for key, value in data.items() if key != "include"},
        "traits": {**(data.get("traits") or {}), name: make_score(learned)},
    }
    lists = dict(definition.content.lists)
    return read_definition([("learned.json", orjson.dumps(whole))], lambda path: lists[path])


def find_users(definition: Definition, name: str) -> tuple[str, ...]:
    """Return the tests of a score in the file: their thresholds were set for the points in force."""
    found = dict.fromkeys(
        write_test({one.name: one.operand})
        for raw, path in conditions(definition.document.data)
        for one in tests(raw, path)
        if one.test == "value" and one.name == name
    )
    return tuple(found)


def compare_scores(definition: Definition, learned: Learned, name: str) -> tuple[Compared, ...]:
    """Return the terms of the score of that name, if the file has one, and of the learned one."""
    trait = definition.traits.get(name)
    old: dict[str, float] = {}
    if isinstance(trait, Score):
        for term in definition.document.data["traits"][name]["score"]:
            text = write_test(term["when"])
            old[text] = old.get(text, 0) + term["points"]
    new = {one.text: one.points for one in learned.terms}
    texts = dict.fromkeys([*new, *old])
    return tuple(Compared(text, old.get(text), new.get(text)) for text in texts)
