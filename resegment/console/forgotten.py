"""Print what is left of all that is forgotten, and until when."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from resegment.console.dates import spell_instant
from resegment.console.terminal import print_note, screen, write_json_lines
from resegment.schemas.times import format_instant
from resegment.streams.forgetting.checking import Left


def print_left(found: Sequence[Left], *, as_json: bool) -> int:
    """Print it, and return the exit code: 1 if something should be gone and is not."""
    if as_json:
        write_json_lines(sys.stdout.buffer, [_describe(one) for one in found])
    else:
        about = ""
        for one in found:
            named = f"a person of {one.account}" if one.person else one.account
            if named != about:
                about = named
                screen().print(f"{named}:", soft_wrap=True)
            until = "" if one.until is None else f": until {spell_instant(one.until)}"
            screen().print(f"  {'wrong: ' if one.is_wrong else ''}{one.what}{until}", soft_wrap=True)
        if not found:
            print_note("nothing is forgotten")
    return 1 if any(one.is_wrong for one in found) else 0


def _describe(one: Left) -> dict[str, object]:
    return {
        "account": one.account,
        "person": one.person,
        "left": one.what,
        "until": None if one.until is None else format_instant(one.until),
        "wrong": one.is_wrong,
    }
