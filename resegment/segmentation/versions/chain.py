"""Make the timeline of definitions that follow one another."""

from __future__ import annotations

from collections.abc import Sequence

from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline


def follow(
    first: Definition, switches: Sequence[tuple[int, Definition]] = (), limits: Limits | None = None
) -> Timeline:
    """Return the timeline of a definition and of those that take over later, each with its instant (ms).

    Accounts are judged at an instant only where the definition differs in what decides about them.
    Raises ValueError if an instant does not come after the one before.
    """
    eras = [Era(1, ALWAYS, Engine(Program(first, limits)))]
    for at, definition in switches:
        differences = compare(eras[-1].definition, definition)
        eras.append(
            Era(
                number=len(eras) + 1,
                at=at,
                engine=Engine(Program(definition, limits)),
                moved=definition.moved,
                judges=differences.judges,
                gates_only=differences.gates_only,
                folds_in=bool(differences.needs_facts),
            )
        )
    return Timeline(eras)
