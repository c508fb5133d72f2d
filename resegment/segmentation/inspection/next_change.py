"""What comes with no news: the next change that time alone brings, and by which test and which fact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.schemas.state import Entry
from resegment.schemas.times import HORIZON, NEVER, format_instant, spell_duration
from resegment.segmentation.definition import walk
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine, changes_in
from resegment.segmentation.evaluation.evidence import cite
from resegment.segmentation.evaluation.measures.measures import (
    AggregateOf,
    Attribute,
    DecayOf,
    GrowthOf,
    Measure,
    OpenOf,
    RatioOf,
    TimeOf,
)
from resegment.segmentation.evaluation.measures.selection import Selection
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.language.conditions import (
    Compare,
    Condition,
    InSegment,
    IsOpen,
    Matcher,
    Named,
    Occurs,
    Ratio,
    Score,
    Sequence,
    Window,
)

DAY: Final = 86_400_000


class Flip(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test that says something else from that instant on, and the facts whose age makes it so."""

    test: str
    before: bool | None
    after: bool | None
    because: tuple[str, ...] = ()
    evidence: tuple[dict[str, Any], ...] = ()


class Next(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The next change with no news; `at` in RFC 3339, `text` the whole in one sentence."""

    at: str
    from_: str | None
    to: str
    flips: tuple[Flip, ...]
    text: str


def copy_account(engine: Engine, account: Account) -> Account:
    """Return an independent copy of an account."""
    return engine.open(account.name, decode_state(encode_state(engine.close(account))))


def find_next(engine: Engine, account: Account) -> Next | None:
    """Find the next change if no fact becomes known; None if time alone changes nothing."""
    ahead = copy_account(engine, account)
    while ahead.deadline <= HORIZON:
        at = ahead.deadline
        changes = changes_in(engine.advance(ahead, at))
        if changes:
            change = changes[-1]
            before = copy_account(engine, account)
            engine.advance(before, at - 1)
            engine.evaluate(before, at - 1)
            engine.evaluate(ahead, at)
            return _describe(engine.program, before, ahead, at=at, old=change.from_, new=change.to or "")
    return None


def find_gate_end(engine: Engine, account: Account, gate: str) -> int | None:
    """Return the instant (ms) at which time alone ends a suppression or territory; None where it does not end it."""
    ahead = copy_account(engine, account)
    while gate in ahead.state.active_gates:
        at = ahead.deadline
        if at > HORIZON:
            return None
        engine.advance(ahead, at)
        if gate not in ahead.state.active_gates:
            return at
    return None


def _describe(
    program: Program, before: Account, after: Account, *, at: int, old: str | None, new: str
) -> Next:
    flips: list[Flip] = []
    for part in _deciding(program, old, new):
        number = program.conditions[part]
        if before.values[number] is after.values[number]:
            continue
        found = list(_turns(program, part, after, at))
        flips.append(
            Flip(
                test=str(part),
                before=before.values[number],
                after=after.values[number],
                because=tuple(dict.fromkeys(text for text, _ in found)) or _fallen(program, part, after, at),
                evidence=tuple(cite(entry) for _, entry in found),
            )
        )
    reasons = [text for flip in flips for text in flip.because or (f"{flip.test} turns {_say(flip.after)}",)]
    reasons.extend(_holds_ending(program, before, at, old, new))
    when = f", when {' and '.join(dict.fromkeys(reasons))}" if reasons else ""
    instant = format_instant(at)
    text = f"leaves {old} on {instant} for {new}{when}" if old else f"enters {new} on {instant}{when}"
    return Next(at=instant, from_=old, to=new, flips=tuple(flips), text=text)


def _say(value: bool | None) -> str:
    return "unknown" if value is None else "true" if value else "false"


def _deciding(program: Program, old: str | None, new: str) -> list[Condition]:
    """Return the tests that decide the move: of the higher segment that takes, or of the old one that lets go."""
    numbers = program.numbers
    taken, left = numbers[new], numbers.get(old or "", program.fallback)
    segment = program.segments[min(taken, left)]
    leave = segment.hold.exit_when
    roots = [segment.when, leave] if taken < left else [leave if leave is not None else segment.when]
    return list(dict.fromkeys(part for root in roots for part in plain_tests(program, root)))


def plain_tests(program: Program, root: Condition | None) -> Iterator[Condition]:
    """Yield the tests of a condition, with those of the segments that it refers to."""
    todo, seen = [root], set[Condition | str]()
    while todo:
        for part in walk(todo.pop(0)):
            if isinstance(part, Compare | Occurs | Sequence | IsOpen):
                yield part
            if isinstance(part, Compare):
                todo.extend(_terms(program, part.name, seen))
            elif isinstance(part, InSegment | Named) and part not in seen:
                seen.add(part)
                todo.append(program.condition_of(part))


def _terms(program: Program, name: str, seen: set[Condition | str]) -> list[Condition]:
    """Return the conditions that a score consists of."""
    trait = program.traits.get(name)
    if name in seen:
        return []
    seen.add(name)
    if isinstance(trait, Ratio):
        return [*_terms(program, trait.over, seen), *_terms(program, trait.under, seen)]
    return [term.when for term in trait.terms] if isinstance(trait, Score) else []


def _holds_ending(program: Program, before: Account, at: int, old: str | None, new: str) -> Iterator[str]:
    member = before.state.membership
    number = program.numbers.get(old or "")
    if number is not None and number < program.numbers[new]:
        dwell = program.segments[number].hold.min_dwell
        if dwell and member.entered + dwell == at:
            yield f"the min_dwell of {old} ({spell_duration(dwell)}) ends"
    cooldown = program.segments[program.numbers[new]].hold.cooldown
    if cooldown and member.left.get(new, -cooldown - 1) + cooldown == at:
        yield f"the cooldown of {new} ({spell_duration(cooldown)}) ends"


# Which facts start or stop to count at an instant


def _turns(program: Program, part: Condition, account: Account, at: int) -> Iterator[tuple[str, Entry]]:
    match part:
        case Occurs(matcher, window, _):
            yield from _ageing(account, program.select(matcher, window), at)
        case Sequence(steps, within, _):
            for step in steps:
                yield from _ageing(account, program.select(step, Window(0, within)), at)
        case IsOpen(things):
            yield from _ageing(account, program.select(Matcher(things.kind), Window()), at)
        case Compare(name, _):
            yield from _turns_of(program.measure(name), account, at)


def _turns_of(measure: Measure, account: Account, at: int) -> Iterator[tuple[str, Entry]]:
    match measure:
        case AggregateOf() | DecayOf() | TimeOf():
            yield from _ageing(account, measure.facts, at)
        case OpenOf():
            yield from _ageing(account, Selection(measure.series, Window()), at)
        case Attribute():
            yield from _dated(account, measure.field, 0, at)
        case GrowthOf():
            yield from _dated(account, measure.field, 0, at)
            yield from _dated(account, measure.field, measure.over, at)
        case RatioOf():
            yield from _turns_of(measure.over, account, at)
            yield from _turns_of(measure.under, account, at)


def _ageing(account: Account, facts: Selection, at: int) -> Iterator[tuple[str, Entry]]:
    series, opens, closes = account.series.get(facts.series), facts.window.opens, facts.window.closes
    followers = None if facts.followers is None else account.series.get(facts.followers)
    for entry in followers.entries if followers is not None else ():
        if entry.time == at:
            yield f"{name_fact(entry)} comes due", entry
    for entry in series.entries if series is not None else ():
        if closes != NEVER and entry.time + closes == at:
            yield f"{name_fact(entry)} turns {spell_duration(closes)} old", entry
        elif entry.time + opens == at:
            age = f"turns {spell_duration(opens)} old" if opens else "comes due"
            yield f"{name_fact(entry)} {age}", entry


def _dated(account: Account, field: str, over: int, at: int) -> Iterator[tuple[str, Entry]]:
    history = account.attributes.get(field)
    for entry in history.entries if history is not None else ():
        if entry.time + over == at:
            age = f"turns {spell_duration(over)} old" if over else "comes due"
            yield f"{name_fact(entry, field)} {age}", entry


def _fallen(program: Program, part: Condition, account: Account, at: int) -> tuple[str, ...]:
    """Return what a decayed sum has come to, where no fact's age explains the change."""
    if isinstance(part, Compare) and isinstance(measure := program.measure(part.name), DecayOf):
        return (f"{part.name} falls to {measure.value(account, at):.6g}",)
    return ()


def name_fact(entry: Entry, field: str | None = None) -> str:
    """Return a fact in words: `leadership (change = joined, role = cro) of 2026-09-02`."""
    cited = cite(entry)
    data = {name: value for name, value in (entry.data or {}).items() if field is None or name == field}
    shown = ", ".join(f"{name} = {value}" for name, value in data.items())
    instant = cited["time"]
    day = instant.removesuffix("T00:00:00Z")
    return f"{cited['kind']}{f' ({shown})' if shown else ''} of {day}"


def spell_window(window: Window) -> str | None:
    """`within 90d`; None for all the time up to now."""
    return str(window).strip() or None
