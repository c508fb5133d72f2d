"""Facts of several sources that the file takes for one."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import groupby
from typing import Any

from .facts import Fact, File, duration
from .operators import is_number


def are_one(rule: dict[str, Any], one: Fact, other: Fact) -> bool:
    """Whether two facts of a kind are the same."""
    if one.source == other.source:
        return False
    span = duration(rule["within"])
    match one.kind:
        case "funding":
            named = [fact.data.get("round") for fact in (one, other)]
            if isinstance(named[0], str) and named[0] == named[1]:
                alike = amounts_agree(rule, one, other)
            else:
                vague = any(name == "other" or not isinstance(name, str) for name in named)
                told = "amount" in rule and is_number(dollars(one)) and is_number(dollars(other))
                alike = vague and told and amounts_agree(rule, one, other)
        case "leadership":
            alike = has_equal(one, other, "change") and has_equal(one, other, "role")
            names = {spoken(fact.data.get("person")) for fact in (one, other)} - {None}
            alike = alike and len(names) < 2
            both = bool(names) and all(spoken(fact.data.get("person")) for fact in (one, other))
            alike = alike and (both or one.data["role"] != "unknown")
            if both:
                span = max(span, duration(rule.get("person", "0s")))
        case _:
            alike = has_equal(one, other, "change") and (shares_page(one, other) or shares_post(one, other))
    return alike and abs(one.time - other.time) <= span


def has_equal(one: Fact, other: Fact, field: str) -> bool:
    return isinstance(one.data.get(field), str) and one.data[field] == other.data.get(field)


def spoken(text: Any) -> str | None:
    return " ".join(text.split()).casefold() if isinstance(text, str) and text.split() else None


def page(url: Any) -> str | None:
    """A url as far as it tells one page from another."""
    if not isinstance(url, str):
        return None
    text = url.strip()
    scheme, mark, rest = text.partition("://")
    if mark and scheme[:1].isalpha() and all(c.isascii() and (c.isalnum() or c in "+.-") for c in scheme):
        text = rest
    text = text.split("#")[0]
    host, *path = text.split("/")
    host = host.lower()
    host = host.removeprefix("www.")
    while path and not path[-1]:
        path.pop()
    return "/".join([host, *path]) or None


def shares_page(one: Fact, other: Fact) -> bool:
    mine = page(one.data.get("url"))
    return mine is not None and mine == page(other.data.get("url"))


def shares_post(one: Fact, other: Fact) -> bool:
    for field in ("title", "location"):
        mine = spoken(one.data.get(field))
        if mine is None or mine != spoken(other.data.get(field)):
            return False
    return True


def dollars(fact: Fact) -> Any:
    if is_number(fact.data.get("amount_usd")):
        return fact.data["amount_usd"]
    return fact.data.get("amount") if fact.data.get("currency") == "USD" else None


def amounts_agree(rule: dict[str, Any], one: Fact, other: Fact) -> bool:
    amounts = [dollars(fact) for fact in (one, other)]
    if "amount" not in rule or not all(map(is_number, amounts)):
        return True
    percent = Fraction(rule["amount"].rstrip("%"))
    low, high = sorted(Fraction(amount) for amount in amounts)
    return 100 * (high - low) <= percent * max(abs(low), abs(high))


# ---------------------------------------------------------------- groups


def ranked(trust: list[str], facts: list[Fact]) -> list[Fact]:
    names = [name.removeprefix("/") for name in trust]

    def rank(fact: Fact) -> tuple[Any, ...]:
        name = fact.source.removeprefix("/")
        place = names.index(name) if name in names else len(names)
        return place, fact.source, fact.time, fact.id

    return sorted(facts, key=rank)


def groups(rule: dict[str, Any], facts: list[Fact]) -> Iterator[list[Fact]]:
    """The groups of the facts of one kind, which come ranked."""
    while facts:
        leader, others = facts[0], facts[1:]
        group = [leader]
        for _, of_source in groupby(others, key=lambda fact: fact.source):
            same = [fact for fact in of_source if are_one(rule, leader, fact)]
            group += sorted(same, key=lambda fact: (abs(fact.time - leader.time), fact.time, fact.id))[:1]
        yield group
        facts = [fact for fact in others if fact not in group]


def unit(field: str) -> str:
    return "amount" if field == "currency" else field.removesuffix("_raw")


def merged(group: list[Fact]) -> Fact:
    """The leader, with each field that it lacks from the first member that has it."""
    data = dict(group[0].data)
    given = {unit(field) for field, value in data.items() if value is not None}
    for member in group[1:]:
        new = {unit(field) for field, value in member.data.items() if value is not None} - given
        data |= {
            field: value for field, value in member.data.items() if unit(field) in new and value is not None
        }
        given |= new
    return replace(group[0], data=data)


def as_one(file: File, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """The facts known at an instant, with each group in the place of its members."""
    same = file.get("same", {})
    found: list[Fact] = []
    for kind in {fact.kind for fact in facts}:
        mine = [fact for fact in facts if fact.kind == kind]
        if kind in same:
            mine = [merged(group) for group in groups(same[kind], ranked(same.get("trust", []), mine))]
        found += mine
    return tuple(sorted(found, key=lambda fact: (fact.time, fact.id, fact.source)))
