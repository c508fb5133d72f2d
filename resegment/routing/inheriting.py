"""Leave what an account has been through to the account that it is merged into."""

from __future__ import annotations

from resegment.schemas.routing import Inherit, RoutedState, Touched


def inherit_of(alias: str, account: str, state: RoutedState, now: int) -> Inherit:
    """Return what an account leaves to the one that it is merged into. `state` is as it was before it ended.

    The workflow that it is in does not count as left: the account may go on in it.
    """
    running = state.enrollment
    return Inherit(
        account=account,
        at=now,
        alias=alias,
        workflow=None if running is None else running.workflow,
        left=dict(state.left),
        owners=dict(state.owners),
        touched=state.touched,
    )


def take_inherit(state: RoutedState, event: Inherit) -> None:
    """Let what another account has been through count for this one too. Done twice, it has the effect of once."""
    state.left = {
        name: max(state.left.get(name, 0), event.left.get(name, 0))
        for name in state.left.keys() | event.left.keys()
    }
    state.owners = {**event.owners, **state.owners}
    mine, others = state.touched, event.touched
    state.touched = Touched(
        tuple(dict.fromkeys((*others.workflows, *mine.workflows))),
        tuple(dict.fromkeys((*others.plays, *mine.plays))),
    )
    running = state.enrollment
    if event.workflow is not None and (running is None or running.workflow != event.workflow):
        state.heir_of = event.workflow
