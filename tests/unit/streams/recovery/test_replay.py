"""What a rebuild takes for decided and never announced, and what a comparison with the log finds."""

from __future__ import annotations

import msgspec

from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.times import NEVER
from resegment.segmentation.versions.comparison import compare_states, look_again
from resegment.streams.recovery.rebuild import Announced
from tests.builders import Rig, facts_of, run, signals
from tests.oracle.cases import day, event, funding, hiring, only, segments, snapshot

FILE = segments(hot={"event": "funding", "within": "3d"}, cold={"event": "hiring"})


async def test_what_lay_in_a_lost_outbox_is_told_from_what_was_announced_and_what_retention_took() -> None:
    rig = await run(
        Rig(FILE), [signals(facts_of([hiring(day(1)), funding(day(2)), funding(day(9), id="late")]))]
    )
    first, *_, last = rig.changes
    assert len(rig.changes) > 2
    told = Announced({"acme.com": last.sequence_number - 1}, {0: last.decided_at})
    assert [one for one in rig.changes if told.lacks(one, 0)] == [last]
    nothing_yet = Announced({}, {})
    assert all(nothing_yet.lacks(one, 0) for one in rig.changes)
    taken_by_retention = Announced({}, {0: last.decided_at + 1})
    assert not any(taken_by_retention.lacks(one, 0) for one in rig.changes)
    assert not Announced({}, {0: NEVER}).lacks(first, 0)


async def test_a_deadline_that_comes_too_early_is_none_of_the_log_s_business_and_one_too_late_is() -> None:
    """A test of a trait looks ahead over so many boundaries from when it was judged, so that depends on the cache."""
    views = [
        event("engagement", day(0) + minute * 60_000, type="page_view", id=f"v{minute}")
        for minute in range(40)
    ]
    events = [*views, *(snapshot(day(30) + minute * 60_000, name=f"Acme {minute}") for minute in (9, 10))]
    file = only({"views": {"gte": 3}}, {"views": {"count": "engagement", "within": "30d"}})
    batches = [[one] for one in signals(facts_of(events))]
    kept, forgotten = await run(Rig(file), batches), await run(Rig(file, cache_bytes=0), batches)
    states = [decode_state(one.memory.accounts["acme.com"]) for one in (kept, forgotten)]
    assert states[0].deadline != states[1].deadline
    for rig in (kept, forgotten):
        latest = look_again(
            rig.versions.timeline, "acme.com", rig.memory.accounts["acme.com"], rig.owned.position.clock
        )
        for state in states:
            assert not compare_states("acme.com", state, latest)
            late = msgspec.structs.replace(state, deadline=None, sequence=0)
            assert {one.what for one in compare_states("acme.com", late, latest)} == {"deadline", "sequence"}
