"""Everything that is compiled from one segments file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from resegment.routing.policy import Policy, RoutingControls
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory


@dataclass(frozen=True, slots=True)
class DefinitionRuntime:
    """A segments file, ready to evaluate and route by.

    The stages get all of it as one value, so a worker can hold two definitions side by side.
    """

    definition: Definition
    engine: Engine
    policy: Policy
    factory: MessageFactory

    @classmethod
    def build(
        cls,
        definition: Definition,
        topics: Topics,
        *,
        facts_per_test: int,
        controls: RoutingControls | None = None,
    ) -> Self:
        """Compile the definition. `facts_per_test` is how many facts of an account a test counts.

        `controls` are shared by all versions of a prefix.
        """
        program = Program(definition, Limits(facts=facts_per_test))
        return cls(
            definition, Engine(program), Policy(definition, controls), MessageFactory(definition, topics)
        )
