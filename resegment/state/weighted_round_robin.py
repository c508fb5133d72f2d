"""Weighted round robin: each member's number of draws stays less than one away from their exact share.

This is the rule of R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980), 323-330: with k
members, of those who are due at least 1/(2k-2) of a draw that one is next who would first be due 1 - 1/(2k-2) if
passed over. Nobody's deviation then exceeds 1 - 1/(2k-2), which no rule betters. It holds while the same members
have the same weights; where those who are there change from draw to draw, a draw adds to the dues of those who are
there, and the rule continues from these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

FORGOTTEN: Final = 1_000
"""After this many draws without a member, their dues are divided among the others."""

_NOISE: Final = 1e-9
"""Greater than the rounding errors of sums, and less than any difference of shares that matters."""


@dataclass(slots=True)
class WeightedRoundRobin:
    """The turns of one team: the number of draws, and for each member what they are due and their last draw.

    A member is due their share of all draws that they took part in, minus the draws that chose them.
    """

    draws: int = 0
    due: dict[str, float] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def draw(self, members: Sequence[tuple[str, int]]) -> str:
        """Return the next of some members, at least one, each with a weight. `owners.lua` does the same."""
        self.draws += 1
        total = sum(weight for _, weight in members)
        for name, weight in members:
            self.due[name] = self.due.get(name, 0.0) + weight / total
            self.seen[name] = self.draws
        self._forget(members, total)
        chosen = self._choose(members, total)
        self.due[chosen] -= 1
        return chosen

    def _choose(self, members: Sequence[tuple[str, int]], total: int) -> str:
        least = 1 / (2 * len(members) - 2) if len(members) > 1 else 1.0
        # what absent members are due, or had too much, is divided among those who are present
        excess = sum(self.due[name] for name, _ in members) - 1
        best, best_key = members[0][0], (3, 0.0)
        for name, weight in members:
            due = self.due[name] - excess * weight / total
            if due > 1 - least + _NOISE:
                key = (0, -due)
            elif due >= least - _NOISE:
                key = (1, (1 - least - due) * total / weight)
            else:
                key = (2, -due)
            if key[0] < best_key[0] or (key[0] == best_key[0] and key[1] < best_key[1] - _NOISE):
                best, best_key = name, key
        return best

    def _forget(self, members: Sequence[tuple[str, int]], total: int) -> None:
        for gone in [name for name, last in self.seen.items() if self.draws - last > FORGOTTEN]:
            del self.seen[gone]
            left = self.due.pop(gone)
            for name, weight in members:
                self.due[name] += left * weight / total
