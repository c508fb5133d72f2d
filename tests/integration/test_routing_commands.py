"""Routing as somebody at a shell sees and steers it, while a worker runs on the wall clock.

Each command connects to Redis with no more rights than docs/operations/redis.acl gives it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.embedded.servers import embedded
from resegment.localization import US
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.worker.worker import Worker

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 120.0
PREFIX = "steered"
CROWD = 101
ACL = Path(__file__).parents[2] / "docs" / "operations" / "redis.acl"
SEGMENTS = """
version: 1
segments:
  - name: hiring-now
    when: {event: hiring, where: {change: opened}, within: 90d}
    play: talk
    route: {workflow: calls, team: sales, qualification: fast}
  - name: crowd
    when: {employees: {gte: 1000}}
    play: talk
    route: {workflow: mail}
  - name: bench
    when: {employees: {gte: 100}}
    play: talk
    route: {workflow: nurture}
fallback: {name: not-now, play: talk}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
teams:
  sales: {members: [ann]}
qualifications:
  fast: {sla: 4h}
suppression:
  - {name: partners, file: partners.txt}
"""


def event(kind: str, subject: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{kind}-{subject}",
        "source": "/test",
        "type": f"gtm.{kind}.v1",
        "subject": subject,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": data,
    }


@dataclass
class Running:
    """A prefix with a worker, and a shell beside it: `looker` may only read, `worker_user` is a worker's user."""

    worker: Worker
    work: AsyncExitStack
    make_worker: Callable[[], Worker]
    publisher: KafkaPublisher
    environment: dict[str, str]
    looker: str
    worker_user: str
    folder: Path

    async def stop(self) -> None:
        await self.work.aclose()

    async def start(self) -> None:
        self.worker = await self.work.enter_async_context(self.make_worker().running())

    async def run(self, *arguments: str, as_worker: bool = False) -> tuple[int | None, str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from resegment.cli import main; main()", *arguments),
            env=inherited
            | self.environment
            | {"RESEGMENT_REDIS": self.worker_user if as_worker else self.looker},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode, output.decode(), error.decode()

    async def reads(self, *arguments: str) -> str:
        code, output, error = await self.run(*arguments)
        assert code == 0, error
        return output

    async def does(self, *arguments: str) -> str:
        code, _, error = await self.run("routing", *arguments, as_worker=True)
        assert code == 0, error
        return error

    async def rows(self, *arguments: str) -> dict[str, dict[str, Any]]:
        output = await self.reads("routing", "list", *arguments, "--json")
        return {row["account"]: row for row in map(json.loads, output.splitlines())}

    async def until(
        self, holds: Callable[[dict[str, dict[str, Any]]], bool], *arguments: str
    ) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while not holds(rows := await self.rows(*arguments)):
                pass
        return rows

    async def send(self, *events: dict[str, Any]) -> None:
        await self.publisher.publish(
            [
                Message(
                    self.worker.topics.of_kind(one["type"].split(".")[1]).name,
                    one["subject"].encode(),
                    orjson.dumps(one),
                )
                for one in events
            ]
        )

    def list_partners(self, *names: str) -> None:
        """Write the list of partners at once: the worker may read it at any moment."""
        draft = self.folder / "partners.draft"
        draft.write_text("".join(f"{name}\n" for name in names))
        draft.replace(self.folder / "partners.txt")

    async def mode_is(self, mode: str) -> None:
        """Wait until the worker has seen it."""
        async with asyncio.timeout(PATIENCE):
            while self.worker.policy.mode != mode:
                await asyncio.sleep(0.05)

    async def commanded(self, account: str, number: int) -> list[tuple[str, str, str | None]]:
        """Return the commands of an account, once there are so many: they are published after the state is kept."""
        async with asyncio.timeout(PATIENCE):
            while len(found := await self.commands(account)) < number:
                await asyncio.sleep(0.05)
        return found

    async def commands(self, account: str) -> list[tuple[str, str, str | None]]:
        """Action, workflow and reason of what was commanded, in order."""
        found = []
        async with reading(
            self.environment["RESEGMENT_KAFKA"], self.worker.topics.workflow_commands.name
        ) as one:
            async for records in one.to_end():
                told = [orjson.loads(record.value)["data"] for record in records]
                found += [
                    (data["action"], data["workflow"], data.get("reason"))
                    for data in told
                    if data["account"] == account
                ]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A prefix that nobody has chosen a mode for, after a first load."""
    folder = tmp_path_factory.mktemp("steered")
    segments = folder / "segments.yaml"
    segments.write_text(SEGMENTS)
    (folder / "partners.txt").write_text("friend.com  # since 2020\n")
    async with embedded(folder / "servers") as servers:
        settings = Settings(prefix=PREFIX, partitions=2, segments=segments)

        def make_worker() -> Worker:
            return Worker(
                settings,
                load_definition(str(segments)),
                bootstrap=servers.bootstrap,
                redis_url=servers.redis_url,
            )

        client = Redis.from_url(servers.redis_url)
        try:
            for line in ACL.read_text("utf-8").replace("{resegment", f"{{{PREFIX}").splitlines():
                await client.execute_command("ACL", "SETUSER", *line.split()[1:])  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()
        environment = {
            "RESEGMENT_KAFKA": servers.bootstrap,
            "RESEGMENT_PREFIX": PREFIX,
            "RESEGMENT_SEGMENTS": str(segments),
            "COLUMNS": "200",
        }
        place = servers.redis_url.rpartition("@")[2]
        looker = f"redis://resegment-look:LOOK_PASSWORD@{place}"
        worker_user = f"redis://resegment-worker:WORKER_PASSWORD@{place}"
        async with AsyncExitStack() as work, KafkaPublisher(servers.bootstrap) as publisher:
            worker = await work.enter_async_context(make_worker().running())
            here = Running(worker, work, make_worker, publisher, environment, looker, worker_user, folder)
            crowd = [event("firmographic", f"crowd{number}.com", employees=2000) for number in range(CROWD)]
            small = [
                event("firmographic", name, employees=120) for name in ("one.com", "two.com", "friend.com")
            ]
            await here.send(*crowd, *small, event("firmographic", "mover.com", employees=120))
            await here.until(lambda rows: len(rows) == CROWD + 4)
            yield here


async def test_a_first_load_enrolls_nobody_and_it_is_said_what_to_do(running: Running) -> None:
    rows = await running.rows()
    quiet = [name for name, row in rows.items() if row["decision"] == "quiet"]
    assert len(quiet) == CROWD + 3
    assert (rows["friend.com"]["decision"], rows["friend.com"]["why"]) == ("suppressed", "partners")
    shown = await running.reads("routing", "show")
    assert "no account is enrolled" in shown
    assert "`resegment routing set changed`" in shown
    status = json.loads(await running.reads("status", "--json"))
    assert (status["healthy"], len(status["notes"])) == (True, 1)
    assert status["routing"]["mode"] == "none"
    assert status["routing"]["accounts"] == {"quiet": CROWD + 3, "suppressed": 1}
    assert "routing was none when it entered bench" in await running.reads("explain", "one.com")


async def test_with_the_mode_changed_a_move_is_enrolled_and_the_others_stay_quiet(running: Running) -> None:
    said = await running.does("set", "changed")
    assert "routing is changed" in said
    assert f"{CROWD + 3} accounts left out before stay out" in said
    await running.mode_is("changed")
    await running.send(
        event("hiring", "mover.com", change="opened"), event("firmographic", "new.com", employees=1)
    )
    rows = await running.until(
        lambda rows: "new.com" in rows and rows["mover.com"]["decision"] == "enrolled", "mover.com", "new.com"
    )
    mover = rows["mover.com"]
    assert (mover["workflow"], mover["team"], mover["owner"]) == ("calls", "sales", "ann")
    assert mover["accept_by"] is not None
    assert (await running.rows("one.com"))["one.com"]["decision"] == "quiet"
    words = mover["text"]
    assert words.startswith("enrolled in calls since ")
    assert "owner ann of sales, accept by " in words
    assert US.rewrite(words) in await running.reads("explain", "mover.com")
    explained = json.loads(await running.reads("explain", "mover.com", "--json"))
    assert explained["routing"] == {name: value for name, value in mover.items() if name != "account"}
    status = json.loads(await running.reads("status", "--json"))
    assert (status["healthy"], status["notes"], status["routing"]["mode"]) == (True, [], "changed")


async def test_a_reply_is_measured_at_the_segment_that_was_touched(running: Running) -> None:
    def replies(printed: str) -> tuple[int, list[str], dict[str, int]]:
        report = json.loads(printed)
        return (
            report["touches"],
            [one["name"] for one in report["groups"]],
            {one["stage"]: one["touches"] for one in report["flows"]},
        )

    ask = ("metrics", "--json", "--at", "2100-01-01")
    assert replies(await running.reads(*ask)) == (1, ["hiring-now"], {"no answer": 1})
    await running.send(event("outcome", "mover.com", action="replied"))
    async with asyncio.timeout(PATIENCE):
        while replies(await running.reads(*ask)) != (1, ["hiring-now"], {"reply": 1}):
            pass


async def test_another_time_has_no_routing_to_explain(running: Running) -> None:
    output = await running.reads("explain", "one.com", "--at", "2100-01-01T00:00:00Z", "--json")
    assert json.loads(output)["routing"] is None


async def test_the_quiet_accounts_of_a_segment_are_enrolled_on_demand(running: Running) -> None:
    assert "asked the router to enroll 2 accounts" in await running.does("enroll", "--segment", "bench")
    rows = await running.until(
        lambda rows: all(row["decision"] == "enrolled" for row in rows.values()), "one.com", "two.com"
    )
    assert {row["workflow"] for row in rows.values()} == {"nurture"}
    assert await running.commanded("one.com", 1) == [("enroll", "nurture", None)]
    assert len(await running.rows("--decision", "quiet", "--segment", "crowd")) == CROWD


async def test_accounts_that_are_not_quiet_or_not_known_are_said(running: Running) -> None:
    code, output, error = await running.run(
        "routing", "enroll", "https://www.friend.com", "nobody.com", "--json", as_worker=True
    )
    assert code == 1
    assert json.loads(output) == {"told": 0}
    assert "friend.com was not left out: not enrolled: suppressed (partners), since " in error
    assert "the router has no decision on nobody.com" in error


async def test_more_than_a_hundred_accounts_are_asked_about_first(running: Running) -> None:
    code, _, error = await running.run("routing", "enroll", "--all", as_worker=True)
    assert code == 1
    assert f"Enroll {CROWD} accounts?" in error
    assert len(await running.rows("--decision", "quiet")) == CROWD
    await running.does("enroll", "--all", "--yes")
    rows = await running.until(
        lambda rows: len(rows) == CROWD, "--decision", "enrolled", "--segment", "crowd"
    )
    assert {row["workflow"] for row in rows.values()} == {"mail"}
    assert not await running.rows("--decision", "quiet")


@pytest.mark.parametrize("arguments", [(), ("one.com", "--all"), ("--all", "--segment", "bench")])
async def test_what_to_enroll_has_to_be_said_in_one_way(running: Running, arguments: tuple[str, ...]) -> None:
    code, _, error = await running.run("routing", "enroll", *arguments, as_worker=True)
    assert code == 2
    assert "accounts, --segment or --all" in error


async def test_who_is_put_on_a_list_leaves_the_workflow_while_the_worker_runs(running: Running) -> None:
    running.list_partners("friend.com", "Mover.com")
    rows = await running.until(lambda rows: rows["mover.com"]["decision"] == "suppressed", "mover.com")
    assert rows["mover.com"]["why"] == "partners"
    assert rows["mover.com"]["owner"] is None
    assert await running.commanded("mover.com", 2) == [
        ("enroll", "calls", None),
        ("stop", "calls", "suppressed: partners"),
    ]
    assert "suppressed (partners), since " in await running.reads("explain", "mover.com")


async def test_who_is_taken_off_the_list_is_enrolled_again(running: Running) -> None:
    running.list_partners("friend.com")
    rows = await running.until(lambda rows: rows["mover.com"]["decision"] == "enrolled", "mover.com")
    assert rows["mover.com"]["owner"] == "ann"


async def test_who_is_taken_off_while_no_worker_runs_is_enrolled_after_the_start(running: Running) -> None:
    running.list_partners("friend.com", "mover.com")
    await running.until(lambda rows: rows["mover.com"]["decision"] == "suppressed", "mover.com")
    await running.stop()
    running.list_partners("friend.com")
    await running.start()
    rows = await running.until(lambda rows: rows["mover.com"]["decision"] == "enrolled", "mover.com")
    assert rows["mover.com"]["owner"] == "ann"


async def test_a_list_that_a_version_has_no_more_holds_nobody(running: Running) -> None:
    assert (await running.rows("friend.com"))["friend.com"]["decision"] == "suppressed"
    other = running.folder / "other.yaml"
    other.write_text((running.folder / "segments.yaml").read_text().partition("suppression:")[0])
    code, output, error = await running.run("apply", str(other), "--yes", as_worker=True)
    assert code == 0, output + error
    await running.until(lambda rows: rows["friend.com"]["decision"] == "quiet", "friend.com")


async def test_with_the_mode_none_nobody_more_is_enrolled(running: Running) -> None:
    code, output, error = await running.run("routing", "set", "none", "--json", as_worker=True)
    assert code == 0, error
    assert json.loads(output) == {"mode": "none", "before": "changed"}
    await running.mode_is("none")
    await running.send(event("hiring", "two.com", change="opened"))
    await running.until(lambda rows: rows["two.com"]["decision"] == "quiet", "two.com")
    commands = await running.commanded("two.com", 2)
    assert commands == [("enroll", "nurture", None), ("stop", "nurture", None)]
    assert "no more accounts are enrolled" in await running.reads("status")
