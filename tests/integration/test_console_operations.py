"""Operators at work in the console of a running prefix: dead letters, versions, owners and webhooks, over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI

from resegment.agents.batch import Message
from resegment.cli.access.entrance import open_entrance, open_operations
from resegment.embedded.servers import embedded
from resegment.http.access.tokens import add_token
from resegment.http.console.app import mount_console
from resegment.http.operations import owners
from resegment.http.server import serving
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.state.access.records import Token
from resegment.state.redis.client import connect_redis
from resegment.state.redis.reader import PrefixReader
from resegment.streams.audit.reading import read_audit_log
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.live.connection import LiveConnection
from resegment.streams.live.prefix import viewed_prefix
from resegment.streams.operations.dead_letters import read_dead_letters
from resegment.streams.worker.worker import Worker
from tests.integration.test_routing_commands import event

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREFIX = "operated"
PATIENCE = 120.0
PAGE = {"accept": "text/html"}
SEGMENTS = """
version: 1
segments:
  - name: noisy
    when:
      any:
        - {event: hiring, within: 90d}
        - {event: leadership, within: 90d}
        - {event: strategy, within: 90d}
        - {event: intent, within: 90d}
        - {event: tech, within: 90d}
        - {event: funding, within: 90d}
    play: talk
    route: {workflow: watch, team: field}
  - name: large
    when: {employees: {gte: 100}}
    play: talk
    route: {workflow: calls, team: field}
fallback: {name: not-now, play: talk}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
teams:
  field:
    members: [Ann Lee, Bob Fox]
"""
WEBHOOKS = """
endpoints:
  crm: {url: "https://example.com/hook", secrets: [{env: CRM_SECRET}]}
