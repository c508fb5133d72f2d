"""What operators can do in a console, part by part."""

from __future__ import annotations

from dataclasses import dataclass

from resegment.http.operations.letters import Letters


@dataclass(frozen=True, slots=True)
class Operations:
    """The parts of a prefix that operators change."""

    letters: Letters
