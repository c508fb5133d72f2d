"""Apply what becomes known of one account, in the order in which it becomes known: facts, and steps of merges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from resegment.agents.batch import Record, is_readable
from resegment.agents.deciding import forgetting
from resegment.agents.deciding.merging import Merged, carry_out, is_step, receive
from resegment.errors import RefusedEvent
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.identities.steps import Step, decode_step, unpack_facts
from resegment.schemas.privacy.opening import OpenFact, as_it_is
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import UNCHANGED, Decision
from resegment.segmentation.versions.timeline import Timeline

Known = tuple[int, list[Fact] | Step, list[Record]]
"""Facts of one account that become known at one instant (ms), each with its record; or a step of a merge."""


class DamagedStep(RefusedEvent):
    """The facts that a step carries cannot be read. It is set aside, and changes nothing."""

    def __init__(self, step: Step, error: msgspec.DecodeError) -> None:
        super().__init__(
            "damaged-step",
            f"the step {step.step} of {step.account} changes nothing: {error}",
            field="facts",
        )


def read_known(record: Record, clock: int) -> tuple[str, Known] | None:
    """Return the account of a record of `signals`, and what becomes known of it; None for a tick, a mark or a dead letter."""
    if not is_readable(record) or record.value is None:
        return None
    try:
        if record.key is None:
            if not is_step(record):
                return None
            step = decode_step(record.value)
            return step.account, (clock, step, [record])
        fact = decode_fact(record.value)
    except msgspec.DecodeError:  # the segmenter set it aside
        return None
    return (fact.account, (clock, [fact], [record])) if record.key == fact.account.encode() else None


def receive_known(timeline: Timeline, known: Known) -> Known:
    """Return what becomes known without the fields that the version of its instant does not keep."""
    clock, facts, records = known
    return known if isinstance(facts, Step) else (clock, [timeline.receive(one) for one in facts], records)


@dataclass(frozen=True, slots=True)
class Applied:
    """The decisions about an account, the outcomes that took effect, and the facts that are passed to another account.

    `learned` are all outcomes that are new by their ids, whether they took effect or not: corrections and retractions too.
    `told` says that the account, or a person of it, was forgotten.
    """

    decisions: Sequence[Decision] = ()
    outcomes: Sequence[Fact] = ()
    forwards: Sequence[Fact] = ()
    learned: Sequence[Fact] = ()
    told: Sequence[Forgotten] = ()


NOTHING: Final = Applied()
"""What most facts lead to."""


def facts_of(groups: Iterable[Known]) -> Iterator[Fact]:
    """Yield the facts that may have to be opened: of records, and of steps. A damaged step has none: it is set aside."""
    for _, known, _ in groups:
        if isinstance(known, Step):
            with suppress(msgspec.DecodeError):
                yield from unpack_facts(known.facts)
        else:
            yield from known


def apply_known(
    timeline: Timeline, account: Account, groups: Sequence[Known], clock: int, opens: OpenFact = as_it_is
) -> Applied:
    """Apply facts in the order in which they become known, each after the deadlines before it.

    Facts come as the log has them. They are opened where they take effect; one that waits, or is passed on, stays sealed.
    Raises Tampered for one that does not open, and DamagedStep.

    A second delivery of an outcome and an older revision of one change nothing, so they do not count as outcomes.
    """
    decisions: list[Decision] = []
    for place, (at, known, _) in enumerate(groups):
        if isinstance(known, Step) or account.state.identity is not None or _tells_outcome(known):
            return _apply_rest(timeline, account, groups[place:], clock, decisions, opens)
        facts = known if opens is as_it_is else _open(timeline, opens, known)
        if not facts:
            continue
        if account.deadline < at:
            decisions += timeline.advance(account, at - 1, clock)
        for one in timeline.apply_facts(account, facts, at, clock):
            if one is not UNCHANGED:
                decisions.append(one)
    return Applied(decisions) if decisions else NOTHING


def _tells_outcome(facts: Sequence[Fact]) -> bool:
    for fact in facts:  # noqa: SIM110  # twice as fast as any(), and asked of every fact
        if fact.kind == "outcome":
            return True
    return False


def _apply_rest(
    timeline: Timeline,
    account: Account,
    groups: Sequence[Known],
    clock: int,
    decisions: list[Decision],
    opens: OpenFact,
) -> Applied:
    """Apply also steps of merges, outcomes, and what becomes known of accounts with merges."""
    outcomes: list[Fact] = []
    forwards: list[Fact] = []
    learned: list[Fact] = []
    told: list[Forgotten] = []
    for at, known, records in groups:
        facts: Sequence[Fact]
        if isinstance(known, Step) or account.state.identity is not None:
            merged = _merge(timeline, account, known, records[0], at, clock, opens)
            if merged.erases:
                decisions[:] = [Decision(one.change) for one in decisions if one.change is not None]
                outcomes.clear()
                learned.clear()
            decisions += merged.decisions
            forwards += merged.forwards
            learned += merged.learned
            told += merged.told
            facts = merged.facts
            if not (facts or isinstance(known, Step) or merged.is_lost):
                # it goes to the account that this one was merged into, or waits, or is forgotten
                learned += [one for one in _open(timeline, opens, known) if one.kind == "outcome"]
        else:
            facts = known
        facts = _open(timeline, opens, facts)
        if not facts:
            continue
        if account.deadline < at:
            decisions += timeline.advance(account, at - 1, clock)
        fresh: dict[tuple[str, str], Fact] = {}
        for fact in facts:
            if fact.kind == "outcome" and account.holder(fact.source, fact.id) is None:
                fresh.setdefault((fact.source, fact.id), fact)
        decisions += timeline.apply_facts(account, facts, at, clock)
        refused = account.refused or ()
        for key, fact in fresh.items():
            if key in refused:
                continue
            learned.append(fact)
            entry = account.holder(*key)
            if entry is None or entry.id == fact.id:
                outcomes.append(fact)
    return Applied(decisions, outcomes, forwards, learned, told)


def _merge(
    timeline: Timeline,
    account: Account,
    step: Sequence[Fact] | Step,
    record: Record,
    at: int,
    clock: int,
    opens: OpenFact,
) -> Merged:
    """Carry out a step, or receive facts of an account that merges concern."""
    if not isinstance(step, Step):
        return receive(account, step)
    act = forgetting.carry_out if step.step in forgetting.FORGETTING else carry_out
    try:
        return act(timeline, account, step, record, at, clock, opens)
    except msgspec.DecodeError as error:
        raise DamagedStep(step, error) from error


def _open(timeline: Timeline, opens: OpenFact, facts: Sequence[Fact]) -> Sequence[Fact]:
    """Return facts opened, as the version of their instant keeps them, without the absent ones."""
    if opens is as_it_is:
        return facts
    found = []
    for fact in facts:
        opened = opens(fact)
        if opened is not None:
            found.append(fact if opened is fact else timeline.receive(opened))
    return found
