"""Read the forms of pages, and answer them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import Response
from fastapi.responses import RedirectResponse

from resegment.errors import UserError
from resegment.http.access.answers import wants_page
from resegment.http.access.users import require
from resegment.http.console.viewing import Viewing
from resegment.http.operations.operations import Operations
from resegment.state.access.records import Area


class WrongForm(UserError):
    """A form lacks a field, or has a value that cannot be used."""


async def read_form(view: Viewing) -> Mapping[str, list[str]]:
    """Return the fields of a form, each with all its values."""
    form = await view.request.form()
    found: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            found.setdefault(name, []).append(value)
    return found


def read_one(form: Mapping[str, list[str]], name: str) -> str:
    """Return the value of a field that the form has. Raises WrongForm."""
    values = form.get(name, [])
    if not values or not values[0].strip():
        raise WrongForm(f"the form has no {name}", remedy="Fill it in, and send the form again.")
    return values[0]


def operate(view: Viewing, area: Area) -> Operations:
    """Return what operators can do, if the user may change something of that area. Raises MayNotAct."""
    require(view.user, area)
    return view.operations


def done(view: Viewing, path: str, **told: Any) -> Response:
    """Answer a form: a browser reads the page at `path` again, with `told` in its address; a program gets that as JSON."""
    if not wants_page(view.request.scope):
        return Response(orjson.dumps(told), media_type="application/json")
    given = {name: value for name, value in told.items() if value is not None}
    query = urlencode(given)
    joined = "&" if "?" in path else "?"
    return RedirectResponse(view.url(f"{path}{joined}{query}" if query else path), 303)


def read_count(view: Viewing, name: str) -> int | None:
    """Return a number that `done` put into the address; None without it."""
    text = view.request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
