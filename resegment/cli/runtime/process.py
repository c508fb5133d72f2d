"""Whether this process belongs to the command. If so, the command may end it; a test that invokes a command may not."""

from __future__ import annotations

_owned = False


def own() -> None:
    """Note that the process runs this one command: the script `resegment` and `python -m resegment` do."""
    global _owned  # noqa: PLW0603  # a fact about the process
    _owned = True


def is_owned() -> bool:
    """Return whether `own` was called."""
    return _owned
