"""The commands that look at a running prefix, as somebody at a shell meets them.

They connect to Redis as a user who may only read: whatever wrote anything would fail.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from typer.testing import CliRunner

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.dead_letters import to_dead_letter
from resegment.cli import build
from resegment.embedded.servers import embedded
from resegment.errors import RefusedEvent
from resegment.schemas.partitioning import partition_of
from resegment.schemas.state import AccountState, Membership
from resegment.schemas.times import parse_instant
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.operations.ingest import send_replay
from resegment.streams.prefix import agree
from resegment.streams.recovery.point_in_time import HistoryLost, rewind
from resegment.streams.worker.worker import Worker
from tests.commands import CHANGES
from tests.events import read_fact

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 120.0
PARTITIONS = 2
END = parse_instant("2026-05-01T00:00:00Z")
SEGMENTS = """
version: 1
segments:
  - name: hiring-now
    when: {event: hiring, where: {change: opened}, within: 90d}
    play: talk
    route: {workflow: hiring}
fallback: {name: not-now, play: talk, route: {workflow: nurture}}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
"""

HOOKS = ("--webhooks", "webhooks.yaml")
WEBHOOKS = "endpoints: {crm: {url: https://example.com/, secrets: [{env: SECRET}]}}"


def event(name: str, subject: str, day: str, **given: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": name,
        "source": "/test",
        "type": "gtm.hiring.v1",
        "subject": subject,
        "time": f"{day}T00:00:00Z",
        "data": {"change": "opened"},
        **given,
    }


EVENTS = [
    event("e1", "acme.com", "2026-01-10"),
    event("e2", "acme.com", "2026-03-10"),
    event("e3", "left.com", "2026-01-01"),
    event("e4", "quiet.com", "2026-02-01", data={"change": "closed"}),
    # known at one instant, in two batches: the second change makes the first void
    event("e5", "undone.com", "2026-02-02", record="job"),
    event("e6", "undone.com", "2026-02-02", record="job", op="retract", data=None),
]


@dataclass
class Stack:
    """A running prefix, and a shell beside it."""

    worker: Worker
    publisher: KafkaPublisher
    environment: dict[str, str]
    folder: Path
    redis_url: str
    """Redis for those who may change something."""

    async def start(self, *arguments: str, **variables: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from resegment.cli import main; main()",
            *arguments,
            env={name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
            | self.environment
            | variables,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, **variables: str) -> tuple[int | None, str, str]:
        process = await self.start(*arguments, **variables)
        output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode, output.decode(), error.decode()

    async def change(self, *arguments: str, **variables: str) -> tuple[int | None, str, str]:
        return await self.run(*arguments, RESEGMENT_REDIS=self.redis_url, **variables)

    async def rows(self, *arguments: str) -> list[dict[str, Any]]:
        code, output, error = await self.run(*arguments, "--json")
        assert code == 0, error
        return [json.loads(line) for line in output.splitlines()]

    async def send(self, events: Sequence[dict[str, Any]], until: int) -> None:
        pairs = [(read_fact(one), orjson.dumps(one)) for one in events]
        await send_replay(pairs, self.publisher, self.worker.topics, partitions=PARTITIONS, until=until)
        assert await self.worker.drain(PATIENCE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("look")
    (folder / "segments.yaml").write_text(SEGMENTS)
    (folder / "webhooks.yaml").write_text(WEBHOOKS)
    (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in EVENTS))
    async with embedded(folder / "servers") as servers:
        settings = Settings(prefix="look", partitions=PARTITIONS, clock="facts", chunk=1)
        definition = load_definition(str(folder / "segments.yaml"))
        worker = Worker(settings, definition, bootstrap=servers.bootstrap, redis_url=servers.redis_url)
        client = Redis.from_url(servers.redis_url)
        try:
            rights = "on >secret ~* +@read +@connection +time"
            await client.execute_command("ACL", "SETUSER", "looker", *rights.split())  # type: ignore[no-untyped-call]
            await agree(client, "idle", partitions=3, clock="wall")
        finally:
            await client.aclose()
        environment = {
            "RESEGMENT_KAFKA": servers.bootstrap,
            "RESEGMENT_REDIS": "redis://looker:secret@" + servers.redis_url.rpartition("@")[2],
            "RESEGMENT_PREFIX": "look",
            "COLUMNS": "200",
        }
        async with worker.running(), KafkaPublisher(servers.bootstrap) as publisher:
            running = Stack(worker, publisher, environment, folder, servers.redis_url)
            await running.send(EVENTS, END)
            yield running


# accounts


async def test_accounts_are_listed_with_the_newest_in_their_segment_first(stack: Stack) -> None:
    rows = await stack.rows("accounts")
    assert [row["account"] for row in rows if row["account"] != "late.com"] == [
        "left.com",
        "undone.com",
        "quiet.com",
        "acme.com",
    ]
    assert rows[-1] == {
        "account": "acme.com",
        "segment": "hiring-now",
        "since": "2026-01-10T00:00:00Z",
        "entered_at": "2026-01-10T00:00:00Z",
        "entered_at_limited": False,
    }


async def test_accounts_are_filtered_by_segment_and_sorted_by_name(stack: Stack) -> None:
    rows = await stack.rows("accounts", "--segment", "not-now", "--sort", "name", "--limit", "2")
    assert [row["account"] for row in rows] == ["left.com", "quiet.com"]


async def test_an_account_is_found_in_any_spelling_of_its_domain(stack: Stack) -> None:
    code, output, error = await stack.run("accounts", "https://www.Acme.com/jobs")
    assert code == 0
    assert "hiring-now" in output
    assert not error


async def test_an_account_that_nobody_knows_is_said_and_fails(stack: Stack) -> None:
    code, output, error = await stack.run("accounts", "acme.com", "unknown.com", "--json")
    assert (code, error) == (1, "no such account: unknown.com\n")
    assert json.loads(output)["account"] == "acme.com"


async def test_a_segment_that_is_none_is_an_error_that_names_the_one_that_was_meant(stack: Stack) -> None:
    for command in ("accounts", "changes"):
        code, output, error = await stack.run(command, "--segment", "hiring")
        assert (code, output) == (2, "")
        assert "Did you mean 'hiring-now'?" in error


async def test_accounts_at_now_are_those_that_redis_has(stack: Stack) -> None:
    now = [one for one in await stack.rows("accounts", "--sort", "name") if one["account"] != "late.com"]
    assert await stack.rows("accounts", "--sort", "name", "--at", "2026-05-01") == now
    before = await stack.rows("accounts", "--sort", "name", "--at", "2026-01-31")
    assert [one["account"] for one in before] == ["acme.com", "left.com"]


# what is coming, and what is not known


async def test_a_forecast_says_who_leaves_when_no_event_comes(stack: Stack) -> None:
    code, output, error = await stack.run("forecast", "--days", "60", "--json")
    assert code == 0, error
    made = json.loads(output)
    assert made["at"] == "2026-05-01T00:00:00Z"
    moves = [(one["account"], one["at"], one["from"], one["to"]) for one in made["moves"]]
    assert ("acme.com", "2026-06-08T00:00:00Z", "hiring-now", "not-now") in moves


async def test_nothing_is_stale_where_no_test_reads_an_attribute(stack: Stack) -> None:
    code, output, error = await stack.run("stale", "--json")
    assert code == 0, error
    made = json.loads(output)
    assert (made["stale"], made["tests"]) == (0, [])
    assert made["accounts"] > 3


# changes


async def test_changes_come_in_the_order_in_which_they_took_effect_and_void_ones_are_marked(
    stack: Stack,
) -> None:
    rows = [row for row in await stack.rows("changes") if row["account"] != "late.com"]
    assert [(row["account"], row["from"], row["to"], row["void"]) for row in rows] == [
        ("left.com", None, "hiring-now", False),
        ("acme.com", None, "hiring-now", False),
        ("quiet.com", None, "not-now", False),
        ("undone.com", None, "hiring-now", True),
        ("undone.com", None, "not-now", False),
        ("left.com", "hiring-now", "not-now", False),
    ]


async def test_a_report_counts_a_time_once_and_leaves_void_changes_out(stack: Stack) -> None:
    code, output, error = await stack.run("report", "--since", "2026-01-05", "--json")
    assert code == 0, error
    told = json.loads(output)
    assert (told["prefix"], told["since"], told["kept_since"]) == ("look", "2026-01-05T00:00:00Z", None)
    flows = {(one["from"], one["to"]): one["accounts"] for one in told["flows"]}
    assert flows["hiring-now", "not-now"] == 1
    assert flows[None, "hiring-now"] >= 1  # acme.com, and not undone.com, which a later change made void
    sizes = {one["segment"]: (one["accounts"], one["entered"] - one["left"]) for one in told["segments"]}
    accounts = await stack.rows("accounts", "--segment", "hiring-now")
    assert sizes["hiring-now"][0] == len(accounts)
    assert (told["commands"], told["owners"], told["outcomes"]) == ([], [], [])

    code, output, error = await stack.run("report", "--since", "2026-01-05", "--segment", "hiring-now")
    assert code == 0, error
    assert "segment hiring-now" in output
    assert "first seen" in output
    for options, meant in (
        (("--segment", "hiring"), "hiring-now"),
        (("--owner", "Nobody"), "nobody is named 'Nobody'"),
        (("--since", "soon"), "'soon' is not a time"),
    ):
        code, output, error = await stack.run("report", *options)
        assert (code, output) == (2, "")
        assert meant in error.replace("│", "").replace("\n", " ")


async def test_a_change_is_one_line_with_its_reason_and_evidence(stack: Stack) -> None:
    _, output, _ = await stack.run("changes", "--account", "www.acme.com")
    assert output == (
        "Jan 10, 2026  acme.com  first seen → hiring-now  "
        "hiring (change = opened) within 90d: opened on Jan 10, 2026\n"
    )


async def test_the_last_changes_since_a_time_are_chosen_by_segment(stack: Stack) -> None:
    rows = await stack.rows("changes", "--segment", "hiring-now", "--since", "2026-01-05", "--last", "2")
    assert {row["account"] for row in rows} <= {"undone.com", "left.com", "late.com"}
    assert len(rows) == 2


# status


async def test_a_prefix_at_work_is_healthy(stack: Stack) -> None:
    code, output, error = await stack.run("status", "--json")
    status = json.loads(output)
    assert (code, status["healthy"], status["problems"]) == (0, True, []), error
    (worker,) = status["workers"]
    assert worker["partitions"] == [0, 1]
    assert sum(status["segments"].values()) == status["accounts"] == len(await stack.rows("accounts"))
    assert {one["owner"] for one in status["partitions"]} == {worker["name"]}


async def test_status_says_in_words_what_is_wrong_and_fails(stack: Stack) -> None:
    code, output, _ = await stack.run("status", "--prefix", "idle")
    assert code == 1
    assert "no worker is running" in output
    assert "there is no such topic" in output


async def test_a_prefix_that_never_was_is_refused_with_a_remedy(stack: Stack) -> None:
    code, output, error = await stack.run("status", "--prefix", "typo")
    assert code == 1
    assert not output
    assert error.startswith("error: Redis has no prefix typo")


# dead letters


async def test_a_dead_letter_is_listed_once_and_shown_as_it_came(stack: Stack) -> None:
    record = RecordedMessage(7, 0, b"key", b'{"broken', [])
    batch = Batch("look.triggers.funding", 1, [record])
    topic = stack.worker.topics.dead_letters.name
    letter = to_dead_letter(topic, batch, record, RefusedEvent("not-json", "it is [broken]"))
    await stack.publisher.publish([letter, letter, Message(topic, b"k", b"x", [("dl_reason", b"other")])])

    (row,) = await stack.rows("dead-letters", "list", "--reason", "not-json")
    assert (row["id"], row["times"], row["message"]) == ("look.triggers.funding:1:7", 2, "it is [broken]")
    _, output, _ = await stack.run("dead-letters", "show", row["id"], "--raw")
    assert output == '{"broken'
    _, output, _ = await stack.run("dead-letters", "show", row["id"])
    assert "it is [broken]" in output
    assert "2 times" in output
    code, output, _ = await stack.run("status", "--json")
    assert (code, json.loads(output)["dead_letters"]["reasons"]["not-json"]) == (0, 1)


async def test_a_dead_letter_sent_again_is_judged_again_and_marked(stack: Stack) -> None:
    bad = json.dumps(event("retried", "https://github.com/somebody", "2026-01-01")).encode()
    await stack.publisher.publish([Message(stack.worker.topics.replay.name, b"k", bad)])

    async def letters(times: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE):
            while len(rows := await stack.rows("dead-letters", "list", "--reason", "not-a-company")) < times:
                await asyncio.sleep(0.1)
        return rows

    (row,) = await letters(1)
    assert row["retried"] is None
    code, output, _ = await stack.change("dead-letters", "retry", "--reason", "not-a-company", "--json")
    assert (code, json.loads(output)) == (0, {"retried": 1, "bodies": 0, "events": 0, "refused": 0})
    rows = {one["id"]: one for one in await letters(2)}
    assert rows.pop(row["id"])["retried"] is not None
    assert [one["retried"] for one in rows.values()] == [None]


async def test_a_dead_letter_that_is_not_there_is_said(stack: Stack) -> None:
    code, _, error = await stack.run("dead-letters", "show", "nowhere:0:0")
    assert code == 1
    assert "there is no dead letter nowhere:0:0" in error


# explain


@pytest.mark.parametrize("at", ["2026-05-01", "2026-02-15", "2026-01-10", "2027-01-01"])
async def test_a_running_prefix_explains_now_then_and_later_as_the_events_alone_do(
    stack: Stack, at: str
) -> None:
    code, live, error = await stack.run("explain", "acme.com", "--at", at, "--json")
    assert code == 0, error
    files = ("--segments", "segments.yaml", "--events", "events.jsonl")
    _, recorded, _ = await stack.run("explain", "acme.com", "--at", at, "--json", *files)
    lived = json.loads(live)
    assert lived.pop("version")["number"] == 1  # events alone have no versions
    assert lived == {name: value for name, value in json.loads(recorded).items() if name != "version"}


async def test_the_time_explained_is_that_of_the_prefix_where_none_is_given(stack: Stack) -> None:
    code, output, _ = await stack.run("explain", "left.com", "--json")
    explained = json.loads(output)
    assert (code, explained["segment"], explained["since"]) == (0, "not-now", "2026-04-01T00:00:00Z")
    assert parse_instant(explained["at"]) >= END


async def test_before_its_first_event_an_account_is_unknown(stack: Stack) -> None:
    code, _, error = await stack.run("explain", "acme.com", "--at", "2026-01-01")
    assert code == 1
    assert "nothing is known about acme.com on Jan 1, 2026" in error


async def test_the_version_in_force_answers_and_says_that_another_file_was_given(stack: Stack) -> None:
    (stack.folder / "other.yaml").write_text(SEGMENTS.replace("90d", "30d"))
    code, output, error = await stack.run("explain", "acme.com", "--segments", "other.yaml")
    assert (code, output) == (await stack.run("explain", "acme.com"))[:2]
    assert "other.yaml differs from version 1" in error


async def test_a_log_that_does_not_lead_to_the_present_state_is_not_taken_for_history(stack: Stack) -> None:
    state = AccountState(membership=Membership("not-now", END), at=END)
    topic = stack.worker.topics.signals.name
    bootstrap = stack.environment["RESEGMENT_KAFKA"]
    partition = partition_of(b"acme.com", PARTITIONS)
    with pytest.raises(HistoryLost):
        await rewind(
            stack.worker.registry.timeline,
            "acme.com",
            state,
            END - 1,
            bootstrap=bootstrap,
            topic=topic,
            partition=partition,
        )


# following comes last, since time moves on for it


async def test_following_shows_what_is_there_and_then_what_comes_until_it_is_interrupted(
    stack: Stack,
) -> None:
    process = await stack.start("changes", "--follow", "--last", "1")
    assert process.stdout is not None
    try:
        first = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert b"left.com" in first
        await stack.send([event("e7", "late.com", "2026-05-02")], parse_instant("2026-05-03T00:00:00Z"))
        second = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert b"late.com  first seen" in second
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


# what changes something


async def _ends(stack: Stack) -> dict[str, dict[int, int]]:
    found = {}
    for topic in stack.worker.topics:
        async with reading(stack.environment["RESEGMENT_KAFKA"], topic.name) as reader:
            found[topic.name] = await reader.ends()
    return found


async def test_who_may_only_look_changes_nothing_by_any_command(stack: Stack) -> None:
    ends = await _ends(stack)
    answers = {}
    for name, given in CHANGES.items():  # in this process, which is quicker
        files = (str(stack.folder / one) if one.endswith(".yaml") else one for one in given)
        line = [*name.split(), *files]
        done = await asyncio.to_thread(CliRunner().invoke, build(), line, env=stack.environment)
        answers[name] = done.exit_code, done.stdout, done.stderr
    for name, (code, output, error) in answers.items():
        assert (code, output) == (1, ""), f"{name}: {error}"
        assert f"this Redis user may only look: `resegment {name}` changes something" in error
    assert await _ends(stack) == ends


async def test_a_change_is_in_the_audit_log_with_who_what_and_result(stack: Stack) -> None:
    code, _, error = await stack.change("--as", "ann@acme.com", "routing", "set", "changed")
    assert code == 0, error
    code, _, error = await stack.change("webhooks", "disable", "crm", *HOOKS, RESEGMENT_ACTOR="bo")
    assert code == 0, error
    code, _, error = await stack.change("dead-letters", "retry", "nowhere:0:0")
    assert code == 1
    await stack.change("--as", "ann@acme.com", "routing", "set", "none")
    rows = await stack.rows("audit", "--actor", "ann@acme.com")
    assert [(one["action"], one["arguments"], one["stage"], one["result"]) for one in rows] == [
        ("routing set", {"mode": "changed"}, "done", {"before": "none"}),
        ("routing set", {"mode": "none"}, "done", {"before": "changed"}),
    ]
    (row,) = await stack.rows("audit", "--action", "webhooks disable")
    assert (row["actor"], row["arguments"], row["stage"]) == ("bo", {"endpoint": "crm"}, "done")
    assert not await stack.rows("audit", "--since", "2999-01-01")
    _, output, _ = await stack.run("audit", COLUMNS="80")
    assert "ann@acme.com" in output
    assert "changed" in output
    assert max(map(len, output.splitlines())) <= 80


async def test_what_cannot_be_recorded_is_not_done(stack: Stack) -> None:
    code, _, error = await stack.change("routing", "set", "all", "--prefix", "idle", "--kafka", "127.0.0.1:1")
    assert code == 1
    assert (
        "`resegment routing set` was not carried out, because it cannot be recorded in idle.audit-log"
        in error
    )
    client = Redis.from_url(stack.redis_url)
    try:
        assert await client.hget("rs:{idle}:prefix", "routing") is None  # type: ignore[misc]  # its stubs
    finally:
        await client.aclose()
