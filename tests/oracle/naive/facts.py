"""Facts, revisions, and what is known at an instant."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from . import typing_of_attributes

Truth = bool | None
Number = int | float | Fraction | Decimal
File = dict[str, Any]
Files = Mapping[str, str]
Condition = dict[str, Any]

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
DURATION = re.compile(r"([0-9]+)([smhdw])")
LONGEST_TEXT = 4_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """One account at the instant `at`: the facts known by then, in the order of (time, id, source).

    `files` holds the text of each file that a test names, by its path.
    """

    file: File
    facts: tuple[Fact, ...]
    at: int
    account: str
    files: Files


@dataclass
class Past:
    """Where the account is, since when, and when it last left each segment."""

    segment: str | None = None
    entered: int = 0
    left: dict[str, int] = field(default_factory=dict)


def milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text.upper()) - EPOCH) // timedelta(milliseconds=1)


def duration(text: str) -> int:
    match = DURATION.fullmatch(text)
    assert match, f"not a duration: {text!r}"
    return int(match[1]) * UNITS[match[2]]


def trimmed(value: Any) -> Any:
    """A text without the space around it, missing where nothing is left, and cut where it is long; texts inside lists
    and maps are only cut."""
    return (value.strip()[:LONGEST_TEXT] or None) if isinstance(value, str) else cut(value)


def cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, list):
        return [cut(inner) for inner in value]
    if isinstance(value, dict):
        return {name[:LONGEST_TEXT]: cut(inner) for name, inner in value.items()}
    return value


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
        data={name: trimmed(value) for name, value in (event.get("data") or {}).items()},
    )


def read_facts(events: Iterable[dict[str, Any]]) -> list[Fact]:
    """The facts delivered, each delivery of (account, source, id) after the first left out."""
    first: dict[tuple[str, str, str], Fact] = {}
    for fact in sorted(map(read_fact, events), key=lambda fact: fact.recorded):
        first.setdefault((fact.account, fact.source, fact.id), fact)
    return list(first.values())


def typed(file: File, fact: Fact) -> Fact:
    """The fact as the file's own types make it: a value that does not fit is left out of a snapshot."""
    types = file.get("attributes", {})
    if fact.kind != "firmographic" or not types:
        return fact
    return replace(fact, data=typing_of_attributes.fitted(types, fact.data))


def known(facts: Iterable[Fact], at: int) -> tuple[Fact, ...]:
    """The newest revision known at `at` of each record, but for those whose newest is a retraction."""
    newest: dict[tuple[str, str], Fact] = {}
    for fact in sorted(facts, key=lambda fact: (fact.recorded, fact.id)):
        if fact.recorded <= at:
            newest[fact.source, fact.record] = fact
    asserted = (fact for fact in newest.values() if fact.op != "retract")
    return tuple(sorted(asserted, key=lambda fact: (fact.time, fact.id, fact.source)))


def leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for inner in node.values():
            yield from leaves(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from leaves(inner)
    else:
        yield node
