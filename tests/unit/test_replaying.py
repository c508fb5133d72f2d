"""What a rebuild takes for decided and never announced."""

from __future__ import annotations

from resegment.schemas.times import NEVER
from resegment.streams.replaying import Announced
from tests.builders import Rig, facts_of, run, signals
from tests.oracle.cases import day, funding, hiring, segments

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
