"""The segments language by definition: the judge of the real engine, which it shares no code with.

It keeps every fact, and at each instant at which anything could change it works everything out again from nothing.
Instants and durations are whole milliseconds. A value of None is missing; a truth of None is unknown.
"""

import heapq
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any

Truth = bool | None
Number = int | float | Fraction | Decimal
File = dict[str, Any]
Condition = dict[str, Any]

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
DURATION = re.compile(r"([0-9]+)([smhdw])")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARTS_OF_A_TEST = {"event", "sequence", "where", "within", "ago", "count", "gap"}


@dataclass(frozen=True)
class Change:
    """A move of an account: `from_` is None when it is first placed."""

    account: str
    from_: str | None
    to: str
    effective_at: int


@dataclass(frozen=True)
class Fact:
    account: str
    kind: str
    source: str
    id: str
    record: str
    op: str
    time: int
    recorded: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """One account at the instant `at`: the facts known by then, in the order of (time, id, source)."""

    file: File
    facts: tuple[Fact, ...]
    at: int


@dataclass
class Past:
    """Where the account is, since when, and when it last left each segment."""

    segment: str | None = None
    entered: int = 0
    left: dict[str, int] = field(default_factory=dict)


# ---------------------------------------------------------------- facts


def milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text.upper()) - EPOCH) // timedelta(milliseconds=1)


def duration(text: str) -> int:
    match = DURATION.fullmatch(text)
    assert match, f"not a duration: {text!r}"
    return int(match[1]) * UNITS[match[2]]


def read_fact(event: dict[str, Any]) -> Fact:
    kind = re.fullmatch(r"gtm\.(\w+)\.v1", event["type"])
    assert kind, f"not a trigger event: {event['type']!r}"
    return Fact(
        account=event["subject"],
        kind=kind[1],
        source=event["source"],
        id=event["id"],
        record=event.get("record") or event["id"],
        op=event.get("op") or "assert",
        time=milliseconds(event["time"]),
        recorded=milliseconds(event.get("recordedtime") or event["time"]),
        data=event.get("data") or {},
    )


def read_facts(events: Iterable[dict[str, Any]]) -> list[Fact]:
    """The facts delivered, each delivery of (account, source, id) after the first left out."""
    first: dict[tuple[str, str, str], Fact] = {}
    for fact in sorted(map(read_fact, events), key=lambda fact: fact.recorded):
        first.setdefault((fact.account, fact.source, fact.id), fact)
    return list(first.values())


def known(facts: Iterable[Fact], at: int) -> tuple[Fact, ...]:
    """The newest revision known at `at` of each record, but for those whose newest is a retraction."""
    newest: dict[tuple[str, str], Fact] = {}
    for fact in sorted(facts, key=lambda fact: (fact.recorded, fact.id)):
        if fact.recorded <= at:
            newest[fact.source, fact.record] = fact
    asserted = (fact for fact in newest.values() if fact.op != "retract")
    return tuple(sorted(asserted, key=lambda fact: (fact.time, fact.id, fact.source)))


def moment_of(file: File, events: Iterable[dict[str, Any]], account: str, at: int) -> Moment:
    return Moment(file, known((f for f in read_facts(events) if f.account == account), at), at)


# ---------------------------------------------------------------- tests of a value


