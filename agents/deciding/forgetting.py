"""Carry out the steps that forget an account, lift that, or take the facts of a forgotten person out of an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from resegment.agents.batch import Record
from resegment.agents.deciding.merging import NOTHING, Merged, explain, open_counted, stash
from resegment.schemas.change import Cause
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.identities.steps import Step, unpack_facts
from resegment.schemas.privacy.opening import OpenFact, as_it_is
from resegment.schemas.state import AccountState, Identity, Membership
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Decision
from resegment.segmentation.versions.timeline import Timeline

FORGETTING: Final = frozenset({"forget", "lift", "hold", "renew"})
"""The steps of this module."""
UNTOLD: Final = ("",)
"""In the place of the persons not to contact: they are told again, because messages that told them lost them."""


def carry_out(
    timeline: Timeline,
    account: Account,
    step: Step,
    record: Record,
    at: int,
    clock: int,
    opens: OpenFact = as_it_is,
) -> Merged:
    """Carry out one step. One that was carried out before, or that a later one has outdated, changes nothing."""
    identity = account.state.identity or Identity()
    match step.step:
        case "forget":
            return _forget(timeline, account, identity, step, at, clock)
        case "lift":
            if identity.forgets < step.op:
                account.state.identity = replace(identity, forgotten=False, forgets=step.op)
                account.state.sequence = max(account.state.sequence, step.sequence)
            return NOTHING
        case "hold":
            return _hold(timeline, account, identity, step, record.offset, at)
        case _:
            return _renew(timeline, account, identity, step, at, clock, opens)


def _forget(
    timeline: Timeline, account: Account, identity: Identity, step: Step, at: int, clock: int
) -> Merged:
    if identity.forgets >= step.op:
        return NOTHING
    if identity.mode == "held" and identity.held is not None:
        account.state.membership = identity.held
    decisions = timeline.end(account, at, Cause(forgotten="account"), clock)
    account.state = erased(account.state, timeline.at(at).number)
    mode = identity.mode if identity.mode in ("closed", "open") else ""
    account.state.identity = replace(
        identity, mode=mode, kept=(), forgotten=True, forgets=step.op, until=at, held=None
    )
    account.folded = None
    ended = [Decision(one.change) for one in decisions if one.change is not None]
    return Merged(ended, told=[_tell(account, step, at)], erases=True)


def _hold(
    timeline: Timeline, account: Account, identity: Identity, step: Step, offset: int, at: int
) -> Merged:
    if identity.forgets >= step.op:
        return NOTHING
    if identity.mode or identity.forgotten:  # it has no facts of its own now
        account.state.identity = replace(identity, forgets=step.op)
        return Merged(told=[_tell(account, step, at)])
    state = account.state
    held = state.membership
    timeline.empty(account)
    state.membership = Membership()
    account.state.identity = replace(
        identity, mode="held", op=step.op, offset=offset, forgets=step.op, held=held
    )
    return NOTHING


def _renew(
    timeline: Timeline,
    account: Account,
    identity: Identity,
    step: Step,
    at: int,
    clock: int,
    opens: OpenFact,
) -> Merged:
    if identity.mode != "held" or identity.op != step.op:
        return NOTHING
    found: Sequence[Fact] = unpack_facts(step.facts)
    if step.more:
        stash(account, identity, found)
        return NOTHING
    found = [*(decode_fact(one) for one in identity.kept), *found]
    facts = open_counted(timeline, opens, found, identity)
    state = account.state
    state.identity = replace(identity, mode="", kept=(), held=None)
    state.membership = Membership(step.segment, step.entered, step.left)
    state.at, state.before, state.change = -1, None, None
    state.sequence = max(state.sequence, step.sequence)
    if facts:
        known, state.do_not_contact = state.do_not_contact, UNTOLD
        refilled = timeline.refill(account, facts, at, clock)
        decisions = [explain(one, forgotten="person") for one in refilled]
        if state.do_not_contact == UNTOLD:  # nothing was decided: all of them are too old
            state.do_not_contact = known
    else:
        decisions = timeline.end(account, at, Cause(forgotten="person"), clock)
    learned = [one for one in facts if one.kind == "outcome"]
    return Merged(decisions, told=[_tell(account, step, at)], learned=learned, erases=True)


def erased(state: AccountState, version: int) -> AccountState:
    """Return the state of an account of which nothing is known but how often it changed.

    The deadline is the one that the store has: it is removed with the next write.
    """
    return AccountState(sequence=state.sequence, version=version, deadline=state.deadline)


def _tell(account: Account, step: Step, at: int) -> Forgotten:
    sequence, person = account.state.sequence, step.step != "forget"
    return Forgotten(account=account.name, at=at, sequence=sequence, op=step.op, person=person)
