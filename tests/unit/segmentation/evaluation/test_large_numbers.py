"""A decayed sum of whole numbers that no float holds is compared exactly."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from tests.builders import EVENT, Json, definition_of, facts_of

LIMIT = 2**53
"""Above it, not every whole number is a float."""
PLAY = {"message": {"pain": "p", "value_prop": "v", "proof_points": ["p"]}, "channels": {"primary": "email"}}


def file_of(test: Json) -> Json:
    return {
        "version": 1,
        "traits": {"heat": {"decay": "intent", "field": "fit", "half_life": "7d"}},
        "plays": {"one": PLAY},
        "segments": [{"name": "hot", "when": {"heat": test}, "play": "one", "route": {"workflow": "hot"}}],
        "fallback": {"name": "none", "play": "one", "route": {"workflow": "none"}},
    }


@settings(max_examples=60, deadline=None)
@example([LIMIT + 1], LIMIT)
@given(
    st.lists(st.integers(LIMIT - 3, LIMIT + 3), min_size=1, max_size=3),
    st.sampled_from([LIMIT - 1, LIMIT, LIMIT + 2, 2 * LIMIT, 2 * LIMIT + 4]),
)
def test_a_decayed_sum_of_large_whole_numbers_is_compared_exactly(numbers: list[int], bound: int) -> None:
    facts = facts_of(
        {**EVENT, "id": str(place), "type": "gtm.intent.v1", "data": {"fit": number}}
        for place, number in enumerate(numbers)
    )
    for operator, holds in (("gt", sum(numbers) > bound), ("lte", sum(numbers) <= bound)):
        engine = Engine(Program(definition_of(file_of({operator: bound}))))
        account = engine.open("acme.com")
        engine.apply_facts(account, facts, facts[0].recorded)
        assert account.values[0] is holds