def every(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return False if False in seen else None if None in seen else True


def some(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def negation(truth: Truth) -> Truth:
    return None if truth is None else not truth


def is_number(value: object) -> bool:
    return isinstance(value, int | float | Fraction | Decimal) and not isinstance(value, bool)


def type_of(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if is_number(value):
        return "number"
    if isinstance(value, str):
        return "string"
    return "collection"


def identity(value: Any) -> tuple[str, Any]:
    """What two values share exactly when they are equal: true is not 1, 1.0 is."""
    if isinstance(value, list):
        return "list", tuple(map(identity, value))
    if isinstance(value, dict):
        return "map", frozenset((key, identity(inner)) for key, inner in value.items())
    return type_of(value), value


def equals(value: Any, other: Any) -> Truth:
    if type_of(value) != type_of(other) or type_of(value) == "collection":
        return None
    return bool(value == other)


def is_in(value: Any, others: list[Any]) -> Truth:
    answers = [equals(value, other) for other in others]
    return None if all(answer is None for answer in answers) else True in answers


def passes_order(name: str, value: Any, operand: Any) -> Truth:
    if not is_number(value):
        return None
    match name:
        case "gt":
            return bool(value > operand)
        case "gte":
            return bool(value >= operand)
        case "lt":
            return bool(value < operand)
        case "lte":
            return bool(value <= operand)
        case _:
            return bool(operand[0] <= value <= operand[1])


def passes_set(name: str, value: Any, operand: list[Any]) -> Truth:
    if not isinstance(value, list | frozenset):
        return None
    has = {identity(element) for element in value}
    asked = {identity(element) for element in operand}
    match name:
        case "has_any":
            return bool(has & asked)
        case "has_all":
            return asked <= has
        case _:
            return not (has & asked)


def passes_text(name: str, value: Any, operand: str) -> Truth:
    if not isinstance(value, str):
        return None
    if name == "contains":
        return operand.casefold() in value.casefold()
    return re.search(operand, value) is not None


def passes_operator(name: str, value: Any, operand: Any) -> Truth:
    if name == "exists":
        return bool(operand) == (value is not None)
    if value is None:
        return None
    match name:
        case "eq":
            return equals(value, operand)
        case "ne":
            return negation(equals(value, operand))
        case "in":
            return is_in(value, operand)
        case "not_in":
            return negation(is_in(value, operand))
        case "gt" | "gte" | "lt" | "lte" | "between":
            return passes_order(name, value, operand)
        case "has_any" | "has_all" | "has_none":
            return passes_set(name, value, operand)
        case "contains" | "matches":
            return passes_text(name, value, operand)
    raise AssertionError(f"no operator {name!r}")


def passes(value: Any, test: Any) -> Truth:
    """Whether a value, None where it is missing, passes `scalar`, `[a, b]` or `{operator: operand}`."""
    if isinstance(test, dict):
        return every(passes_operator(name, value, operand) for name, operand in test.items())
    return passes_operator("in" if isinstance(test, list) else "eq", value, test)


# ---------------------------------------------------------------- attributes, events, traits


def attribute(facts: Iterable[Fact], name: str, at: int) -> Any:
    """Its value at `at` by these facts, which stand in the order of (time, id, source)."""
    value: Any = None
    for fact in facts:
        if fact.time > at:
            continue
        if fact.kind == "firmographic" and name in fact.data:
            value = fact.data[name]
            if name == "technologies":
                value = frozenset(value or ())
        elif name == "technologies" and fact.kind == "tech":
            change, technology = fact.data.get("change"), frozenset({fact.data.get("technology")})
            if change == "added":
                value = (value or frozenset()) | technology
            elif change == "removed":
                value = (value or frozenset()) - technology
    return value


def in_window(test: dict[str, Any], time: int, at: int) -> bool:
    if time > at:
        return False
    if "within" in test and not time <= at < time + duration(test["within"]):
        return False
    if "ago" in test:
        nearest, farthest = map(duration, test["ago"])
        return time + nearest <= at < time + farthest
    return True


def matching(moment: Moment, kind: str, test: dict[str, Any]) -> list[Fact]:
    """The facts of a kind that `where`, `within` and `ago` leave, in the order of (time, id, source)."""
    where = test.get("where", {})
    return [
        fact
        for fact in moment.facts
        if fact.kind == kind
        and in_window(test, fact.time, moment.at)
        and all(passes(fact.data.get(name), wanted) is True for name, wanted in where.items())
    ]


def passes_sequence(moment: Moment, test: dict[str, Any]) -> bool:
    gap = duration(test["gap"]) if "gap" in test else math.inf
    ends: set[int] | None = None
    for step in test["sequence"]:
        facts = matching(moment, step["event"], {"where": step.get("where", {}), "within": test["within"]})
        times = {fact.time for fact in facts}
        if ends is not None:
            times = {time for time in times if any(end < time and time - end <= gap for end in ends)}
        ends = times
    return bool(ends)


def total(values: list[Any]) -> Any:
    return sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)


@lru_cache(maxsize=200_000)
def power_of_two(exponent: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = 50
        return Decimal(2) ** (Decimal(exponent.numerator) / Decimal(exponent.denominator))


def decimal(value: Any) -> Decimal:
    with localcontext() as context:
        context.prec = 50
        return (
            Decimal(value.numerator) / Decimal(value.denominator)
            if isinstance(value, Fraction)
            else Decimal(value)
        )


def decayed(terms: list[tuple[Fraction, int]], half_life: int, at: int) -> Number:
    """The sum of weight * 2^(-(at - time) / half_life): exact where it is rational, else to some 50 digits.

    Powers 2^(-r / half_life) of different whole r below half_life are linearly independent over the rationals,
    so the sum is rational exactly when only those with r = 0 are left.
    """
    weights: dict[int, Fraction] = {}
    for weight, time in terms:
        halvings, rest = divmod(at - time, half_life)
        weights[rest] = weights.get(rest, Fraction(0)) + weight / 2**halvings
    weights = {rest: weight for rest, weight in weights.items() if weight}
    if set(weights) <= {0}:
        return weights.get(0, Fraction(0))
    with localcontext() as context:
        context.prec = 50
        parts = [decimal(w) * power_of_two(Fraction(-rest, half_life)) for rest, w in weights.items()]
        return sum(parts, Decimal(0))


def decay_terms(moment: Moment, trait: dict[str, Any]) -> list[tuple[Fraction, int]]:
    terms = []
    for fact in matching(moment, trait["decay"], trait):
        weight = fact.data.get(trait.get("field", ""))
        if weight is None:
            weight = 1
        if is_number(weight):
            terms.append((Fraction(weight), fact.time))
    return terms


def ratio(moment: Moment, names: list[str]) -> Any:
    above, below = (value_of(moment, name) for name in names)
    return above / below if is_number(above) and is_number(below) and below != 0 else None


def growth(moment: Moment, trait: dict[str, Any]) -> Any:
    now = attribute(moment.facts, trait["growth"], moment.at)
    then = attribute(moment.facts, trait["growth"], moment.at - duration(trait["over"]))
    return (now - then) / abs(then) if is_number(now) and is_number(then) and then != 0 else None


def trait_value(moment: Moment, trait: dict[str, Any]) -> Any:
    if "ratio" in trait:
        return ratio(moment, trait["ratio"])
    if "growth" in trait:
        return growth(moment, trait)
    if "decay" in trait:
        return decayed(decay_terms(moment, trait), duration(trait["half_life"]), moment.at)
    (name,) = {"count", "sum", "distinct", "min", "max", "avg", "latest", "earliest"} & set(trait)
    facts = matching(moment, trait[name], trait)
    if name == "count":
        return len(facts)
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
    """The value of an attribute or trait, None where it is missing."""
    trait = moment.file.get("traits", {}).get(name)
    return attribute(moment.facts, name, moment.at) if trait is None else trait_value(moment, trait)


# ---------------------------------------------------------------- conditions


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
            case "event":
                found = len(matching(moment, wanted, condition))
                yield passes(found, condition.get("count", {"gte": 1}))
            case "sequence":
                yield passes_sequence(moment, condition)
            case _ if key not in PARTS_OF_A_TEST:
                yield passes(value_of(moment, key), wanted)


def holds(moment: Moment, condition: Condition) -> Truth:
    """The truth of a condition: a map of several tests means all of them."""
    return every(parts(moment, condition))


# ---------------------------------------------------------------- membership


def has(moment: Moment, past: Past, segment: dict[str, Any]) -> bool:
    """Whether a segment keeps the account, or takes it, if no higher one does."""
    name, hold = segment["name"], segment.get("hold", {})
    if past.segment == name:
        if "min_dwell" in hold and moment.at < past.entered + duration(hold["min_dwell"]):
            return True
        if "exit_when" in hold:
            return holds(moment, hold["exit_when"]) is not True
        return holds(moment, segment["when"]) is True
    if "cooldown" in hold and name in past.left and moment.at < past.left[name] + duration(hold["cooldown"]):
        return False
    if "exit_when" in hold and holds(moment, hold["exit_when"]) is True:
        return False
    return holds(moment, segment["when"]) is True


def membership(moment: Moment, past: Past | None = None) -> str:
    """The segment that has the account; `past` matters only where a segment has `hold`."""
    past = past or Past()
    for segment in moment.file["segments"]:
        if has(moment, past, segment):
            return str(segment["name"])
    return str(moment.file["fallback"]["name"])


# ---------------------------------------------------------------- time


def leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for inner in node.values():
            yield from leaves(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from leaves(inner)
    else:
        yield node


def durations(file: File) -> set[int]:
    """Every duration of the traits and segments, whatever it is for: one instant too many does no harm."""
    written = leaves([file.get("traits", {}), file["segments"]])
    return {duration(leaf) for leaf in written if isinstance(leaf, str) and DURATION.fullmatch(leaf)}


def bounds(node: Any, trait: str) -> set[Any]:
    """Every number that a test compares a trait with."""
    if isinstance(node, list):
        return set().union(*(bounds(inner, trait) for inner in node))
    if not isinstance(node, dict):
        return set()
    found = {leaf for leaf in leaves(node.get(trait)) if is_number(leaf)}
    return found.union(*(bounds(inner, trait) for inner in node.values()))


def crossing(terms: list[tuple[Fraction, int]], half_life: int, bound: Any, at: int) -> int | None:
    """The first instant after `at` at which the decayed sum stands otherwise to the bound than at `at`.

    The sum is C * 2^(-t / half_life): it moves towards 0, always on one side of it, and never gets there.
    """

    def side(instant: int) -> int:
        value = decayed(terms, half_life, instant)
        return int(value > bound) - int(value < bound)

    now = decayed(terms, half_life, at)
    if now == bound:
        return at + 1 if bound != 0 else None
    if now == 0 or bound == 0 or (now > 0) != (bound > 0) or abs(now) < abs(bound):
        return None
    halvings = (decimal(abs(now)) / decimal(abs(bound))).ln() / Decimal(2).ln()
    guess = max(at + 1, at + int(halvings * half_life) - 1)
    assert guess == at + 1 or side(guess - 1) == side(at), "the guess is too late"
    while side(guess) == side(at):
        guess += 1
    return guess


def crossings(moment: Moment) -> Iterator[int]:
    """When decayed sums next cross a bound of the file, if nothing else happens before."""
    for name, trait in moment.file.get("traits", {}).items():
        if "decay" in trait:
            terms = decay_terms(moment, trait)
            for bound in bounds(moment.file["segments"], name):
                instant = crossing(terms, duration(trait["half_life"]), bound, moment.at)
                if instant is not None:
                    yield instant


def candidates(file: File, facts: Sequence[Fact]) -> set[int]:
    """The instants at which anything but a decayed sum or a hold could change, from the first placement on."""
    spans = durations(file) | {0}
    instants = {fact.recorded for fact in facts} | {fact.time + span for fact in facts for span in spans}
    placed = min(fact.recorded for fact in facts)
    return {instant for instant in instants if instant >= placed}


def hold_ends(file: File, change: Change) -> Iterator[int]:
    for segment in file["segments"]:
        hold = segment.get("hold", {})
        if segment["name"] == change.to and "min_dwell" in hold:
            yield change.effective_at + duration(hold["min_dwell"])
        if segment["name"] == change.from_ and "cooldown" in hold:
            yield change.effective_at + duration(hold["cooldown"])


def account_history(file: File, facts: Sequence[Fact], until: int | None) -> Iterator[Change]:
    past = Past()
    agenda = sorted(candidates(file, facts))
    while agenda:
        instant = heapq.heappop(agenda)
        if until is not None and instant > until:
            return
        at = instant
        moment = Moment(file, known(facts, at), at)
        to = membership(moment, past)
        if to != past.segment:
            change = Change(facts[0].account, past.segment, to, at)
            yield change
            if past.segment is not None:
                past.left[past.segment] = at
            past.segment, past.entered = to, at
            for end in hold_ends(file, change):
                heapq.heappush(agenda, end)
        while agenda and agenda[0] == at:
            heapq.heappop(agenda)
        for instant in crossings(moment):
            # A later one is found again, from the facts of then, at the instant before it.
            if not agenda or instant < agenda[0]:
                heapq.heappush(agenda, instant)


def history(segments_file: File, events: Iterable[dict[str, Any]], until: int | None) -> list[Change]:
    """The changes these events give, in the order of (effective_at, account).

    `until` is the last instant to be judged; None: go on until time alone changes nothing more.
    """
    accounts: dict[str, list[Fact]] = {}
    for fact in read_facts(events):
        accounts.setdefault(fact.account, []).append(fact)
    changes = [
        change for facts in accounts.values() for change in account_history(segments_file, facts, until)
    ]
    return sorted(changes, key=lambda change: (change.effective_at, change.account))
