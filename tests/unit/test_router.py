"""The router: which commands a change asks of workflows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.router import Routed, route
from resegment.schemas.outgoing import WorkflowCommandData
from resegment.streams.publisher import PublishFailed
from tests.builders import Published, Rig, facts_of, run, signals
from tests.oracle.cases import day, event, funding, hiring, segments

Json = dict[str, Any]


def to(workflow: str | None, **given: str) -> Json | None:
    return None if workflow is None else {"workflow": workflow, "team": "sales", "on_exit": "stop", **given}


def change(**given: Any) -> Json:
    return {
        "account": "acme.com", "sequence_number": 2, "from": "cold", "to": "hot", "effective_at": "2024-01-01T00:00:00Z",
        "supersedes": None, "supersedes_to": None, "play": "hot-play", "route": to("hot-flow"),
        "from_route": to("cold-flow"), "superseded_route": None, **given,
    }  # fmt: skip


async def routed(*values: bytes) -> tuple[Published, Routed]:
    published = Published()
    records = [RecordedMessage(number, 0, b"k", value) for number, value in enumerate(values)]
    done = await route(
        Batch("segment-changes", 1, records), publisher=published, commands="commands", dead_letters="dead"
    )
    return published, done


async def commands(data: Json, change_id: str = "c1") -> list[tuple[str, str, str]]:
    published, _ = await routed(orjson.dumps({"id": change_id, "data": data}))
    made = [
        WorkflowCommandData.model_validate(orjson.loads(one.value or b"")["data"])
        for one in published.messages
    ]
    return [(one.action, one.workflow, one.segment) for one in made]


ENROLL = ("enroll", "hot-flow", "hot")


@pytest.mark.parametrize("on_exit", ["stop", "finish", "pause"])
async def test_a_move_leaves_the_old_workflow_as_its_route_says_then_enters_the_new_one(on_exit: str) -> None:
    left = to("cold-flow", on_exit=on_exit)
    assert await commands(change(from_route=left)) == [(on_exit, "cold-flow", "cold"), ENROLL]


async def test_the_first_sight_of_an_account_only_enters() -> None:
    assert await commands(change(**{"from": None, "from_route": None})) == [ENROLL]


async def test_between_segments_of_one_workflow_nothing_is_left() -> None:
    assert await commands(change(from_route=to("hot-flow"))) == [ENROLL]


async def test_a_fallback_without_a_route_is_only_left_or_only_reached() -> None:
    assert await commands(change(from_route=None)) == [ENROLL]
    assert await commands(change(to="out", route=None, play=None)) == [("stop", "cold-flow", "cold")]


VOID = {"supersedes": "c0", "supersedes_to": "warm", "superseded_route": to("warm-flow")}


async def test_a_superseding_change_cancels_what_the_void_one_began_and_leaves_nothing_twice() -> None:
    assert await commands(change(**VOID)) == [("stop", "warm-flow", "warm"), ENROLL]


async def test_a_superseding_change_back_to_where_it_was_enters_that_again() -> None:
    back = change(**VOID, to="cold", route=to("cold-flow"))
    assert await commands(back) == [("stop", "warm-flow", "warm"), ("enroll", "cold-flow", "cold")]


async def test_a_superseding_change_within_one_workflow_cancels_nothing() -> None:
    assert await commands(change(**{**VOID, "superseded_route": to("hot-flow")})) == [ENROLL]
    assert await commands(change(**{**VOID, "superseded_route": None})) == [ENROLL]


async def test_a_command_carries_what_a_sequencer_needs() -> None:
    published, done = await routed(
        orjson.dumps({"id": "c1", "data": change(route=to("hot-flow", qualification="fast-track"))})
    )
    stop, enroll = published.messages
    assert (enroll.topic, enroll.key) == ("commands", b"acme.com")
    assert dict(enroll.headers)["workflow"] == b"hot-flow"
    event_ = orjson.loads(enroll.value or b"")
    data = WorkflowCommandData.model_validate(event_["data"])
    assert (event_["id"], event_["type"]) == (data.idempotency_key, "gtm.workflow-command.v1")
    assert (data.owner, data.qualification, data.play) == ("sales", "fast-track", "hot-play")
    assert data.cause.model_dump() == {
        "change": "c1",
        "sequence_number": 2,
        "effective_at": "2024-01-01T00:00:00Z",
    }
    assert orjson.loads(stop.value or b"")["data"]["play"] is None
    assert done == Routed(1, ["stop", "enroll"], [])


async def test_the_same_change_gives_the_same_commands_and_another_one_other_keys() -> None:
    one, two, other = (orjson.dumps({"id": name, "data": change()}) for name in ("c1", "c1", "c2"))
    published, _ = await routed(one, two, other)
    values = [message.value for message in published.messages]
    assert values[:2] == values[2:4]
    assert not set(values[:2]) & set(values[4:])


NO_CHANGES = [
    b"", b"x", b"null", b"5", b"[]", b"{}", b'{"id":"1"}', b'{"id":"1","data":null}', b'{"id":"1","data":[]}',
    orjson.dumps({"id": "1", "data": change(account=5)}),
    orjson.dumps({"id": "1", "data": change(route="hot-flow")}),
    orjson.dumps({"id": "1", "data": change(route={"workflow": 5})}),
    orjson.dumps({"id": "1", "data": change(from_route={})}),
    orjson.dumps({"id": "1", "data": change(superseded_route=[1])}),
]  # fmt: skip


@pytest.mark.parametrize("value", NO_CHANGES)
async def test_what_is_no_change_is_a_dead_letter_and_the_next_goes_on(value: bytes) -> None:
    published, done = await routed(value, orjson.dumps({"id": "c1", "data": change()}))
    letter = published.to("dead")[0]
    assert (letter.key, letter.value) == (b"k", value)
    assert dict(letter.headers)["dl_reason"] == b"not-a-change"
    assert len(published.to("commands")) == 2
    assert (done.changes, len(done.refused)) == (1, 1)


async def test_a_batch_that_is_not_published_is_not_done() -> None:
    published = Published()
    published.failures = 1
    batch = Batch("segment-changes", 0, [RecordedMessage(0, 0, None, b"x")])
    with pytest.raises(PublishFailed):
        await route(batch, publisher=published, commands="commands", dead_letters="dead")


async def test_the_commands_of_an_accounts_life_leave_it_in_the_workflow_of_its_segment() -> None:
    file = segments(first={"event": "funding", "within": "3d"}, second={"event": "hiring", "within": "5d"})
    events = [hiring(day(0)), funding(day(0)), event("engagement", day(4)), funding(day(5), id="late"),
              event("engagement", day(30))]  # fmt: skip
    rig = await run(Rig(file), [[one] for one in signals(facts_of(events))])
    await rig.deliver()
    published, _ = await routed(*(one.value or b"" for one in rig.published.messages))
    enrolled: set[str] = set()
    for message in published.messages:
        data = orjson.loads(message.value or b"")["data"]
        if data["action"] == "enroll":
            enrolled.add(data["workflow"])
        else:
            assert data["workflow"] in enrolled
            enrolled.remove(data["workflow"])
        assert len(enrolled) <= 1
    assert enrolled == {"workflow-out"}
