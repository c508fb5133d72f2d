"""Carry an account from one version of the definition to the next."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from resegment.schemas.change import EnrollmentRoute
from resegment.schemas.state import Membership

Routed = EnrollmentRoute | tuple[str, ...]
"""Which accounts that a version moved are enrolled; or the segments whose new accounts are."""


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """What the version `number` means to the accounts that the version before has judged.

    `moved` has the names of segments that got another one: old to new. `rollback_of` is the version that it takes back.
    Where it is `gates_only`, both versions decide the same segments: a change at its instant has another cause.
    """

    number: int
    moved: Mapping[str, str] = {}
    route: Routed = "none"
    rollback_of: int | None = None
    gates_only: bool = False

    def carry(self, member: Membership) -> Membership:
        """Return the membership by the new names. Where two names become one, the later exit counts."""
        moved = self.moved
        if not moved or member.segment is None:
            return member
        left: dict[str, int] = {}
        for old, at in member.left.items():
            name = moved.get(old, old)
            left[name] = max(at, left.get(name, at))
        return Membership(moved.get(member.segment, member.segment), member.entered, left)

    def route_to(self, segment: str) -> EnrollmentRoute:
        """Return who is enrolled among the accounts that move to a segment."""
        route = self.route
        if isinstance(route, tuple):
            return "all" if segment in route else "none"
        return route
