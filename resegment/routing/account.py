"""Define an account as the router holds it in memory."""

from __future__ import annotations

from typing import Final

from resegment.schemas.routing import RoutedState, Touched
from resegment.schemas.times import NEVER

IN_MEMORY: Final = 2_500
"""About the bytes of memory that one account takes."""


class RoutedAccount:
    """An account's state of routing, with its deadline as a number (ms)."""

    __slots__ = ("cached", "deadline", "kept_deadline", "name", "state")

    def __init__(self, name: str, state: RoutedState) -> None:
        self.name, self.state = name, state
        self.kept_deadline = state.deadline
        self.cached = 0
        self.deadline = NEVER if state.deadline is None else state.deadline

    @property
    def is_known(self) -> bool:
        """Return whether there is anything to store. Gates and requests may come before the first change."""
        state = self.state
        return (
            state.target is not None
            or state.enrollment is not None
            or state.gates_at >= 0
            or state.requested is not None
            or state.family is not None
            or bool(state.inherited)
            or state.forgotten >= 0
            or state.forgets > 0
        )

    def measure(self) -> int:
        """Return about how many bytes of memory the account takes: all are of about the same size."""
        return IN_MEMORY


def touch(state: RoutedState, workflow: str, play: str | None) -> None:
    """Note the workflow and the play that touch the account."""
    touched = state.touched
    if workflow not in touched.workflows or (play is not None and play not in touched.plays):
        workflows = dict.fromkeys((*touched.workflows, workflow))
        plays = dict.fromkeys(touched.plays if play is None else (*touched.plays, play))
        state.touched = Touched(tuple(workflows), tuple(plays))
