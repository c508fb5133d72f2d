"""Who uses the console, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import Depends, Request

Role = Literal["viewer", "operator"]


@dataclass(frozen=True, slots=True)
class User:
    """A person who uses the console. A viewer reads; an operator may also change things."""

    name: str
    role: Role

    @property
    def is_operator(self) -> bool:
        """Whether the user may change things."""
        return self.role == "operator"


LOCAL: Final = User("local", "viewer")
"""Who asks over loopback, where nobody logs in."""


def current_user(request: Request) -> User:
    """Return who asks: a dependency of every page."""
    user: User = getattr(request.state, "user", LOCAL)
    return user


CurrentUser = Annotated[User, Depends(current_user)]
