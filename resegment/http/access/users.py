"""Who asks: a person or a program, and what they may do."""

from __future__ import annotations

from typing import Literal, NamedTuple

from resegment.errors import UserError
from resegment.state.access.records import Area, Role


class User(NamedTuple):
    """Who asks. `areas` limits what an operator may change; None is everything.

    `how` is `local` for someone on this machine without login, `session` for a login in a browser, and `token` for a
    program that sends its token with each request.
    """

    name: str
    role: Role = "viewer"
    areas: tuple[Area, ...] | None = None
    how: Literal["local", "session", "token"] = "session"

    @property
    def is_operator(self) -> bool:
        """Whether the user may change something."""
        return self.role == "operator"

    def may(self, area: Area) -> bool:
        """Return whether this user may change something of that area."""
        return self.role == "operator" and (self.areas is None or area in self.areas)


class MayNotAct(UserError):
    """The user may only read, or may not change that."""

    def __init__(self, user: User, area: Area | None = None) -> None:
        self.user, self.area = user, area
        what = "change anything" if area is None or user.role == "viewer" else f"change {area}"
        super().__init__(
            f"{user.name} may not {what}: the role is {user.role}"
            + (f", for {', '.join(user.areas)} only" if user.role == "operator" and user.areas else ""),
            remedy="Sign in as an operator. `resegment tokens create NAME --role operator` makes a token.",
        )


def require(user: User, area: Area) -> User:
    """Return the user if they may change something of that area. Raises MayNotAct."""
    if not user.may(area):
        raise MayNotAct(user, area)
    return user
