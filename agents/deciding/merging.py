"""Carry out the steps of merges and unmerges on accounts, and lead the facts of an alias to its account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from resegment.agents.batch import Message, Record, is_readable
from resegment.schemas.change import Cause
from resegment.schemas.fact import Fact, decode_fact, encode_fact
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.identities.steps import Step, decode_step, encode_step, unpack_facts
from resegment.schemas.privacy.opening import OpenFact, as_it_is, open_all
from resegment.schemas.state import Identity
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Decision
from resegment.segmentation.versions.timeline import Timeline

STEP: Final = "identity"
"""The header of a record of `signals` that carries no fact of its own, but a step of a merge."""


def step_message(topic: str, partition: int, step: Step, timestamp: int) -> Message:
    """Return the message of a step for the partition of its account. `timestamp` 0 moves no clock."""
    return Message(topic, None, encode_step(step), [(STEP, b"")], partition, timestamp)


def is_step(record: Record) -> bool:
    """Return whether a record without a key carries a step."""
    return is_readable(record) and any(name == STEP for name, _ in record.headers)


class Merged(NamedTuple):
    """What a step, or facts of an account that merges concern, led to.

    `facts` are to be applied next, `forwards` are passed to the account that this one was merged into. `told` is for the
    router, and `learned` are outcomes that it learns again. A step that `erases` takes back what facts of the same batch led to.
    """

    decisions: Sequence[Decision] = ()
    facts: Sequence[Fact] = ()
    forwards: Sequence[Fact] = ()
    told: Sequence[Forgotten] = ()
    learned: Sequence[Fact] = ()
    erases: bool = False
    is_lost: bool = False
    """Whether the facts count for nothing, because the account is forgotten."""


NOTHING: Final = Merged()
LOST: Final = Merged(is_lost=True)


def counts(fact: Fact, identity: Identity) -> bool:
    """Return whether all merges through which a fact came still count for the account."""
    return all(op > identity.parted.get(alias, 0) for alias, op in fact.via)


def receive(account: Account, facts: Sequence[Fact]) -> Merged:
    """Return what to do with facts that come to an account that merges concern."""
    identity = account.state.identity
    if identity is None:
        return Merged(facts=facts)
    if identity.forgotten:
        return LOST
    facts = [one for one in facts if counts(one, identity)]
    if identity.mode == "open":
        return Merged(forwards=[_forward(one, account.name, identity) for one in facts])
    if identity.mode:
        kept = (*identity.kept, *map(encode_fact, facts))
        account.state.identity = replace(identity, kept=kept)
        return Merged(facts=facts) if identity.mode == "parting" else NOTHING
    return Merged(facts=facts)


def carry_out(
    timeline: Timeline,
    account: Account,
    step: Step,
    record: Record,
    at: int,
    clock: int,
    opens: OpenFact = as_it_is,
) -> Merged:
    """Carry out one step. One that was carried out before, or that a later one has outdated, changes nothing.

    Facts that it applies are opened; those that it returns are as the log has them.
    """
    identity = account.state.identity or Identity()
    match step.step:
        case "close":
            return _close(timeline, account, identity, step, record.offset, at, clock)
        case "join":
            return _join(timeline, account, identity, step, at, clock, opens)
        case "open":
            return _open(account, identity, step)
        case "part":
            return _part(account, identity, step, record.offset)
        case "restore":
            return _restore(account, identity, step, record.offset)
        case "reset":
            return _reset(timeline, account, identity, step, at, clock, opens)
        case _:
            return NOTHING


def _close(
    timeline: Timeline, account: Account, identity: Identity, step: Step, offset: int, at: int, clock: int
) -> Merged:
    if identity.op >= step.op:
        return NOTHING
    decisions = timeline.end(account, at, Cause(merged=step.other), clock)
    account.state.identity = Identity("closed", step.other, step.op, offset, identity.parted)
    return Merged(decisions)


def _join(
    timeline: Timeline,
    account: Account,
    identity: Identity,
    step: Step,
    at: int,
    clock: int,
    opens: OpenFact,
) -> Merged:
    if step.op <= identity.parted.get(step.other, 0):
        return NOTHING
    facts: Sequence[Fact] = [timeline.receive(one) for one in unpack_facts(step.facts)]
    if identity.mode:  # it has been merged itself since, or waits: these were joined before
        return receive(account, facts)
    if step.more:
        stash(account, identity, facts)
        return NOTHING
    if identity.kept:
        facts = [*(decode_fact(one) for one in identity.kept), *facts]
        account.state.identity = replace(identity, kept=())
    facts = open_counted(timeline, opens, facts, identity)
    decisions = timeline.advance(account, at - 1, clock)
    if facts:
        decided = timeline.apply_facts(account, facts, at, clock)
        decisions += [explain(one, merged=step.other) for one in decided]
    return Merged(decisions)


def _open(account: Account, identity: Identity, step: Step) -> Merged:
    if identity.mode != "closed" or identity.op != step.op:
        return NOTHING
    waiting = [decode_fact(one) for one in identity.kept]
    account.state.identity = replace(identity, mode="open", kept=())
    return receive(account, waiting)


def _part(account: Account, identity: Identity, step: Step, offset: int) -> Merged:
    if step.op <= identity.parted.get(step.other, 0):
        return NOTHING
    parted = {**identity.parted, step.other: step.op}
    if identity.mode:
        account.state.identity = replace(identity, parted=parted)
    else:
        account.state.identity = Identity("parting", None, step.op, offset, parted)
    return NOTHING


def _restore(account: Account, identity: Identity, step: Step, offset: int) -> Merged:
    if identity.op < step.op:
        account.state.identity = Identity("returning", None, step.op, offset, identity.parted)
    return NOTHING


def _reset(
    timeline: Timeline,
    account: Account,
    identity: Identity,
    step: Step,
    at: int,
    clock: int,
    opens: OpenFact,
) -> Merged:
    if identity.mode not in ("returning", "parting") or identity.op != step.op:
        return NOTHING
    facts = unpack_facts(step.facts)
    if step.more:
        stash(account, identity, facts)
        return NOTHING
    facts = [*facts, *(decode_fact(one) for one in identity.kept)]
    facts = open_counted(timeline, opens, facts, identity)
    account.state.identity = replace(identity, mode="", kept=())
    if not facts:
        return Merged(timeline.end(account, at, Cause(unmerged=step.other), clock))
    refilled = timeline.refill(account, facts, at, clock)
    return Merged([explain(one, unmerged=step.other) for one in refilled])


def open_counted(
    timeline: Timeline, opens: OpenFact, facts: Sequence[Fact], identity: Identity
) -> Sequence[Fact]:
    """Return the facts of steps that count, opened, as the version of their instant keeps them, without those that are absent.

    One that does not open was set aside when it came.
    """
    counted = [one for one in facts if counts(one, identity)]
    return [timeline.receive(one) for one in open_all(opens, counted)]


def stash(account: Account, identity: Identity, facts: Sequence[Fact]) -> None:
    """Keep the facts of a part of a step until the rest of it comes."""
    account.state.identity = replace(identity, kept=(*identity.kept, *map(encode_fact, facts)))


def explain(
    decision: Decision,
    *,
    merged: str | None = None,
    unmerged: str | None = None,
    forgotten: Literal["person"] | None = None,
) -> Decision:
    """Return a decision with the operation as a cause of its change, unless time alone caused it."""
    change = decision.change
    if change is None or change.cause.deadline is not None:
        return decision
    cause = replace(change.cause, merged=merged, unmerged=unmerged, forgotten=forgotten)
    return Decision(replace(change, cause=cause), decision.gate_change)


def _forward(fact: Fact, alias: str, identity: Identity) -> Fact:
    """Return a fact as it is passed to the account that the alias was merged into."""
    assert identity.into is not None
    return replace(fact, account=identity.into, via=(*fact.via, (alias, identity.op)))


class AccountFacts:
    """Collects the facts in a partition's log that came to an account, those that were joined to it included.

    What came before the account was forgotten, and until that was lifted, is left out.
    """

    def __init__(self, account: str) -> None:
        self.facts: list[Fact] = []
        self._account, self._key, self._gone = account, account.encode(), False

    def take(self, records: Iterable[Record]) -> None:
        """Take the next records."""
        for record in records:
            if not is_readable(record) or record.value is None:
                continue
            with suppress(msgspec.DecodeError):  # the segmenter set it aside
                if record.key == self._key and not self._gone:
                    self.facts.append(decode_fact(record.value))
                elif record.key is None and is_step(record):
                    self._carry_out(decode_step(record.value))

    def _carry_out(self, step: Step) -> None:
        if step.account != self._account:
            return
        if step.step == "join" and not self._gone:
            self.facts += unpack_facts(step.facts)
        elif step.step == "forget":
            self.facts.clear()
            self._gone = True
        elif step.step == "lift":
            self._gone = False


class FoldedFacts:
    """Finds the facts that count for accounts in the whole log of a partition, up to where it is read.

    Facts that came through merges count, or not, by what holds in the end.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[int, Fact]]] = {}
        self._parted: dict[str, dict[str, int]] = {}
        self.closed: set[str] = set()
        """The accounts that are merged into others: none of their facts count."""
        self._forgotten: set[str] = set()
        self.dropped: list[str] = []
        """Accounts of which nothing counts that was returned so far: they were forgotten."""

    def take(self, record: Record, clock: int) -> Fact | None:
        """Return the fact of a record if it counts whatever comes later; `clock` (ms) is when it became known."""
        if not is_readable(record) or record.value is None:
            return None
        try:
            if record.key is not None:
                fact = decode_fact(record.value)
                if fact.account in self._forgotten:
                    return None
                if not fact.via:
                    return fact if record.key == fact.account.encode() else None
                self._waiting.setdefault(fact.account, []).append((clock, fact))
            elif is_step(record):
                self._note(decode_step(record.value), clock)
        except msgspec.DecodeError:  # a dead letter: the segmenter set it aside too
            pass
        return None

    def rest(self) -> Iterator[tuple[str, int, Fact]]:
        """Yield the other facts that count, each with its account and when (ms) it became known."""
        for account, facts in self._waiting.items():
            identity = Identity(parted=self._parted.get(account, {}))
            yield from ((account, clock, one) for clock, one in facts if counts(one, identity))

    def _note(self, step: Step, clock: int) -> None:
        if step.step == "join":
            facts = unpack_facts(step.facts)
            self._waiting.setdefault(step.account, []).extend((clock, one) for one in facts)
        elif step.step == "part":
            self._parted.setdefault(step.account, {})[step.other] = step.op
        elif step.step == "close":
            self.closed.add(step.account)
        elif step.step == "restore":
            self.closed.discard(step.account)
        elif step.step == "forget":
            self._waiting.pop(step.account, None)
            self._forgotten.add(step.account)
            self.dropped.append(step.account)
        elif step.step == "lift":
            self._forgotten.discard(step.account)