"""


@dataclass
class Place:
    """A prefix with a worker, its console at `url`, and what tests look at behind it."""

    worker: Worker
    publisher: KafkaPublisher
    bootstrap: str
    topics: Topics
    store: Any
    reader: PrefixReader
    url: str
    environment: dict[str, str]

    async def send(self, *events: dict[str, Any]) -> None:
        await self.publisher.publish(
            [
                Message(self.topics.of_kind(one["type"].split(".")[1]).name, None, orjson.dumps(one))
                for one in events
            ]
        )
        assert await self.worker.drain(PATIENCE)

    async def refuse(self, number: int) -> str:
        """Send a record that is refused, and return the id of its letter."""
        topic = self.topics.accounts.name
        wrong = event("firmographic", "wrong.com", employees=f"many-{number}") | {"id": f"wrong-{number}"}
        before = await self.letters()
        await self.publisher.publish([Message(topic, None, orjson.dumps(wrong), [("tried", b"<b>1</b>")])])
        async with asyncio.timeout(PATIENCE):
            while not (new := (await self.letters()).keys() - before.keys()):
                await asyncio.sleep(0.05)
        return new.pop()

    async def letters(self) -> dict[str, Any]:
        return await read_dead_letters(self.bootstrap, self.topics.dead_letters.name)

    async def actions(self) -> list[tuple[str, str, str]]:
        found = await read_audit_log(self.bootstrap, self.topics.audit_log.name, security={})
        return [(one.begun.actor, one.begun.action, one.stage) for one in found]

    async def token(self, name: str, role: Any, **given: Any) -> str:
        return await add_token(self.store, Token(name=name, role=role, made=0, made_by="test", **given))

    @asynccontextmanager
    async def signed_in(
        self, name: str, role: str = "operator"
    ) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
        token = await self.token(name, role)
        async with httpx.AsyncClient(
            base_url=f"{self.url}/console", headers=PAGE, timeout=PATIENCE
        ) as browser:
            csrf = csrf_in((await browser.get("/login")).text)
            await browser.post("/login", data={"token": token, "csrf": csrf})
            yield browser, csrf_in((await browser.get("/login")).text)


def csrf_in(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("operated")
    async with running_console(folder) as found:
        yield found


@asynccontextmanager
async def running_console(folder: Path, **given: Any) -> AsyncIterator[Place]:
    """Run a worker with 40 accounts, and the console of its prefix."""
    (folder / "segments.yaml").write_text(SEGMENTS)
    (folder / "webhooks.yaml").write_text(WEBHOOKS)
    async with embedded(folder / "servers") as servers:
        settings = Settings(
            kafka=servers.bootstrap,
            redis=servers.redis_url,
            prefix=PREFIX,
            partitions=2,
            segments=folder / "segments.yaml",
            webhooks=folder / "webhooks.yaml",
            route="all",
            **given,
        )
        definition = load_definition(str(settings.segments))
        worker = Worker(settings, definition, bootstrap=servers.bootstrap, redis_url=servers.redis_url)
        publisher = KafkaPublisher(servers.bootstrap, idempotent=False)
        client = connect_redis(settings, servers.redis_url)
        reader, topics = PrefixReader(client, PREFIX, 2), Topics(PREFIX)
        connection = LiveConnection(
            client, servers.bootstrap, topics, {}, reader, "wall", settings.tolerance, settings.facts_per_test
        )
        embedded_settings = settings.model_copy(update={"kafka": None})
        async with worker.running(), publisher, viewed_prefix(connection) as prefix:
            entrance = open_entrance(settings, client, PREFIX)
            app = FastAPI()
            mount_console(app, prefix, entrance, open_operations(embedded_settings, connection))
            environment = {
                "RESEGMENT_KAFKA": servers.bootstrap,
                "RESEGMENT_REDIS": servers.redis_url,
                "RESEGMENT_PREFIX": PREFIX,
            }
            async with serving(app, "127.0.0.1", 0) as url:
                there = Place(
                    worker, publisher, servers.bootstrap, topics, entrance.store, reader, url, environment
                )
                await there.send(
                    *(event("firmographic", f"a{number}.com", employees=number * 10) for number in range(40))
                )
                yield there
        await client.aclose()


async def test_a_dead_letter_is_edited_and_reaches_the_account(place: Place) -> None:
    letter = await place.refuse(700)
    async with place.signed_in("ann") as (browser, csrf):
        page = await browser.get("/dead-letters/show", params={"id": letter})
        assert "many-700" in page.text
        assert "<b>1</b>" not in page.text
        fixed = event("firmographic", "edited.com", employees=700)
        data = {"csrf": csrf, "id": letter, "value": orjson.dumps(fixed).decode()}
        sent = await browser.post("/dead-letters/edit", data=data)
        assert sent.headers["location"].endswith("?sent=1&refused=0&left_out=0")
        assert await place.worker.drain(PATIENCE)
        assert letter not in (await browser.get("/dead-letters")).text
        (row,) = (await browser.get("/dead-letters?sent-again=too&format=json")).json()["tables"]["letters"][
            "rows"
        ]
        assert row["retried"] is not None
    assert ("ann", "dead-letters retry", "done") in await place.actions()
    (state,) = await place.reader.states(["edited.com"])
    assert state is not None
    assert state.membership.segment == "large"


async def test_a_letter_that_is_sent_again_unchanged_is_refused_again(place: Place) -> None:
    letter = await place.refuse(701)
    async with place.signed_in("bob") as (browser, csrf):
        await browser.post("/dead-letters/retry", data={"csrf": csrf, "id": letter})
        async with asyncio.timeout(PATIENCE):
            while len(found := await place.letters()) < 3:
                await asyncio.sleep(0.05)
    assert found[letter].retried is not None
    assert sum(one.retried is None for one in found.values()) == 1


async def test_a_version_is_planned_applied_and_taken_back(place: Place) -> None:
    async with place.signed_in("carol") as (browser, csrf):
        form = (await browser.get("/versions/apply")).text
        (name,) = re.findall(r'<textarea[^>]* name="(file:[^"]*)"', form)
        wrong = await browser.post("/versions/plan", data={"csrf": csrf, name: "version: 1\nsegments: 3\n"})
        assert wrong.status_code == 400
        assert "Nothing was planned" in wrong.text
        text = SEGMENTS.replace("gte: 100", "gte: 200").replace("\n", "\r\n")
        planned = await browser.post("/versions/plan", data={"csrf": csrf, name: text, "route": "none"})
        assert planned.status_code == 303, planned.text
        path = planned.headers["location"].removeprefix("/console")
        plan = (await browser.get(f"{path}?format=json")).json()
        assert plan["plan"]["moved"] == 10
        refused = await browser.post(f"{path}/apply", data={"csrf": csrf, "hash": "0123456789ab-10"})
        assert refused.status_code == 409
        begun = await browser.post(
            f"{path}/apply", data={"csrf": csrf, "hash": plan["hash"], "message": "fewer"}
        )
        assert begun.status_code == 303
        applied = await wait_for(browser, path)
        assert (applied["version"], applied["problem"], applied["outcome"]["as_planned"]) == (2, None, 10)
        assert "Version 2 is in force" in (await browser.get(path)).text
        async with asyncio.timeout(PATIENCE):
            while (await applies(browser)).get(2) != 10:  # the index follows the changes
                await asyncio.sleep(0.2)
        again = await browser.post(f"{path}/apply", data={"csrf": csrf, "hash": plan["hash"]})
        assert again.status_code == 303
        assert "applied already" in (await wait_for(browser, path))["problem"]

        back = await browser.post("/versions/rollback", data={"csrf": csrf})
        path = back.headers["location"].removeprefix("/console")
        plan = (await browser.get(f"{path}?format=json")).json()
        assert (plan["back_to"], plan["plan"]["moved"]) == (1, 10)
        await browser.post(f"{path}/apply", data={"csrf": csrf, "hash": plan["hash"]})
        assert (await wait_for(browser, path))["version"] == 3
        assert (await browser.post("/versions/rollback", data={"csrf": csrf, "to": "99"})).status_code in (
            404,
            409,
        )
    actions = await place.actions()
    assert ("carol", "apply", "done") in actions
    audit = await read_audit_log(place.bootstrap, place.topics.audit_log.name, security={})
    moved = {one.begun.action: one.ended.result for one in audit if one.ended and one.ended.result}
    assert (moved["apply"]["moved"], moved["rollback"]["moved"]) == (10, 10)
    assert ("carol", "rollback", "done") in actions


async def applies(browser: httpx.AsyncClient) -> dict[int, int | None]:
    rows = (await browser.get("/versions?format=json")).json()["tables"]["applies"]["rows"]
    return {row["version"]: row["moved"] for row in rows}


async def wait_for(browser: httpx.AsyncClient, path: str) -> Any:
    async with asyncio.timeout(PATIENCE):
        while (found := (await browser.get(f"{path}?format=json")).json()["apply"])["running"]:
            await asyncio.sleep(0.1)
    return found


async def test_a_member_leaves_and_returns_and_a_webhook_is_stopped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "PATIENCE", PATIENCE)
    async with place.signed_in("dora") as (browser, csrf):
        found = await browser.get("/workflows?format=json")
        assert found.status_code == 200, found.text
        tables = found.json()["tables"]
        assert {row["member"] for row in tables["members"]["rows"]} == {"Ann Lee", "Bob Fox"}
        assert tables["workflows"]["rows"][0]["workflow"] == "calls"
        assert "Ann Lee leaves" in (await browser.get("/workflows/leave?member=Ann%20Lee")).text
        left = await browser.post("/workflows/leave", data={"csrf": csrf, "member": "Ann Lee"})
        assert re.search(r"reassigned=\d+&left=0$", left.headers["location"])
        page = (await browser.get("/workflows?format=json")).json()["tables"]["members"]["rows"]
        assert {row["member"]: row["absence"] for row in page}["Ann Lee"] == "left"
        asked = await browser.post(
            "/workflows/return", data={"csrf": csrf, "member": "Ann Lee", "accounts": "yes"}
        )
        assert "asked=" in asked.headers["location"]
        assert (
            await browser.post("/workflows/leave", data={"csrf": csrf, "member": "Nobody"})
        ).status_code == 404
        for action, state in (("disable", "disabled"), ("enable", "nobody delivers")):
            await browser.post(f"/workflows/webhooks/{action}", data={"csrf": csrf, "endpoint": "crm"})
            rows = (await browser.get("/delivery?format=json")).json()["tables"]["webhooks"]["rows"]
            assert [row["state"] for row in rows] == [state]
        assert (
            await browser.post("/workflows/webhooks/enable", data={"csrf": csrf, "endpoint": "x"})
        ).status_code == 404
        actions = (await browser.get("/audit?actor=dora&format=json")).json()["tables"]["actions"]["rows"]
    assert {one["action"] for one in actions} == {
        "owners leave",
        "owners return",
        "webhooks disable",
        "webhooks enable",
    }
    assert all(one["stage"] == "done" for one in actions)


async def test_sources_tell_what_came_and_what_was_refused(place: Place) -> None:
    letter = await place.refuse(702)
    assert letter
    async with place.signed_in("eve", "viewer") as (browser, _):
        (row,) = (await browser.get("/sources?format=json")).json()["tables"]["sources"]["rows"]
    assert row["source"] == "/test"
    assert row["facts"] >= 40
    assert row["refused"] >= 1
    assert row["kinds"] == "firmographic"
    assert row["rhythm"].startswith("not known yet")


async def test_the_pipeline_tells_what_waits_and_how_long_stages_take(place: Place) -> None:
    async with place.signed_in("fay", "viewer") as (browser, _), asyncio.timeout(PATIENCE):
        while True:
            told = (await browser.get("/pipeline?format=json")).json()
            stages = {row["stage"] for row in told["tables"]["stages"]["rows"]}
            backlog = told["backlog"]
            if (
                {"intake", "segmenter", "relay", "router"} <= stages
                and backlog["trend"]
                and not backlog["records"]
            ):
                break
            await asyncio.sleep(0.2)
        head = await browser.head("/pipeline")
    assert (head.status_code, head.content) == (200, b"")
    assert told["stages"]["slowest"] in stages
    assert told["tables"]["partitions"]["rows"][0]["owner"]


async def test_accounts_that_wait_are_told_with_the_members_who_may_take_them(place: Place) -> None:
    async with place.signed_in("gil", "viewer") as (browser, _):
        told = (await browser.get("/workflows?format=json&reason=all")).json()
        assert told["complete"]
        counts = told["reasons"]
        assert sum(counts.values()) == told["tables"]["waiting"]["total"]


FORMS = {
    "/dead-letters/retry": {"id": "x"},
    "/dead-letters/edit": {"id": "x", "value": "{}"},
    "/versions/plan": {"file:segments.yaml": SEGMENTS},
    "/versions/rollback": {"to": "1"},
    "/versions/plans/x/apply": {"hash": "x"},
    "/workflows/leave": {"member": "Ann Lee"},
    "/workflows/return": {"member": "Ann Lee"},
    "/workflows/webhooks/disable": {"endpoint": "crm"},
    "/workflows/webhooks/enable": {"endpoint": "crm"},
}


@pytest.mark.parametrize("path", FORMS)
async def test_a_viewer_changes_nothing(place: Place, path: str) -> None:
    before = await place.actions()
    async with place.signed_in(f"vic{path.replace('/', '-')}", "viewer") as (browser, csrf):
        assert (await browser.post(path, data={"csrf": csrf, **FORMS[path]})).status_code == 403
    async with httpx.AsyncClient(base_url=f"{place.url}/console", headers=PAGE, timeout=PATIENCE) as local:
        csrf = csrf_in((await local.get("/login")).text)
        assert (await local.post(path, data={"csrf": csrf, **FORMS[path]})).status_code == 403
    assert await place.actions() == before


async def test_every_route_that_changes_something_is_tried_as_a_viewer(place: Place) -> None:
    async with httpx.AsyncClient(base_url=f"{place.url}/console", timeout=PATIENCE) as local:
        document = (await local.get("/openapi.json")).json()
    posts = {path.replace("{plan}", "x") for path, one in document["paths"].items() if "post" in one}
    assert posts == FORMS.keys()
    assert not {method for one in document["paths"].values() for method in one} - {"get", "post"}


async def run(place: Place, *arguments: str) -> tuple[int | None, str, str]:
    """Run a command as somebody at a shell does."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
    environment = {**own, **place.environment}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from resegment.cli import main; main()", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode, output.decode(), error.decode()


