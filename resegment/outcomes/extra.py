"""The libraries that judge outcomes are an extra."""

from __future__ import annotations

from resegment.errors import UserError


class OutcomesExtraMissing(UserError):
    """The libraries of the extra `outcomes` are not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(
            f"judging outcomes needs {library}, which is not installed",
            remedy="Run `pip install 'resegment[outcomes]'`.",
        )
        self.library = library
