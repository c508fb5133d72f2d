"""What a rep needs before talking to an account: why now, what to say to each contact, and what happens next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from resegment.schemas.segments import Play
from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER, format_instant, parse_duration, spell_duration
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.evidence import cite, give_reason
from resegment.segmentation.evaluation.leaves.sequences import SequenceLeaf
from resegment.segmentation.evaluation.measures.newest import NewestOf
from resegment.segmentation.evaluation.program import KEPT_ATTRIBUTES, Program
from resegment.segmentation.inspection.next_change import copy_account, find_next
from resegment.segmentation.language.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Every,
    Growth,
    InSegment,
    IsOpen,
    Matcher,
    Named,
    Not,
    Occurs,
    Ratio,
    Score,
    Sequence,
    Some,
    Window,
    show_checks,
)
from resegment.segmentation.language.gates import DEALS, suppression_gate
from resegment.segmentation.plays.phrases import (
    spell_money,
    spell_number,
    spell_search,
    spell_term,
    spell_value,
    tell_absence,
    tell_cited,
    tell_many,
)
from resegment.segmentation.plays.rendering import cited_in, compile_play, render_play, with_personas
from resegment.segmentation.plays.templates import names_of

MAX_EVIDENCE: Final = 3
"""How many facts are named for one test: the newest."""

OPEN_DEALS: Final = "open-opportunities"
_SUPPRESSES: Final = suppression_gate("")


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a buyer may hold against it, and what to say then."""

    objection: str
    response: str | None = None


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The contacts, what each cares about, and the message for that contact."""

    name: str | None = None
    titles: tuple[str, ...] = ()
    cares_about: tuple[str, ...] = ()
    message: str | None = None


class Cadence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where they are reached, how often and over how long."""

    primary: str
    secondary: tuple[str, ...] = ()
    touches: int | None = None
    over: str | None = None