async def test_a_token_is_made_used_listed_and_revoked_by_commands(place: Place) -> None:
    code, output, error = await run(
        place, "--as", "root@acme.com", "tokens", "create", "shell", "--role", "operator", "--only", "owners"
    )
    assert (code, "shown only now" in error) == (0, True), error
    headers = {"authorization": f"Bearer {output.strip()}"}
    async with httpx.AsyncClient(
        base_url=f"{place.url}/console", headers=headers, timeout=PATIENCE
    ) as program:
        assert (await program.get("/sources?format=json")).status_code == 200
        assert (await program.post("/dead-letters/retry", data={"id": "x"})).status_code == 403
        _, output, _ = await run(place, "tokens", "list", "--json")
        (row,) = (one for one in map(orjson.loads, output.splitlines()) if one["name"] == "shell")
        assert (row["role"], row["only"], row["made_by"], row["live"]) == (
            "operator",
            ["owners"],
            "root@acme.com",
            True,
        )
        code, _, error = await run(place, "tokens", "create", "shell")
        assert (code, "there is a token 'shell' already" in error) == (2, True)
        assert (await run(place, "tokens", "revoke", "shell"))[0] == 0
        assert (await program.get("/sources?format=json")).status_code == 401
    code, _, error = await run(place, "tokens", "revoke", "shell")
    assert (code, "no token is named 'shell'" in error) == (2, True)
    assert {("root@acme.com", "tokens create", "done")} <= set(await place.actions())


async def test_a_console_that_everybody_could_read_does_not_start(place: Place) -> None:
    held = await place.store.read_tokens()
    try:
        for digest, one in held.items():
            await place.store.keep_token(digest, msgspec.structs.replace(one, revoked=1))
        place.environment["RESEGMENT_HTTP_HOST"] = "0.0.0.0"  # noqa: S104
        code, _, error = await run(place, "console", "--http-port", "0")
        assert code == 2
        assert "everybody who reaches 0.0.0.0 could read the console" in error
        assert "resegment tokens create NAME" in error.replace("\n", " ")
    finally:
        del place.environment["RESEGMENT_HTTP_HOST"]
        for digest, one in held.items():
            await place.store.keep_token(digest, one)
