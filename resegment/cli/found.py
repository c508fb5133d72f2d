"""Write what a source makes of its files: events to standard output, and the rest to standard error."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from resegment.errors import RefusedEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from resegment.sources.conversion import Found


def write_found(found: Iterable[Found]) -> int:
    """Write events to standard output, and what was refused or left out to standard error; return how many events."""
    from resegment.console.terminal import encode_line
    from resegment.sources.adapters.port import Remark

    events = 0
    output, errors = sys.stdout.buffer, sys.stderr.buffer
    for file, line, item in found:
        if isinstance(item, RefusedEvent | Remark):
            said = {
                "file": file,
                "line": line,
                "reason": item.reason,
                "field": item.field,
                "message": item.message,
            }
            errors.write(encode_line({**said, "refused": isinstance(item, RefusedEvent)}))
        else:
            output.write(encode_line(item))
            events += 1
    output.flush()
    errors.flush()
    return events
