"""End an account that is merged into another, and empty one whose facts are decided from again."""

from __future__ import annotations

from resegment.schemas.change import Cause, SegmentChange, identify_change
from resegment.schemas.state import Limited, Membership
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import UNCHANGED, Decision, Engine


def end_account(engine: Engine, account: Account, t: int, cause: Cause, decided_at: int) -> Decision:
    """Forget all facts of an account and take it out of its segment: it is no account any more.

    The deadlines before `t` must have been decided.
    """
    clear_account(engine, account)
    account.deadline = NEVER
    state, old = account.state, account.state.membership
    if old.segment is None:
        return UNCHANGED
    version = engine.program.version
    change = SegmentChange(
        id=identify_change(account.name, t, old.segment, None, cause, version),
        account=account.name,
        sequence_number=state.sequence + 1,
        from_=old.segment,
        to=None,
        effective_at=t,
        decided_at=decided_at,
        cause=cause,
        reason={"holds": []},
        also_qualified=(),
        definition_version=version,
    )
    state.sequence += 1
    state.membership = Membership(None, t, {**old.left, old.segment: t})
    state.at, state.before, state.change = t, None, None
    state.active_gates, state.do_not_contact = (), ()
    state.lost_until, state.parent = 0, None
    return Decision(change)


def clear_account(engine: Engine, account: Account) -> None:
    """Forget all facts of an account, and decide nothing."""
    state = account.state
    state.entries, state.pruned, state.dropped, state.limited = [], 0, 0, Limited()
    engine.reopen(account)
    account.outdate()
