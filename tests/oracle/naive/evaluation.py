"""The values of attributes and traits, and the truth of conditions, which speak of each other."""

import math
from collections.abc import Iterator
from typing import Any

from . import dates
from .decay import decay_terms, decayed
from .facts import Condition, Fact, Moment, Truth, duration
from .lists import account_of
from .matching import attribute, is_fresh, matching, number_open, passes_sequence
from .operators import every, identity, is_number, negation, passes, some

PARTS_OF_A_TEST = {"event", "sequence", "open"} | {
    "where",
    "within",
    "ago",
    "count",
    "gap",
    "by",
    "order",
    "not_followed_by",
}


# ---------------------------------------------------------------- traits


def total(values: list[Any]) -> Any:
    return sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)


def ratio(moment: Moment, names: list[str]) -> Any:
    above, below = (value_of(moment, name) for name in names)
    return above / below if is_number(above) and is_number(below) and below != 0 else None


def growth(moment: Moment, trait: dict[str, Any]) -> Any:
    now = attribute(moment.facts, trait["growth"], moment.at)
    then = attribute(moment.facts, trait["growth"], moment.at - duration(trait["over"]))
    return (now - then) / abs(then) if is_number(now) and is_number(then) and then != 0 else None


def points(truth: Truth, worth: Any) -> Any:
    """What a term of a score gives: nothing unless it is true."""
    return worth if truth is True else 0


def score(moment: Moment, terms: list[dict[str, Any]]) -> Any:
    return total([points(holds(moment, term["when"]), term["points"]) for term in terms])


def own_time(name: str, facts: list[Fact]) -> str | None:
    """When the first or the last of these facts happened."""
    times = [fact.time for fact in facts]
    if not times:
        return None
    return dates.spelled(max(times) if name == "latest" else min(times))


def trait_value(moment: Moment, trait: dict[str, Any]) -> Any:
    if "ratio" in trait:
        return ratio(moment, trait["ratio"])
    if "growth" in trait:
        return growth(moment, trait)
    if "score" in trait:
        return score(moment, trait["score"])
    if "open" in trait:
        return number_open(moment, trait)
    if "decay" in trait:
        return decayed(decay_terms(moment, trait), duration(trait["half_life"]), moment.at)
    (name,) = {"count", "sum", "distinct", "min", "max", "avg", "latest", "earliest"} & set(trait)
    facts = matching(moment, trait[name], trait)
    if name == "count":
        return len(facts)
    if name in {"latest", "earliest"} and trait["field"] == "time":
        return own_time(name, facts)
    return summary(name, [fact.data.get(trait["field"]) for fact in facts])


def summary(name: str, values: list[Any]) -> Any:
    """What a trait makes of the values of its field, which come in the order of (time, id, source)."""
    present = [value for value in values if value is not None]
    numeric = [value for value in present if is_number(value)]
    match name:
        case "sum":
            return total(numeric)
        case "distinct":
            return len({identity(value) for value in present})
        case "min":
            return min(numeric, default=None)
        case "max":
            return max(numeric, default=None)
        case "avg":
            return total(numeric) / len(numeric) if numeric else None
        case "latest":
            return present[-1] if present else None
        case _:
            return present[0] if present else None


def value_of(moment: Moment, name: str) -> Any:
    """The value of an attribute or trait, or the account; None where it is missing."""
    if name == "account":
        return account_of(moment.account)
    trait = moment.file.get("traits", {}).get(name)
    return attribute(moment.facts, name, moment.at) if trait is None else trait_value(moment, trait)


# ---------------------------------------------------------------- conditions


def passes_test(moment: Moment, name: str, test: Any) -> Truth:
    """Whether an attribute, a trait or the account passes; one that is not fresh enough is missing."""
    value = value_of(moment, name)
    if isinstance(test, dict) and "known_within" in test:
        if not is_fresh(moment, name, duration(test["known_within"])):
            value = None
        test = {operator: operand for operator, operand in test.items() if operator != "known_within"}
    return passes(moment, value, test, is_account=name == "account")


def named_condition(moment: Moment, name: str) -> Truth:
    return holds(moment, moment.file["conditions"][name])


def parts(moment: Moment, condition: Condition) -> Iterator[Truth]:
    for key, wanted in condition.items():
        match key:
            case "all":
                yield every(holds(moment, inner) for inner in wanted)
            case "any":
                yield some(holds(moment, inner) for inner in wanted)
            case "not":
                yield negation(holds(moment, wanted))
            case "segment":
                yield holds(moment, next(s["when"] for s in moment.file["segments"] if s["name"] == wanted))
            case "condition":
                yield named_condition(moment, wanted)
            case "event":
                found = len(matching(moment, wanted, condition))
                yield passes(moment, found, condition.get("count", {"gte": 1}))
            case "open":
                yield passes(moment, number_open(moment, condition), condition.get("count", {"gte": 1}))
            case "sequence":
                yield passes_sequence(moment, condition)
            case _ if key not in PARTS_OF_A_TEST:
                yield passes_test(moment, key, wanted)


def holds(moment: Moment, condition: Condition) -> Truth:
    """The truth of a condition: a map of several tests means all of them."""
    return every(parts(moment, condition))
