"""Find what speaks against enrolling an account now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resegment.routing.decisions import AFTER_LOST, NOT_ROUTED, reason_of
from resegment.schemas.routing import RoutedState, RoutingDecision, Target
from resegment.schemas.times import format_instant

if TYPE_CHECKING:
    from resegment.routing.policy import Policy


def find_refusal(
    account: str, state: RoutedState, target: Target, policy: Policy, *, is_in: bool
) -> tuple[RoutingDecision, str] | None:
    """Return the decision and reason against the target's workflow; None if there is none.

    `is_in` says that the account is in the workflow already.
    """
    if target.route is None:
        return "no-route", ""
    suppression = policy.suppressed_by(account, state)
    if suppression is not None:
        return "suppressed", suppression
    if target.holdout:
        return "holdout", ""
    mode = policy.mode
    if target.kept_out is not None and not (is_in or state.forced):
        return NOT_ROUTED, reason_of(target)
    passes = mode == "all" or (mode == "changed" and (state.admitted or not target.is_first))
    if not (passes or is_in or state.forced):
        return NOT_ROUTED, f"routing is {mode}"
    return None


def find_too_soon(
    state: RoutedState, target: Target, policy: Policy, now: int
) -> tuple[RoutingDecision, str, int | None] | None:
    """Return the re-entry rule that keeps the account out of the workflow at `now`, and until when (ms) if that ends."""
    route = target.route
    if route is None:
        return None
    if route.workflow in state.left and route.reentry == "never":
        return "never-again", f"it has been in {route.workflow}", None
    until, lost_until = policy.cooled_down(state, target), state.lost_until
    if (ends := max(until, lost_until)) > now:
        after = AFTER_LOST if lost_until >= until else ""
        return "cooldown", f"until {format_instant(ends)}{after}", ends
    capped = policy.capped_until(state)
    if capped > now:
        return "capped", f"{policy.limits} until {format_instant(capped)}", capped
    return None
