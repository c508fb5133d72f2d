"""Which version a rollback goes back to, and which names it takes back."""

from __future__ import annotations

from resegment.segmentation.planning.refusals import InForce, NeverInForce, NothingBefore
from resegment.segmentation.planning.rollback import Step, invert_steps
from resegment.streams.definitions.history import Definitions


def versions_in_force(definitions: Definitions) -> list[int]:
    """Return the versions that were in force, in their order; the first is the one that began."""
    return [min(definitions.versions, default=0), *(one.version for one in definitions.standing)]


def version_before(definitions: Definitions) -> int:
    """Return the version before the one in force. Raises NothingBefore."""
    numbers = versions_in_force(definitions)
    if len(numbers) < 2:
        raise NothingBefore(numbers[-1])
    return numbers[-2]


def first_undone(definitions: Definitions, number: int) -> int:
    """Return the first version that going back to this one undoes. Raises NoSuchVersion, NeverInForce, InForce."""
    definitions.version(number)
    numbers = versions_in_force(definitions)
    if number not in numbers:
        raise NeverInForce(number)
    place = numbers.index(number)
    if place + 1 == len(numbers):
        raise InForce(number, numbers[place - 1] if place else None)
    return numbers[place + 1]


def invert_switches(definitions: Definitions, first: int) -> dict[str, str]:
    """Return the names that undo the switches from that to version `first` on."""
    numbers = versions_in_force(definitions)
    steps = [
        Step(definitions.definition_of(before), one.moved)
        for before, one in zip(numbers, definitions.standing, strict=False)
    ]
    return invert_steps(steps[numbers.index(first) - 1 :])
