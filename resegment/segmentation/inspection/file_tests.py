"""The tests of a segments file: made-up accounts, and the segments that they must be in.

What a test gives happened `ago` before now and became known as it happened. Its attributes have had their values
for ten years; one that an earlier `firmographic` event gives too has its value from now on, so that such events
are its history. Now is always the same instant, so that a test never depends on when it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from resegment.documents.diagnostics import InvalidSegments, Path, Problems
from resegment.errors import RefusedEvent
from resegment.identity.aliases import resolve_subject
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import read_event
from resegment.schemas.fact import KINDS, Fact
from resegment.schemas.segments import TestEntry, TestGiven
from resegment.schemas.times import format_instant, parse_duration, parse_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.inspection.explain import explain, explain_absence
from resegment.segmentation.language.parsing.checks_parser import check_account
from resegment.segmentation.language.privacy import drop_fields
from resegment.segmentation.language.sameness import Sameness

_DEFAULT: Final = TestGiven().account
NOW: Final = parse_instant("2026-01-01T00:00:00Z")
LONG_AGO: Final = 10 * 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What one expectation came to; `after` (ms) is how long after now it is for, `at` (ms) the instant."""

    name: str
    expected: str
    got: str
    passed: bool
    after: int
    at: int
    why: str


def run_tests(program: Program, now: int = NOW) -> tuple[CaseResult, ...]:
    """Every expectation of every test of the file, in its order.

    Raises InvalidSegments where what a test gives is no event of the contract: all such errors at once.
    """
    problems = Problems(program.definition.document.places)
    given = [
        _read_given(test, ("tests", index, "given"), now, problems, program.definition.same)
        for index, test in enumerate(program.definition.tests)
    ]
    if problems.errors:
        raise InvalidSegments(problems.in_order())
    results: list[CaseResult] = []
    for test, facts in zip(program.definition.tests, given, strict=True):
        results.extend(_run(Engine(program), test, facts, now))
    return tuple(results)


def _run(engine: Engine, test: TestEntry, facts: list[Fact], now: int) -> list[CaseResult]:
    later = test.until if isinstance(test.until, list) else [test.until] if test.until else []
    expectations = [(0, test.expect), *((parse_duration(one.after), one.expect) for one in later)]
    dropped = engine.program.definition.dropped
    known = order_of_delivery(drop_fields(fact, dropped) for fact in facts)
    account, _ = replay_account(engine, facts[0].account, known, now)
    results: dict[int, CaseResult] = {}
    for place, (after, expected) in sorted(enumerate(expectations), key=lambda one: one[1][0]):
        engine.advance(account, now + after)
        got = account.state.membership.segment or engine.program.segments[engine.program.fallback].name
        results[place] = CaseResult(
            name=test.name,
            expected=expected,
            got=got,
            passed=got == expected,
            after=after,
            at=now + after,
            why=_tell_why(engine, account, now + after, expected, got),
        )
    return [results[place] for place in range(len(expectations))]


def _tell_why(engine: Engine, account: Account, at: int, expected: str, got: str) -> str:
    explanation = explain(engine, account, at, ahead=False)
    if got == expected:
        return explanation.summary
    return f"{explanation.summary}; {explain_absence(explanation, expected)}"


# What a test gives


def _read_given(test: TestEntry, path: Path, now: int, problems: Problems, compared: Sameness) -> list[Fact]:
    if not check_account(test.given.account, (*path, "account"), problems):
        return []
    facts: list[Fact] = []
    for index, event in enumerate(test.given.events):
        fact = _read_event(event, index, (*path, "events", index), now, problems, compared)
        if fact is not None:
            facts.append(fact)
    told = {name for fact in facts if fact.kind == "firmographic" and fact.time < now for name in fact.data}
    attributes = test.given.attributes
    begin = max(0, min([now - LONG_AGO, *(fact.time for fact in facts)]))
    # The ids of attributes come before those of events, which so win where both are of one instant.
    for name, time, names in (
        ("attributes of old", begin, attributes.keys() - told),
        ("attributes of now", now, attributes.keys() & told),
    ):
        given = {one: value for one, value in attributes.items() if one in names}
        fact = _decode("firmographic", name, time, given, path=(*path, "attributes"), problems=problems)
        if fact is not None and (given or time != now):
            facts.append(fact)
    return [msgspec.structs.replace(fact, account=resolve_subject(test.given.account)) for fact in facts]


def _read_event(
    event: dict[str, Any], index: int, path: Path, now: int, problems: Problems, compared: Sameness
) -> Fact | None:
    data = dict(event)
    kind, ago = data.pop("event", None), data.pop("ago", "0s")
    if kind not in KINDS:
        problems.error(
            "unknown-kind",
            f"{kind!r} is not a kind of event",
            (*path, "event"),
            f"use one of {', '.join(KINDS)}",
        )
        return None
    try:
        time = now - parse_duration(ago)
    except ValueError as error:
        problems.error("wrong-duration", str(error), (*path, "ago"))
        return None
    if time < 0:
        problems.error("wrong-duration", f"{ago} ago is before 1970", (*path, "ago"))
        return None
    fact = _decode(kind, f"event {index}", time, data, path=path, problems=problems)
    if fact is None or compared.rule(kind) is None or not isinstance(source := data.get("source"), str):
        return fact
    given = {name: value for name, value in fact.data.items() if name != "source"}
    return msgspec.structs.replace(fact, source=source, data=given)


def _decode(
    kind: str, name: str, time: int, data: dict[str, Any], *, path: Path, problems: Problems
) -> Fact | None:
    """Return a fact, validated and normalized as one that arrives is."""
    event = {
        "specversion": "1.0",
        "id": name,
        "source": "tests",
        "type": f"gtm.{kind}.v1",
        "subject": _DEFAULT,
        "time": format_instant(time),
        "data": data,
    }
    try:
        return resolve_event(read_event(event))
    except RefusedEvent as refused:
        field = (refused.field or "").removeprefix("data.").split(".")
        here = (*path, *(one for one in field[:1] if one in data))
        problems.error(
            refused.reason, refused.message, here, "use fields and values that the contract allows"
        )
        return None
