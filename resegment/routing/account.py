"""Define an account as the router holds it in memory."""

from __future__ import annotations

from resegment.schemas.routing import RoutedState
from resegment.schemas.times import NEVER


class RoutedAccount:
    """An account's state of routing, with its deadline as a number (ms)."""

    __slots__ = ("deadline", "kept_deadline", "name", "state")

    def __init__(self, name: str, state: RoutedState) -> None:
        self.name, self.state = name, state
        self.kept_deadline = state.deadline
        self.deadline = NEVER if state.deadline is None else state.deadline
