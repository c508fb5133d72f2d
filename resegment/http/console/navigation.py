"""The pages in the navigation, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """A page of the navigation: its name, and its path below the console's address."""

    title: str
    path: str

    def is_at(self, path: str) -> bool:
        """Whether a path is that page, or one below it."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


NAVIGATION: Final = (
    Entry("Overview", "/"),
    Entry("Segments", "/segments"),
    Entry("Accounts", "/accounts"),
    Entry("Changes", "/changes"),
    Entry("Versions", "/versions"),
    Entry("Outcomes", "/outcomes"),
    Entry("Pipeline", "/pipeline"),
    Entry("Sources", "/sources"),
    Entry("Dead letters", "/dead-letters"),
    Entry("Workflows", "/workflows"),
    Entry("Webhooks and sinks", "/delivery"),
    Entry("Audit", "/audit"),
)
