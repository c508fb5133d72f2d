"""Tokens of the console on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from resegment.console.dates import spell_moment
from resegment.console.tables import make_table
from resegment.schemas.times import format_instant
from resegment.state.access.records import Token


def render_tokens(tokens: Sequence[Token]) -> Table:
    """Render a line for each token that can be used."""
    table = make_table()
    table.add_column("name", overflow="fold", max_width=40)
    table.add_column("role", no_wrap=True)
    table.add_column("may change", overflow="fold")
    table.add_column("until (UTC)", no_wrap=True)
    table.add_column("made (UTC)", no_wrap=True)
    table.add_column("by", overflow="fold", max_width=30)
    for one in tokens:
        table.add_row(
            one.name,
            one.role,
            "nothing"
            if one.role == "viewer"
            else "everything"
            if one.areas is None
            else ", ".join(one.areas),
            "" if one.expires is None else spell_moment(one.expires),
            spell_moment(one.made),
            one.made_by,
        )
    return table


def describe_token(token: Token, now: int) -> dict[str, Any]:
    """Return a token as plain JSON data, instants in RFC 3339."""
    return {
        "name": token.name,
        "role": token.role,
        "only": None if token.areas is None else list(token.areas),
        "made": format_instant(token.made),
        "made_by": token.made_by,
        "expires": None if token.expires is None else format_instant(token.expires),
        "revoked": None if token.revoked is None else format_instant(token.revoked),
        "live": token.is_live(now),
    }
