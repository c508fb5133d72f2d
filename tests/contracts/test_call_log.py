"""The call log in memory and in Redis keep the same promises; limits hold over all processes."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.agents.sending.memory import MemoryCallLog
from resegment.agents.sending.ports import CallLog
from resegment.schemas.logs.call_log import LoggedCall, LoggedContact, LoggedResult, WrittenFields
from resegment.sinks.port import Request
from resegment.state.sinks.calls import KEPT_RESULTS, RedisCallLog, RedisLimiter
from resegment.state.sinks.fields import FieldStore
from resegment.state.sinks.people import PeopleStore, Person
from resegment.state.sinks.states import SinkStates

pytestmark = [pytest.mark.asyncio(loop_scope="session")]

SENT = LoggedCall("sent", 1, 1, "p1")
ANSWERED = LoggedCall("answered", 1, 1, "p1", 200, {"id": [1, "x"], "none": None}, "ok")
ADA = LoggedContact(
    contact={"email": "ada@acme.com", "ids": {"hubspot": "1"}}, references={"contact": "1"}, key="k"
)


@pytest_asyncio.fixture(loop_scope="session")
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest_asyncio.fixture(params=["memory", "redis"], loop_scope="session")
async def log(request: pytest.FixtureRequest, client: Redis) -> CallLog:
    return MemoryCallLog() if request.param == "memory" else RedisCallLog(client, uuid.uuid4().hex[:8], "crm")


async def test_an_entry_is_replaced_only_by_the_one_who_knows_it(log: CallLog) -> None:
    assert await log.write("acme.com", "k", "enroll:1", None, SENT)
    assert not await log.write("acme.com", "k", "enroll:1", None, SENT), "another process has begun"
    assert await log.write("acme.com", "k", "enroll:1", SENT, ANSWERED)
    assert not await log.write("acme.com", "k", "enroll:1", SENT, None)
    assert (await log.read("acme.com")).calls == {("k", "enroll:1"): ANSWERED}
    assert await log.write("acme.com", "k", "enroll:1", ANSWERED, None)
    assert (await log.read("acme.com")).calls == {}


async def test_a_settled_command_leaves_its_result_and_who_is_enrolled(log: CallLog) -> None:
    await log.choose("acme.com", "k", [ADA])
    await log.write("acme.com", "k", "enroll:1", None, ANSWERED)
    await log.write("acme.com", "other", "enroll:1", None, SENT)
    result = LoggedResult(outcome="applied", text="t", at=5, sequence=7, kind="enroll", workflow="w")
    await log.settle("acme.com", "k", result, {"w": [ADA]})
    known = await log.read("acme.com")
    assert known.results == {"k": result}
    assert dict(known.chosen) == {}
    assert [list(one) for one in known.enrolled.values()] == [[ADA]]
    assert known.calls == {("other", "enroll:1"): SENT}
    assert known.sequence == 7
    older = LoggedResult(outcome="applied", text="t", at=6, sequence=3)
    await log.settle("acme.com", "stop", older, {"w": []})
    known = await log.read("acme.com")
    assert known.sequence == 7, "it never falls"
    assert not known.enrolled["w"]
    assert (await log.read("other.com")).results == {}


async def test_redis_keeps_so_many_results_of_an_account(client: Redis) -> None:
    log = RedisCallLog(client, uuid.uuid4().hex[:8], "crm")
    for number in range(KEPT_RESULTS + 5):
        await log.settle("acme.com", f"k{number}", LoggedResult(outcome="applied", text="", at=number), {})
    results = (await log.read("acme.com")).results
    assert len(results) <= KEPT_RESULTS + 1
    assert f"k{KEPT_RESULTS + 4}" in results
    assert "k0" not in results


async def test_a_limit_holds_over_all_processes_and_for_its_paths_only(client: Redis) -> None:
    prefix = uuid.uuid4().hex[:8]
    limiters = itertools.cycle(
        RedisLimiter(client, prefix, "crm", [(20, 60.0, "/search$")]) for _ in range(3)
    )
    waits = [await next(limiters).take(Request("GET", "/contacts/search")) for _ in range(30)]
    assert [wait == 0 for wait in waits] == [True] * 2 + [False] * 28, "a tenth at once, the others evenly"
    assert all(0 < wait <= 60 for wait in waits[2:])
    assert all([await next(limiters).take(Request("GET", "/other")) == 0 for _ in range(50)])


async def test_what_was_written_to_records_is_kept_by_account(client: Redis) -> None:
    store = FieldStore(client, uuid.uuid4().hex[:8], "crm")
    assert await store.read_mapping() is None
    await store.write_mapping({"segment": "rs"})
    await store.write({"acme.com": WrittenFields({"segment": "a"}, {"rs": "a"})})
    assert await store.read_mapping() == {"segment": "rs"}
    assert await store.read(["acme.com", "b.com"]) == {
        "acme.com": WrittenFields({"segment": "a"}, {"rs": "a"}),
        "b.com": WrittenFields(),
    }
    assert [one async for one in store.accounts()] == ["acme.com"]


async def test_the_newest_word_about_a_person_counts_and_one_that_is_gone_is_left_out(client: Redis) -> None:
    store = PeopleStore(client, uuid.uuid4().hex[:8])
    await store.keep("acme.com", "a", Person(at=2, title="CRO", opted_out=True))
    await store.keep("acme.com", "a", Person(at=1, title="VP"))
    await store.keep("acme.com", "b", Person(at=1, gone=True))
    assert await store.read("acme.com") == [Person(at=2, title="CRO", opted_out=True)]
    assert await store.read_position(0) is None
    await store.write_position(0, "x.signals", 12)
    assert await store.read_position(0) == ("x.signals", 12)


async def test_notes_of_a_sink_are_the_latest_first(client: Redis) -> None:
    states = SinkStates(client, uuid.uuid4().hex[:8])
    await states.note("crm", [{"text": "1"}, {"text": "2"}])
    await states.note("crm", [{"text": "3"}])
    await states.report("p", {"crm": {"state": "sending"}})
    await states.begin("crm", "workflow-commands")
    kept = (await states.read())["crm"]
    assert [one["text"] for one in kept.notes] == ["3", "2", "1"]
    assert kept.begun == {"workflow-commands"}
    assert [one["state"] for one in kept.reports.values()] == ["sending"]
    await states.leave("p", ["crm"])
    assert (await states.read())["crm"].reports == {}
