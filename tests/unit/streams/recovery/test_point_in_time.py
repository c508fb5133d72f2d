"""Whether the log of an account leads to its present state."""

from __future__ import annotations

import pytest

from resegment.schemas.state import Membership
from resegment.streams.recovery.point_in_time import leads_to

FOUND = Membership("hot", 30, {"cold": 30, "warm": 20})


def test_a_state_of_an_earlier_release_lacks_exits_and_is_led_to_all_the_same() -> None:
    assert leads_to(FOUND, Membership("hot", 30, {}))
    assert leads_to(FOUND, Membership("hot", 30, {"warm": 20}))
    assert leads_to(FOUND, FOUND)


@pytest.mark.parametrize(
    "stored",
    [
        Membership("warm", 30, {}),
        Membership("hot", 29, {}),
        Membership("hot", 30, {"warm": 21}),
        Membership("hot", 30, {"other": 5}),
    ],
)
def test_another_segment_entry_or_exit_is_not_led_to(stored: Membership) -> None:
    assert not leads_to(FOUND, stored)
