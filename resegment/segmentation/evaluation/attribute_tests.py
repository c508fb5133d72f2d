"""Evaluate the tests of an attribute's newest value together, for accounts that were opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.leaves.leaves import AttributeLeaf

Verdicts = tuple[bool | None, ...]
MOST_VALUES: Final = 16_384
"""Of how many values of an attribute it is remembered what the tests say."""
MAX_REMEMBERED: Final = 60
"""The most characters of a text among them."""


class AttributeTests:
    """The tests of one attribute, with their numbers.

    Many accounts have the same few values, so it is remembered what the tests say of one.
    """

    def __init__(self, field: str, tests: Sequence[tuple[int, AttributeLeaf]]) -> None:
        self.field, self.tests = field, tuple(tests)
        self._numbers = tuple(number for number, _ in tests)
        self._predicates = tuple(leaf.predicate for _, leaf in tests)
        self._said: dict[str | int, Verdicts] = {}
        self._verdicts: dict[Verdicts, Verdicts] = {}

    def evaluate(self, account: Account, t: int) -> None:
        """Evaluate the tests at t, where facts say something of the attribute or a test asks for it."""
        values, untils = account.values, account.untils
        history = account.attributes.get(self.field)
        if history is None:
            for number, leaf in self.tests:
                if untils[number] < 0:
                    values[number], untils[number] = leaf.evaluate(account, t)
        elif history.entries and history.entries[-1].time > t:
            for number, leaf in self.tests:
                values[number], untils[number] = leaf.evaluate(account, t)
        else:
            for number, verdict in zip(self._numbers, self._judge(history.newest(self.field)), strict=True):
                values[number], untils[number] = verdict, NEVER

    def _judge(self, value: Any) -> Verdicts:
        """Return what the tests say of a value. 1, 1.0 and true are not the same value."""
        kind = type(value)
        if kind is not int and (kind is not str or len(value) > MAX_REMEMBERED):
            return tuple([predicate(value) for predicate in self._predicates])
        said = self._said.get(value)
        if said is None:
            if len(self._said) >= MOST_VALUES:
                self._said.clear()
                self._verdicts.clear()
            said = tuple([predicate(value) for predicate in self._predicates])
            said = self._said[value] = self._verdicts.setdefault(said, said)  # most values share one
        return said
