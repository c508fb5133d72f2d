"""Which facts a test of events speaks of, and what attributes they give."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from .facts import Fact, Moment, duration
from .operators import passes

OPENING = ("opened", "reopened", "added")
GROUPED_BY = {"hiring": "job", "tech": "technology"}


# ---------------------------------------------------------------- attributes


def giver(facts: Iterable[Fact], name: str, at: int) -> Fact | None:
    """The snapshot that gives an attribute its value: the last by (time, id, source) of those that carry it."""
    carrying = [
        fact for fact in facts if fact.kind == "firmographic" and name in fact.data and fact.time <= at
    ]
    return carrying[-1] if carrying else None


def technologies(facts: Iterable[Fact], at: int) -> frozenset[Any] | None:
    """The set by these facts, which stand in the order of (time, id, source)."""
    names: frozenset[Any] | None = None
    for fact in facts:
        if fact.time > at:
            continue
        if fact.kind == "firmographic" and "technologies" in fact.data:
            names = frozenset(fact.data["technologies"] or ())
        elif fact.kind == "tech":
            change, technology = fact.data.get("change"), frozenset({fact.data.get("technology")})
            if change == "added":
                names = (names or frozenset()) | technology
            elif change == "removed":
                names = (names or frozenset()) - technology
    return names


def attribute(facts: Iterable[Fact], name: str, at: int) -> Any:
    """Its value at `at` by these facts, which stand in the order of (time, id, source)."""
    if name == "technologies":
        return technologies(facts, at)
    snapshot = giver(facts, name, at)
    return snapshot.data[name] if snapshot else None


def is_fresh(moment: Moment, name: str, span: int) -> bool:
    """Whether the snapshot that gives the value is not older than `known_within` allows."""
    snapshot = giver(moment.facts, name, moment.at)
    return snapshot is not None and moment.at < snapshot.time + span


# ---------------------------------------------------------------- events


def in_window(test: dict[str, Any], time: int, at: int) -> bool:
    if time > at:
        return False
    if "within" in test and not time <= at < time + duration(test["within"]):
        return False
    if "ago" in test:
        nearest, farthest = map(duration, test["ago"])
        return time + nearest <= at < time + farthest
    return True


def counting(moment: Moment, kind: str) -> list[Fact]:
    """The facts of a kind that count, in the order of (time, id, source)."""
    return [fact for fact in moment.facts if fact.kind == kind and fact.time <= moment.at]


def fits(moment: Moment, fact: Fact, where: dict[str, Any]) -> bool:
    return all(passes(moment, fact.data.get(name), wanted) is True for name, wanted in where.items())


def followers(moment: Moment, follower: dict[str, Any]) -> list[Fact]:
    where = follower.get("where", {})
    return [fact for fact in counting(moment, follower["event"]) if fits(moment, fact, where)]


def follows(later: Fact, earlier: Fact) -> bool:
    return later.time > earlier.time


def is_followed(moment: Moment, fact: Fact, test: dict[str, Any]) -> bool:
    if "not_followed_by" not in test:
        return False
    return any(follows(later, fact) for later in followers(moment, test["not_followed_by"]))


def matching(moment: Moment, kind: str, test: dict[str, Any]) -> list[Fact]:
    """The facts that `where`, `within`, `ago` and `not_followed_by` leave, in the order of (time, id, source)."""
    return [
        fact
        for fact in counting(moment, kind)
        if in_window(test, fact.time, moment.at)
        and fits(moment, fact, test.get("where", {}))
        and not is_followed(moment, fact, test)
    ]


# ---------------------------------------------------------------- open things


def group_of(fact: Fact, by: str) -> str | None:
    """The text by which a fact belongs to a group."""
    value = fact.data.get(by)
    return value if isinstance(value, str) else None


def latest(facts: list[Fact]) -> Fact:
    return max(facts, key=lambda fact: (fact.time, fact.id, fact.source))


def number_open(moment: Moment, test: dict[str, Any]) -> int:
    """How many groups of facts are open, and as `where` says, by their latest fact."""
    kind, where = test["open"], test.get("where", {})
    by = test.get("by") or GROUPED_BY[kind]
    groups: dict[str, list[Fact]] = {}
    for fact in counting(moment, kind):
        group = group_of(fact, by)
        if group is not None:
            groups.setdefault(group, []).append(fact)
    last = [latest(facts) for facts in groups.values()]
    return sum(fact.data.get("change") in OPENING and fits(moment, fact, where) for fact in last)


# ---------------------------------------------------------------- sequences


def may_come_next(order: str, earlier: Fact, later: Fact) -> bool:
    return later.time >= earlier.time if order == "loose" else later.time > earlier.time


def are_distinct(one: Fact, other: Fact) -> bool:
    return (one.source, one.record) != (other.source, other.record)


def continues(steps: Sequence[list[Fact]], taken: list[Fact], order: str, gap: float) -> bool:
    """Whether the rest of the steps finds facts, each after and near the one before it, none taken twice."""
    if not steps:
        return True
    return any(
        continues(steps[1:], [*taken, fact], order, gap)
        for fact in steps[0]
        if not taken
        or (
            may_come_next(order, taken[-1], fact)
            and fact.time - taken[-1].time <= gap
            and all(are_distinct(fact, other) for other in taken)
        )
    )


def passes_sequence(moment: Moment, test: dict[str, Any]) -> bool:
    """Whether the steps find facts, tried one by one in every way."""
    gap = duration(test["gap"]) if "gap" in test else math.inf
    steps = [
        matching(moment, step["event"], {"where": step.get("where", {}), "within": test["within"]})
        for step in test["sequence"]
    ]
    return all(steps) and continues(steps, [], test.get("order", "strict"), gap)
