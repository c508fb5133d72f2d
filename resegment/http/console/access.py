"""Who uses the console, and what they may do: the guard has found out before a page is asked."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request

from resegment.http.access.users import User

NOBODY: Final = User("nobody", "viewer", how="local")
"""Who asks for a page that needs no login, such as that of an error."""


def current_user(request: Request) -> User:
    """Return who asks: a dependency of every page."""
    user: User | None = getattr(request.state, "user", None)
    return NOBODY if user is None else user


def current_csrf(request: Request) -> str:
    """Return what the forms of this browser send along."""
    return str(getattr(request.state, "csrf", ""))


CurrentUser = Annotated[User, Depends(current_user)]
