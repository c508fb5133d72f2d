"""Make the touch of an enrollment, and that of a draw which held an account out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from resegment.routing.touching.refusals import find_refusal, find_too_soon
from resegment.schemas.outcomes.messages import identify_holdout
from resegment.schemas.outcomes.touch import Touch
from resegment.schemas.routing import Enrollment, RoutedState, Target

if TYPE_CHECKING:
    from resegment.routing.policy import Policy


def make_touch(account: str, target: Target, policy: Policy, enrollment: Enrollment) -> Touch:
    """Return the touch of an enrollment that the account's latest change leads to."""
    return Touch(
        touch=enrollment.key,
        account=account,
        at=enrollment.at,
        segment=enrollment.segment,
        workflow=enrollment.workflow,
        play=enrollment.play,
        owner=enrollment.owner,
        team=enrollment.team,
        channel=policy.channel(enrollment.play),
        definition_version=target.version or policy.version,
        version=policy.number_of(target.version),
        experiment=target.experiment,
        variant=target.variant,
        change=target.change,
    )


def draw(account: str, state: RoutedState, policy: Policy, now: int, *, is_new: bool) -> tuple[Touch, ...]:
    """Return the touch of an account that is held out, if it would be enrolled at `now` (ms) otherwise.

    Only then can it be compared with those that are enrolled. `is_new` says that it is not in the workflow yet.
    """
    target = state.target
    if target is None or target.route is None:
        return ()
    free = msgspec.structs.replace(target, holdout=False)
    if find_refusal(account, state, free, policy, is_in=not is_new) is not None:
        return ()
    if is_new and (find_too_soon(state, free, policy, now) or policy.hold_back(free, state)):
        return ()
    route = target.route
    return (
        Touch(
            touch=identify_holdout(target.change, route.workflow),
            account=account,
            at=now,
            segment=target.segment,
            workflow=route.workflow,
            arm="holdout",
            play=target.play,
            team=route.team,
            channel=policy.channel(target.play),
            definition_version=target.version or policy.version,
            version=policy.number_of(target.version),
            experiment=target.experiment,
            variant=target.variant,
            change=target.change,
        ),
    )