class Ground(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test that holds, in words; the newest facts behind it."""

    text: str
    test: str
    evidence: tuple[dict[str, Any], ...] = ()


class OpenDeal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deal that somebody works: `since` when, in RFC 3339."""

    since: str
    deal: str | None = None


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """The next change if nothing more becomes known; `at` in RFC 3339."""

    at: str
    to: str
    text: str


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """A play as it stands for one account at one instant; instants in RFC 3339.

    `open_deals` are worked by somebody: nobody prospects there. `play` and all that it says are None or empty where the segment has none. `suppressed_by` names what keeps the
    account from being enrolled, `do_not_contact` the persons not to contact, `problems` the texts that could not be rendered.
    """

    account: str
    name: str | None
    at: str
    segment: str
    since: str
    hypothesis: str | None
    why_now: tuple[Ground, ...]
    play: str | None
    description: str | None = None
    pain: str | None = None
    value: str | None = None
    proof_points: tuple[str, ...] = ()
    objections: tuple[Answer, ...] = ()
    personas: tuple[Contact, ...] = ()
    channels: Cadence | None = None
    cta: str | None = None
    assets: tuple[str, ...] = ()
    workflow: str | None = None
    team: str | None = None
    qualification: str | None = None
    suppressed_by: tuple[str, ...] = ()
    open_deals: tuple[OpenDeal, ...] = ()
    do_not_contact: tuple[str, ...] = ()
    next: Coming | None = None
    problems: tuple[str, ...] = ()
    definition_version: str


def write_brief(engine: Engine, account: Account, t: int) -> Brief:
    """Return the brief of an account that has been placed and advanced to t; it stays as it is.

    Raises KeyError where its segment is one that the definition does not have any more.
    """
    program = engine.program
    account = copy_account(engine, account)
    engine.evaluate(account, t)
    member = account.state.membership
    segment = program.segments[program.numbers[member.segment or ""]]
    coming = find_next(engine, account)
    name = account.attribute_at("name", t)
    play = program.definition.draws.draw(segment.name, account.name, member.entered).play
    said = {} if play is None else _say(program, account, t, play)
    suppressed = tuple(
        gate.removeprefix(_SUPPRESSES) for gate in account.state.active_gates if gate.startswith(_SUPPRESSES)
    )
    return Brief(
        account=account.name,
        name=name if isinstance(name, str) else None,
        at=format_instant(t),
        segment=segment.name,
        since=format_instant(member.entered),
        hypothesis=segment.hypothesis,
        why_now=tuple(_Grounds(program, account, t).tell(segment.when)),
        play=play,
        workflow=None if segment.route is None else segment.route.workflow,
        team=None if segment.route is None else segment.route.team,
        qualification=None if segment.route is None else segment.route.qualification,
        suppressed_by=suppressed,
        open_deals=tuple(_find_open_deals(program, account, t)) if OPEN_DEALS in suppressed else (),
        do_not_contact=account.state.do_not_contact,
        next=None if coming is None else Coming(at=coming.at, to=coming.to, text=coming.text),
        definition_version=program.version,
        **said,
    )


def _find_open_deals(program: Program, account: Account, t: int) -> Iterator[OpenDeal]:
    """Yield the deals whose newest outcome is that they were opened, the oldest first."""
    measure = program.measure(DEALS)
    if isinstance(measure, NewestOf):
        for entry in measure.facts(account, t):
            deal = (entry.data or {}).get("deal")
            yield OpenDeal(since=format_instant(entry.time), deal=None if deal is None else str(deal))


def describe_brief(brief: Brief) -> dict[str, Any]:
    """Return the brief as plain JSON data."""
    plain: dict[str, Any] = msgspec.to_builtins(brief)
    return plain


# What is said


def _say(program: Program, account: Account, t: int, name: str) -> dict[str, Any]:
    """Return the parts of a brief that come from its play."""
    definition = program.definition
    number = program.numbers[account.state.membership.segment or ""]
    play = with_personas(definition.plays[name], definition.personas)
    said, problems = render_play(
        compile_play(play),
        account=account.name,
        segment=account.state.membership.segment or "",
        values=_values(program, account, t, number, play),
        evidence=cited_in(give_reason(program, account, t, -1, number)),
    )
    message, channels = said["message"], said["channels"]
    return {
        "description": said.get("description"),
        "pain": message["pain"],
        "value": message["value_prop"],
        "proof_points": tuple(message["proof_points"]),
        "objections": tuple(
            Answer(objection=one) if isinstance(one, str) else Answer(**one)
            for one in message.get("objections", ())
        ),
        "personas": tuple(
            Contact(
                name=one.get("name"),
                titles=tuple(one.get("titles", ())),
                cares_about=_listed(one.get("cares_about")),
                message=one.get("message"),
            )
            for one in said.get("personas", ())
        ),
        "channels": Cadence(
            primary=channels["primary"],
            secondary=_listed(channels.get("secondary")),
            touches=channels.get("touches"),
            over=spell_duration(parse_duration(channels["over"])) if channels.get("over") else None,
        ),
        "cta": said.get("cta"),
        "assets": tuple(said.get("assets", ())),
        "problems": problems,
    }


def _values(program: Program, account: Account, t: int, number: int, play: Play) -> dict[str, Any]:
    """Return what the play's texts use, as far as the program keeps it: what a change tells, and whatever is tested."""
    measures = dict(program.carried[number])
    tested = {part.name for part in program.conditions if isinstance(part, Compare)}
    for name in names_of(play) & (tested | KEPT_ATTRIBUTES):
        measures.setdefault(name, program.measure(name))
    found = {name: measure.value(account, t) for name, measure in measures.items()}
    return {
        name: sorted(value, key=str) if isinstance(value, set) else value for name, value in found.items()
    }


def _listed(value: Any) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


# Why now


class _Grounds:
    """Tells, for one account at one instant, each test that holds."""

    def __init__(self, program: Program, account: Account, t: int) -> None:
        self.program, self.account, self.t = program, account, t

    def tell(self, when: Condition | None) -> Iterator[Ground]:
        """Yield what happened first, then what is measured, then what did not happen."""
        found: dict[str, tuple[int, Ground]] = {}
        for part, wanted in self._holding(when, True, set()):
            rank, ground = self._tell(part, wanted)
            found.setdefault(ground.text, (rank, ground))
        yield from (ground for _, ground in sorted(found.values(), key=lambda one: one[0]))

    def _holding(
        self, part: Condition | None, wanted: bool, seen: set[tuple[Condition, bool]]
    ) -> Iterator[tuple[Compare | Occurs | Sequence | IsOpen, bool]]:
        if isinstance(part, Not):
            yield from self._holding(part.part, not wanted, seen)
        elif isinstance(part, Every | Some):
            for one in part.parts:
                yield from self._holding(one, wanted, seen)
        elif isinstance(part, InSegment | Named):
            if (part, wanted) not in seen and self._says(part) is wanted:
                seen.add((part, wanted))
                yield from self._holding(self.program.condition_of(part), wanted, seen)
        elif part is not None and self._says(part) is wanted:
            yield part, wanted

    def _says(self, part: Condition) -> bool | None:
        return self.account.values[self.program.conditions[part]]

    def _tell(self, part: Compare | Occurs | Sequence | IsOpen, wanted: bool) -> tuple[int, Ground]:
        test = str(part) if wanted else f"not: {part}"
        if isinstance(part, Compare):
            return 1, Ground(text=self._tell_value(part, wanted), test=test)
        facts = [cite(entry) for entry in reversed(self._facts(part))]
        evidence = tuple(facts[:MAX_EVIDENCE])
        if isinstance(part, Sequence):
            text = ", then ".join(tell_cited(fact) for fact in reversed(facts)) if wanted else f"not: {part}"
            return (0 if wanted else 2), Ground(text=text, test=test, evidence=evidence if wanted else ())
        if isinstance(part, IsOpen):
            text = f"{len(facts)} open: {tell_many(facts, '')}" if facts else f"no {part.things}"
            return (1 if wanted else 2), Ground(text=text, test=test, evidence=evidence)
        period = _period(part.window)
        if not facts:
            return 2, Ground(text=tell_absence(part.matcher.kind, _sought(part.matcher), period), test=test)
        text = tell_cited(facts[0]) if len(facts) == 1 else tell_many(facts, period)
        return (0 if wanted else 2), Ground(
            text=text if wanted else f"only: {text}", test=test, evidence=evidence
        )

    def _facts(self, part: Occurs | Sequence | IsOpen) -> list[Entry]:
        if isinstance(part, IsOpen):
            return self.program.open_of(part.things).entries(self.account, self.t)
        leaf = self.program.leaves[self.program.conditions[part]]
        if isinstance(part, Occurs):
            return self.program.select(part.matcher, part.window).entries(self.account, self.t)
        return leaf.evidence(self.account, self.t) if isinstance(leaf, SequenceLeaf) else []

    def _tell_value(self, part: Compare, wanted: bool) -> str:
        value = self.program.measure(part.name).value(self.account, self.t)
        if value is None:
            return f"{spell_term(part.name)} is unknown"
        trait = self.program.traits.get(part.name)
        match trait:
            case Aggregate("count", matcher, window, _):
                what = f"{_counted(matcher.kind, value)}{spell_search(_sought(matcher))}"
                told = f"{spell_number(value)} {what} {_period(window)}".rstrip()
            case Aggregate("sum", matcher, window, "amount_usd") if isinstance(value, int | float):
                verb = "raised" if matcher.kind == "funding" else f"{matcher.kind}:"
                told = f"{verb} {spell_money(value)} {_period(window)}".rstrip()
            case Score() if isinstance(value, int | float):
                told = f"{spell_term(part.name)} {spell_number(value)} ({show_checks(part.checks)})"
            case Growth(attribute, over) if isinstance(value, int | float):
                word = "grew by" if value >= 0 else "shrank by"
                change = f"{word} {abs(value):.0%}" if round(value, 2) else "did not change"
                told = f"{_without_unit(attribute)} {change} in {spell_duration(over)}"
            case _:
                told = self._tell_plainly(part, value, trait is None)
        return told if wanted or trait is None else f"{told} (not {show_checks(part.checks)})"

    def _tell_plainly(self, part: Compare, value: Any, attribute: bool) -> str:
        name = spell_term(part.name)
        if isinstance(value, bool):
            return name if value else f"not {name}"
        if isinstance(value, set | frozenset | list):
            asked = [one for check in part.checks for one in _operands(check.operand)]
            shown = [one for one in sorted(value, key=str) if one in asked] or sorted(value, key=str)
            return f"{name}: {', '.join(str(one) for one in shown[:5])}" if shown else f"no {name}"
        if part.name == "employees":
            return f"{spell_value(value)} employees"
        if part.name.endswith("_usd") and isinstance(value, int | float):
            return f"{name.removesuffix(' usd')} of {spell_money(value)}"
        shown_value = spell_value(value) if isinstance(value, str | int | float) else "known"
        told = f"{name} {spell_term(shown_value) if attribute else shown_value}"
        if isinstance(self.program.traits.get(part.name), Decay | Ratio):
            told = f"{told} ({show_checks(part.checks)})"
        return told


def _without_unit(attribute: str) -> str:
    """Return `revenue_usd` as `revenue`: a percentage has no currency."""
    return spell_term(attribute.removesuffix("_usd"))


def _operands(operand: Any) -> tuple[Any, ...]:
    return operand if isinstance(operand, tuple) else (operand,)


def _period(window: Window) -> str:
    """`in the last 60 days`; nothing where all the time up to now counts."""
    if window.closes >= NEVER:
        return f"at least {spell_duration(window.opens)} ago" if window.opens else ""
    if window.opens:
        return f"between {spell_duration(window.opens)} and {spell_duration(window.closes)} ago"
    return f"in the last {spell_duration(window.closes)}"


def _sought(matcher: Matcher) -> dict[str, str]:
    """Return what an event test looks for, in plain values."""
    return {
        name: " or ".join(spell_value(one) for check in checks for one in _operands(check.operand))
        for name, checks in matcher.where
        if all(check.operator in ("eq", "in") for check in checks)
    }


def _counted(kind: str, number: float) -> str:
    words = {
        "hiring": "job",
        "funding": "round",
        "leadership": "change of leaders",
        "tech": "change of tools",
    }
    plurals = {"leadership": "changes of leaders", "tech": "changes of tools"}
    word = words.get(kind, f"{kind} event")
    return word if number == 1 else plurals.get(kind, f"{word}s")
