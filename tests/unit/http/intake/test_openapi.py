"""The OpenAPI document says what the intake does: requests made from it get no answer that it does not name."""

from __future__ import annotations

from collections.abc import Sequence

import schemathesis
from hypothesis import HealthCheck, settings

from resegment.agents.batch import Message
from resegment.http.intake.access import Access
from resegment.http.intake.app import build
from resegment.http.intake.service import Intake
from resegment.sources.adapters.port import Context
from resegment.streams.kafka.topics import Topics


class Publisher:
    async def publish(self, messages: Sequence[Message]) -> None:
        """Take everything."""


INTAKE = Intake(Publisher(), Topics("t"), Access(), Context())
INTAKE.reachable = True
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", build(INTAKE))


@SCHEMA.parametrize()
@settings(max_examples=5, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_answer_breaks_the_document(case: schemathesis.Case) -> None:
    case.call_and_validate()
