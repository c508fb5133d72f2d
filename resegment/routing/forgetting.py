"""Forget what the router knows of an account, or what may name or quote a person of it."""

from __future__ import annotations

import msgspec

from resegment.routing.transition import Asking, Transition
from resegment.schemas.change import Restrictions
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.outcomes.touch import TouchesForgotten
from resegment.schemas.routing import RoutedState


def forget(transition: Transition, event: Forgotten) -> Asking:
    """Apply the event. Applied twice, it has the effect of once."""
    if event.person:
        forget_person(transition.state)
    else:
        yield from forget_account(transition, event.at, event.sequence)
    transition.state.forgets = max(transition.state.forgets, event.op)


def forget_account(transition: Transition, at: int, sequence: int) -> Asking:
    """Take the account out of its workflow, tell its relatives that it is gone, and remember nothing of it."""
    state = transition.state
    transition.set_gates((), Restrictions(), max(at, state.gates_at), max(sequence, state.gates_sequence))
    yield from transition.stop_waiting()
    yield from transition.take_out("forgotten")
    transition.touches[:] = [TouchesForgotten(account=transition.account.name, at=transition.now)]
    blank = RoutedState(forgotten=max(sequence, state.forgotten), forgets=state.forgets)
    for name in RoutedState.__struct_fields__:
        setattr(state, name, getattr(blank, name))


def forget_person(state: RoutedState) -> None:
    """Forget texts and values, which may name or quote a person."""
    target = state.target
    if target is not None:  # the restrictions are told again
        state.target = msgspec.structs.replace(target, values={}, message=None, evidence=None)
